//! `borealis listen`: a receiver of callbacks on this machine. It verifies and prints what comes in,
//! forwards it if asked, and can be told to fail, so that people can test their own receivers.

mod receiver;

use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use callback::sign;
use model::{Secret, SystemClock};
use url::Url;

use crate::{
    cli::{self, print::print_line},
    config::parse_duration,
};

pub(super) use receiver::{Failing, ListenOptions, Listener, ReceivedAttempt, SignatureCheck};

/// The arguments of `borealis listen`.
#[derive(clap::Args)]
pub(crate) struct ListenArgs {
    /// The port on the loopback address; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The storage's notify_secret, which signatures are verified with
    #[arg(long, value_name = "WHSEC", env = "BOREALIS_NOTIFY_SECRET", hide_env_values = true, value_parser = secret)]
    secret: Option<Secret>,
    /// Pass each callback on to this URL, and its answer back
    #[arg(long, value_name = "URL")]
    forward_to: Option<Url>,
    /// Fail the first attempts of each callback
    #[arg(long, value_name = "N")]
    fail_first: Option<u32>,
    /// The HTTP status to answer; with --fail-first only to those attempts, which get 500 without it
    #[arg(long, value_name = "CODE", value_parser = status)]
    status: Option<StatusCode>,
    /// Wait before each answer
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_duration)]
    delay: Duration,
    /// Print the whole body too
    #[arg(long)]
    body: bool,
}

fn secret(text: &str) -> Result<Secret, String> {
    let secret = Secret::new(text);
    sign::check_secret(&secret).map_err(|error| error.to_string())?;
    Ok(secret)
}

fn status(text: &str) -> Result<StatusCode, String> {
    text.parse()
        .ok()
        .filter(|status: &StatusCode| status.as_u16() >= 200)
        .ok_or_else(|| format!("`{text}` is not an HTTP status; give one such as 500"))
}

impl ListenArgs {
    fn options(&self) -> ListenOptions {
        ListenOptions {
            port: self.port,
            secret: self.secret.clone(),
            forward_to: self.forward_to.clone(),
            failing: Failing::new(self.fail_first, self.status),
            delay: self.delay,
            clock: Arc::new(SystemClock),
        }
    }
}

/// Receives and prints callbacks until it is stopped.
pub(super) async fn run(args: ListenArgs) -> cli::Result {
    let mut listener = Listener::start(args.options()).await?;
    eprintln!("listening on {}; give it to a storage as `notify`", listener.url());
    eprintln!(
        "a server calls loopback addresses only if it was started with BOREALIS_ALLOW_NETWORKS=127.0.0.0/8"
    );
    if args.secret.is_none() {
        eprintln!("signatures are not verified: give the storage's notify_secret as BOREALIS_NOTIFY_SECRET");
    }
    let stop = cli::stop_signal();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            received = listener.next() => {
                let Some(received) = received else { return Ok(()) };
                print_line(&received.to_string())?;
                if args.body {
                    print_line(&received.pretty_body())?;
                }
            }
            stopped = &mut stop => return Ok(stopped?),
        }
    }
}
