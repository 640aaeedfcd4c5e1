//! One file for each subcommand: a struct of arguments, and a `run` that does what they say.

mod batch;
mod callback;
mod completions;
mod config;
mod demo;
mod doctor;
mod key;
mod listen;
mod login;
mod man;
mod serve;
mod storage;
mod task;
mod template;

use clap::Subcommand;

use self::serve::Parts;
use crate::{
    cli,
    config::{Flags, Settings},
    telemetry,
};

#[derive(Subcommand)]
pub(super) enum Command {
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
    /// Create tasks together, with one callback for all of them
    Batch(batch::BatchArgs),
    /// Add and list storages: where outputs go and who gets the callbacks
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

/// Runs a subcommand.
pub(super) async fn run(command: Command) -> cli::Result {
    match command {
        Command::Serve(flags) => {
            let settings = Settings::load(&flags)?;
            let parts = Parts { api: true, worker: settings.worker.enabled };
            Box::pin(run_server(settings, parts)).await
        }
        Command::Worker(flags) => {
            Box::pin(run_server(Settings::load(&flags)?, Parts { api: false, worker: true })).await
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

/// Runs a server or a worker. Logs and metrics begin before everything else.
async fn run_server(settings: Settings, parts: Parts) -> cli::Result {
    telemetry::start_logs(&settings.log)?;
    telemetry::metrics_handle();
    serve::run(settings, parts).await
}
