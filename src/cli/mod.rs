//! The command line: `commands` has a file for each subcommand; beside it lies what they share.
//!
//! What always holds: results go to standard output, everything else to standard error; the exit
//! code is 0 when the command succeeded, 1 when it failed, 2 when the command line is wrong.
//! Secrets come from the environment, never from arguments that every user of the machine can see.

mod client;
mod commands;
mod duration;
mod follow;
mod inputs;
mod print;
mod profile;
mod progress;
mod upload;

use std::{error::Error, io, process::ExitCode};

use clap::Parser;

use self::commands::Command;

/// The outcome of a subcommand: nothing more to say, or why it failed, in a sentence.
pub type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Parser)]
#[command(name = "borealis", version, about)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

/// Parses the command line, runs the subcommand, and reports an error.
pub fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    // it fails only when a provider is installed already
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&error),
    };
    match runtime.block_on(commands::run(command_line.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(error.as_ref()),
    }
}

/// Says on standard error why it failed. Output that nobody reads any more (`… | head`) is no error.
fn report(error: &(dyn Error + Send + Sync + 'static)) -> ExitCode {
    if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

/// Resolves at SIGINT (Ctrl-C) or SIGTERM.
async fn stop_signal() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definitions_hold_together() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_wrong_command_line_is_told_apart_from_a_failure() {
        let error = CommandLine::try_parse_from(["borealis", "task", "create"]).err().expect("incomplete");
        assert_eq!(error.exit_code(), 2);
    }
}
