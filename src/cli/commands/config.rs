//! `borealis config`: the settings that a server on this machine would run with.

use clap::{Args, Subcommand};

use crate::{
    cli::{self, print::print_line},
    config::{Flags, Settings},
};

/// The arguments of `borealis config`.
#[derive(Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Print every setting, what it is for, and where its value came from
    Show(Flags),
    /// Say whether the settings are right
    Check(Flags),
}

/// Runs the subcommand.
pub(super) fn run(args: &ConfigArgs) -> cli::Result {
    match &args.command {
        ConfigCommand::Show(flags) => print_line(&Settings::load(flags)?.to_toml_redacted()),
        ConfigCommand::Check(flags) => {
            Settings::load(flags)?;
            print_line("the settings are right")
        }
    }
}
