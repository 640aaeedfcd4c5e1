//! The command line: one file for each subcommand, each a struct of arguments and a `run`.
//!
//! What always holds: results go to standard output, everything else to standard error; the exit
//! code is 0 when what was asked for came true, 1 when it did not, 2 when the command line is wrong.
//! Secrets come from the environment, never from arguments that every user of the machine can see.

mod batch;
mod callback;
mod client;
mod completions;
mod config;
mod demo;
mod doctor;
mod duration;
mod follow;
mod inputs;
mod key;
pub mod listen;
mod login;
mod man;
mod print;
mod profile;
mod progress;
pub mod serve;
mod storage;
mod storage_add;
mod task;
mod template;
mod upload;

use std::{error::Error, io, process::ExitCode};

use clap::{Parser, Subcommand};

use self::serve::Parts;
use crate::{
    config::{Flags, Settings},
    telemetry,
};

/// What a subcommand comes to: nothing more to say, or why it failed, in a sentence.
pub type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Parser)]
#[command(name = "borealis", version, about)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server: API, worker and callback sender
    Serve(Flags),
    /// Run a worker alone, beside a server with the same database
    Worker(Flags),
    /// Keep a server's address and key for later commands
    Login(login::LoginArgs),
    /// Forget what `login` keeps
    Logout(login::LogoutArgs),
    /// Create, watch, list, cancel, retry and delete tasks
    Task(task::TaskArgs),
    /// Create tasks that are told of in one callback
    Batch(batch::BatchArgs),
    /// Add and list storages: where outputs go and who is told
    Storage(storage::StorageArgs),
    /// Add, change and list templates: how to transcode
    Template(template::TemplateArgs),
    /// See what became of callbacks, and send them again
    Callback(callback::CallbackArgs),
    /// Make, list and revoke access keys, on the server's own database
    Key(key::KeyArgs),
    /// Receive callbacks on this machine, verify and print them
    Listen(listen::ListenArgs),
    /// See the whole way once: a video goes in, four formats and a signed callback come out
    Demo(demo::DemoArgs),
    /// Check everything that a server needs on this machine
    Doctor(doctor::DoctorArgs),
    /// Show or check the settings
    Config(config::ConfigArgs),
    /// Print the completions for a shell
    Completions(completions::CompletionsArgs),
    /// Write the manual, a page for each subcommand
    Man(man::ManArgs),
}

/// Reads the command line, does what it says, and reports.
pub fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    // an error here only says that there is one already
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&error),
    };
    match runtime.block_on(run(command_line.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(error.as_ref()),
    }
}

async fn run(command: Command) -> Result {
    match command {
        Command::Serve(flags) => {
            let settings = Settings::load(&flags)?;
            let parts = Parts { api: true, worker: settings.worker.enabled };
            Box::pin(process(settings, parts)).await
        }
        Command::Worker(flags) => {
            Box::pin(process(Settings::load(&flags)?, Parts { api: false, worker: true })).await
        }
        Command::Login(args) => Box::pin(login::login(args)).await,
        Command::Logout(args) => login::logout(&args),
        Command::Batch(args) => Box::pin(batch::run(args)).await,
        Command::Task(args) => Box::pin(task::run(args)).await,
        Command::Storage(args) => Box::pin(storage::run(args)).await,
        Command::Template(args) => Box::pin(template::run(args)).await,
        Command::Callback(args) => Box::pin(callback::run(args)).await,
        Command::Key(args) => Box::pin(key::run(args)).await,
        Command::Listen(args) => Box::pin(listen::run(args)).await,
        Command::Demo(args) => Box::pin(demo::run(args)).await,
        Command::Doctor(args) => Box::pin(doctor::run(args)).await,
        Command::Config(args) => config::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}

/// Runs what stays; its logs and figures begin before all else.
async fn process(settings: Settings, parts: Parts) -> Result {
    telemetry::start_logs(&settings.log)?;
    telemetry::figures();
    serve::run(settings, parts).await
}

/// Says on standard error why it failed. Output that nobody reads any more (`… | head`) is no error.
fn report(error: &(dyn Error + Send + Sync + 'static)) -> ExitCode {
    if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

/// Resolves at Ctrl-C or SIGTERM.
async fn asked_to_stop() -> io::Result<()> {
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
