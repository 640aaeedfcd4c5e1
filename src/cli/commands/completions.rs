//! `borealis completions`: the script with which a shell completes this command line.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::{self, print::print_line};

/// The arguments of `borealis completions`.
#[derive(Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Runs the subcommand.
pub(super) fn run(args: &CompletionsArgs) -> cli::Result {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli::CommandLine::command(), "borealis", &mut script);
    print_line(&String::from_utf8_lossy(&script))
}
