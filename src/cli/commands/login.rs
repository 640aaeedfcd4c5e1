//! `borealis login` and `borealis logout`: keep a server's address and key for later commands.

use std::io::{self, IsTerminal as _};

use clap::Args;
use model::Secret;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::Value;
use url::Url;

use crate::cli::{
    self,
    client::{ACCESS_KEY_ENV, ApiClient, SECRET_KEY_ENV, env_value},
    print::print_line,
    profile::{DEFAULT_PROFILE, Profile, Profiles},
};

/// The arguments of `borealis login`.
#[derive(Args)]
#[command(after_help = "The key is asked for, or comes from BOREALIS_ACCESS_KEY and BOREALIS_SECRET_KEY.")]
pub(crate) struct LoginArgs {
    /// The server's address
    #[arg(long, env = "BOREALIS_SERVER", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    server: Url,
    /// The name to keep it under
    #[arg(long, env = "BOREALIS_PROFILE", default_value = DEFAULT_PROFILE, value_name = "NAME")]
    profile: String,
}

/// The arguments of `borealis logout`.
#[derive(Args)]
pub(crate) struct LogoutArgs {
    /// The name it is kept under
    #[arg(long, env = "BOREALIS_PROFILE", default_value = DEFAULT_PROFILE, value_name = "NAME")]
    profile: String,
}

/// Keeps a server's address and key in a profile, once the server has accepted the key.
pub(super) async fn login(args: LoginArgs) -> cli::Result {
    let access_key = match env_value(ACCESS_KEY_ENV) {
        Some(access_key) => access_key,
        None => prompt("access key", Echo::On)?,
    };
    let secret_key = match env_value(SECRET_KEY_ENV) {
        Some(secret_key) => secret_key,
        None => prompt("secret key", Echo::Off)?,
    };
    let client = ApiClient::new(args.server.clone(), access_key.clone(), Secret::new(&secret_key))?;
    client.get::<Value>("list_task", &[("count", "1")]).await?;
    let mut profiles = Profiles::load()?;
    profiles.set(&args.profile, Profile { server: args.server, access_key, secret_key });
    print_line(&format!("signed in; kept as `{}` in {}", args.profile, profiles.save()?.display()))
}

/// Removes a profile.
pub(super) fn logout(args: &LogoutArgs) -> cli::Result {
    let mut profiles = Profiles::load()?;
    if !profiles.remove(&args.profile) {
        return Err(format!("there is no profile `{}`", args.profile).into());
    }
    print_line(&format!("forgot `{}`; {} is written", args.profile, profiles.save()?.display()))
}

#[derive(Clone, Copy, PartialEq)]
enum Echo {
    On,
    Off,
}

/// Asks for a line on standard error; a terminal does not show what is typed with [`Echo::Off`].
fn prompt(what: &str, echo: Echo) -> cli::Result<String> {
    let (stdin, mut answer) = (io::stdin(), String::new());
    eprint!("{what}: ");
    if echo == Echo::Off && stdin.is_terminal() {
        let original = tcgetattr(&stdin)?;
        let mut silent = original.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Flush, &silent)?;
        let read = stdin.read_line(&mut answer);
        tcsetattr(&stdin, OptionalActions::Flush, &original)?;
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
