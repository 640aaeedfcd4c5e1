//! The HTTP client.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use url::Url;

use crate::{Guard, NetError, Timing, UrlProblem};

/// How Borealis names itself: `Borealis/<version>`.
pub const USER_AGENT: &str = concat!("Borealis/", env!("CARGO_PKG_VERSION"));

/// How a client connects.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// For look-up, TCP and TLS together.
    pub connect_timeout: Duration,
    /// Which name servers are asked; none: those of `/etc/resolv.conf`.
    pub name_servers: Option<Vec<SocketAddr>>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(10), name_servers: None }
    }
}

/// An HTTP client that connects only where its guard allows; cheap to clone, shares its pool.
#[derive(Clone, Debug)]
pub struct Client {
    guard: Arc<Guard>,
    pooled: reqwest::Client,
}

/// An answer, and where the time went.
#[derive(Debug)]
pub struct Exchange {
    /// The answer: its head is here, its body not yet.
    pub response: reqwest::Response,
    /// Where the time went.
    pub timing: Timing,
}

impl Client {
    /// A client.
    ///
    /// # Errors
    /// When the resolver or TLS cannot be set up.
    pub fn new(_guard: Arc<Guard>, _options: ClientOptions) -> Result<Self, NetError> {
        todo!()
    }

    /// The guard it connects with.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Judges a URL with a look-up of its name. A name that does not resolve is no problem: it may
    /// resolve later, and is judged then.
    ///
    /// # Errors
    /// When it cannot be used, or leads to a forbidden address.
    pub async fn check(&self, _url: &Url) -> Result<(), UrlProblem> {
        todo!()
    }

    /// Sends a request and waits for the head of its answer, whatever its status.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(&self, _request: reqwest::Request) -> Result<Exchange, NetError> {
        todo!()
    }

    /// The client itself, for libraries that send by themselves.
    pub fn reqwest(&self) -> &reqwest::Client {
        &self.pooled
    }
}
