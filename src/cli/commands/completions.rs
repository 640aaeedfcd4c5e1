//! `borealis completions`: what a shell needs to complete this command line.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::print::line;

/// The arguments of `borealis completions`.
#[derive(Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints them.
pub(super) fn run(args: &CompletionsArgs) -> crate::cli::Result {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::cli::CommandLine::command(), "borealis", &mut script);
    line(&String::from_utf8_lossy(&script))
}
