//! Pooled connections, none of them older than a limit: however busy they are, their name is looked up and
//! checked again now and then, since it may lead elsewhere by now.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use reqwest::redirect;
use rustls::ClientConfig;

use crate::{connect::GuardLayer, guard::Guard, resolver::Resolver};

/// The `User-Agent` of every request: `Borealis/<version>`.
pub const USER_AGENT: &str = concat!("Borealis/", env!("CARGO_PKG_VERSION"));

/// Idle connections that are kept to one host.
const MAX_IDLE_PER_HOST: usize = 32;

/// What every connection is made with.
#[derive(Clone)]
pub(crate) struct ConnectionConfig {
    pub(crate) guard: Arc<Guard>,
    pub(crate) resolver: Resolver,
    pub(crate) tls: ClientConfig,
    /// For look-up, TCP and TLS together.
    pub(crate) timeout: Duration,
}

impl ConnectionConfig {
    /// A client that keeps at most so many idle connections to one host, and none for longer than
    /// `idle_timeout`.
    #[expect(clippy::disallowed_methods, reason = "guarded clients are built here, and nowhere else")]
    pub(crate) fn build_client(
        &self,
        max_idle_per_host: usize,
        idle_timeout: Duration,
    ) -> reqwest::Result<reqwest::Client> {
        reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            .dns_resolver(self.resolver.clone())
            .connector_layer(GuardLayer { guard: Arc::clone(&self.guard) })
            .connect_timeout(self.timeout)
            .pool_idle_timeout(idle_timeout)
            .pool_max_idle_per_host(max_idle_per_host)
            .tls_backend_preconfigured(self.tls.clone())
            .build()
    }
}

/// A client that is replaced when it is as old as a connection may be; cheap to clone. reqwest itself
/// limits how long a connection is idle, not how old it is.
#[derive(Clone)]
pub(crate) struct Pool {
    config: ConnectionConfig,
    max_age: Duration,
    current: Arc<Mutex<PooledClient>>,
}

struct PooledClient {
    created: Instant,
    client: reqwest::Client,
}

impl Pool {
    /// An empty pool; `max_age` is how long a connection is used for new requests.
    pub(crate) fn new(config: ConnectionConfig, max_age: Duration) -> reqwest::Result<Self> {
        let client = config.build_client(MAX_IDLE_PER_HOST, max_age)?;
        let current = PooledClient { created: Instant::now(), client };
        Ok(Self { config, max_age, current: Arc::new(Mutex::new(current)) })
    }

    /// The current client. The connections of one that was replaced end with the requests that they carry.
    pub(crate) fn client(&self) -> reqwest::Client {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.created.elapsed() >= self.max_age {
            match self.config.build_client(MAX_IDLE_PER_HOST, self.max_age) {
                Ok(client) => *current = PooledClient { created: Instant::now(), client },
                Err(error) => tracing::warn!(%error, "connections are kept longer than they should be"),
            }
        }
        current.client.clone()
    }
}
