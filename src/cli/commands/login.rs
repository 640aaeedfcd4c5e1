//! `borealis login` and `borealis logout`: keep a server's address and key for later commands.

use std::{
    env,
    io::{self, IsTerminal as _},
};

use clap::Args;
use model::Secret;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::Value;
use url::Url;

use crate::cli::{
    client::Client,
    print::line,
    profile::{Profile, Profiles, USUAL},
};

/// The arguments of `borealis login`.
#[derive(Args)]
#[command(after_help = "The key is asked for, or comes from BOREALIS_ACCESS_KEY and BOREALIS_SECRET_KEY.")]
pub(crate) struct LoginArgs {
    /// The server's address
    #[arg(long, env = "BOREALIS_SERVER", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    server: Url,
    /// The name to keep it under
    #[arg(long, env = "BOREALIS_PROFILE", default_value = USUAL, value_name = "NAME")]
    profile: String,
}

/// The arguments of `borealis logout`.
#[derive(Args)]
pub(crate) struct LogoutArgs {
    /// The name it is kept under
    #[arg(long, env = "BOREALIS_PROFILE", default_value = USUAL, value_name = "NAME")]
    profile: String,
}

/// Tries the key, and keeps it.
pub(super) async fn login(args: LoginArgs) -> crate::cli::Result {
    let access_key = given("BOREALIS_ACCESS_KEY").map_or_else(|| ask("access key", Echo::On), Ok)?;
    let secret_key = given("BOREALIS_SECRET_KEY").map_or_else(|| ask("secret key", Echo::Off), Ok)?;
    let client = Client::new(args.server.clone(), access_key.clone(), Secret::new(&secret_key))?;
    client.get::<Value>("list_task", &[("count", "1")]).await?;
    let mut profiles = Profiles::load()?;
    profiles.set(&args.profile, Profile { server: args.server, access_key, secret_key });
    line(&format!("signed in; kept as `{}` in {}", args.profile, profiles.save()?.display()))
}

/// Forgets a key.
pub(super) fn logout(args: &LogoutArgs) -> crate::cli::Result {
    let mut profiles = Profiles::load()?;
    if !profiles.remove(&args.profile) {
        return Err(format!("there is no profile `{}`", args.profile).into());
    }
    line(&format!("forgot `{}`; {} is written", args.profile, profiles.save()?.display()))
}

fn given(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

#[derive(Clone, Copy, PartialEq)]
enum Echo {
    On,
    Off,
}

/// Asks for a line; what is secret is not shown on a terminal.
fn ask(what: &str, echo: Echo) -> crate::cli::Result<String> {
    let (stdin, mut answer) = (io::stdin(), String::new());
    eprint!("{what}: ");
    if echo == Echo::Off && stdin.is_terminal() {
        let before = tcgetattr(&stdin)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Flush, &silent)?;
        let read = stdin.read_line(&mut answer);
        tcsetattr(&stdin, OptionalActions::Flush, &before)?;
        eprintln!();
        read?;
    } else {
        stdin.read_line(&mut answer)?;
    }
    match answer.trim() {
        "" => Err(format!("no {what} was given").into()),
        answer => Ok(answer.to_owned()),
    }
}
