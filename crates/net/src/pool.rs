//! Kept connections, none of them for long: a name that leads elsewhere by now is looked up and
//! judged again, however busy its connections are.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use reqwest::redirect;
use rustls::ClientConfig;

use crate::{Guard, client::USER_AGENT, connect::JudgeLayer, resolver::Resolver};

/// Idle connections that are kept to one receiver.
const IDLE: usize = 32;

/// What every connection is made with.
#[derive(Clone)]
pub(crate) struct Connecting {
    pub(crate) guard: Arc<Guard>,
    pub(crate) resolver: Resolver,
    pub(crate) tls: ClientConfig,
    /// For look-up, TCP and TLS together.
    pub(crate) timeout: Duration,
}

impl Connecting {
    /// A client that keeps so many idle connections to one receiver.
    #[expect(clippy::disallowed_methods, reason = "guarded clients are built here, and nowhere else")]
    pub(crate) fn client(&self, idle: usize, idle_time: Duration) -> reqwest::Result<reqwest::Client> {
        reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            .dns_resolver(self.resolver.clone())
            .connector_layer(JudgeLayer { guard: Arc::clone(&self.guard) })
            .connect_timeout(self.timeout)
            .pool_idle_timeout(idle_time)
            .pool_max_idle_per_host(idle)
            .tls_backend_preconfigured(self.tls.clone())
            .build()
    }
}

/// The connections that are kept now; cheap to clone.
#[derive(Clone)]
pub(crate) struct Pool {
    connecting: Connecting,
    age: Duration,
    current: Arc<Mutex<(Instant, reqwest::Client)>>,
}

impl Pool {
    /// An empty pool; `age` is how long a connection is used for new requests.
    pub(crate) fn new(connecting: Connecting, age: Duration) -> reqwest::Result<Self> {
        let current = (Instant::now(), connecting.client(IDLE, age)?);
        Ok(Self { connecting, age, current: Arc::new(Mutex::new(current)) })
    }

    /// A client over the connections that may be used. Those of an older one end with the requests
    /// that they carry.
    pub(crate) fn client(&self) -> reqwest::Client {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.0.elapsed() >= self.age {
            match self.connecting.client(IDLE, self.age) {
                Ok(client) => *current = (Instant::now(), client),
                Err(error) => tracing::warn!(%error, "connections are kept longer than they should be"),
            }
        }
        current.1.clone()
    }
}
