//! `borealis completions`: what a shell needs to complete this command line.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::print::line;

/// The arguments of `borealis completions`.
#[derive(Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints them.
pub(super) fn run(args: &CompletionsArgs) -> super::Result {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::CommandLine::command(), "borealis", &mut script);
    line(&String::from_utf8_lossy(&script))
}
