//! The HTTP client: reqwest with a guarded resolver and connector, and a trace of where time goes.

use std::{
    fmt,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use url::{Host, Url};

use crate::{
    error::{NetError, NetErrorKind, Timing},
    guard::{Guard, UrlProblem},
    pool::{ConnectionConfig, Pool},
    resolver::{LookupError, Resolver},
    tls,
    trace::RequestTrace,
};

/// How a client connects.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// For look-up, TCP and TLS together.
    pub connect_timeout: Duration,
    /// How long a connection is used for new requests: after that the name is looked up and checked again.
    pub max_connection_age: Duration,
    /// The name servers that are queried; none: those of `/etc/resolv.conf`.
    pub name_servers: Option<Vec<SocketAddr>>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            max_connection_age: Duration::from_secs(60),
            name_servers: None,
        }
    }
}

/// An HTTP client that connects only where its guard allows; cheap to clone, shares its pool.
#[derive(Clone)]
pub struct Client {
    guard: Arc<Guard>,
    resolver: Resolver,
    pool: Pool,
    unpooled: reqwest::Client,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("guard", &self.guard).finish_non_exhaustive()
    }
}

/// A request that was answered.
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
    pub fn new(guard: Arc<Guard>, options: ClientOptions) -> Result<Self, NetError> {
        let resolver = Resolver::new(Arc::clone(&guard), options.name_servers.as_deref())
            .map_err(|problem| NetError::new(NetErrorKind::Dns, problem))?;
        let tls = tls::client_config()
            .map_err(|error| NetError::new(NetErrorKind::Tls, format!("TLS cannot be set up: {error}")))?;
        let config = ConnectionConfig {
            guard: Arc::clone(&guard),
            resolver: resolver.clone(),
            tls,
            timeout: options.connect_timeout,
        };
        let unpooled =
            config.build_client(0, options.max_connection_age).map_err(|error| setup_error(&error))?;
        let pool = Pool::new(config, options.max_connection_age).map_err(|error| setup_error(&error))?;
        Ok(Self { guard, resolver, pool, unpooled })
    }

    /// The guard in front of its connections.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Checks a URL with a look-up of its name. A name that does not resolve is no problem: it may resolve
    /// later, and is checked then.
    ///
    /// # Errors
    /// When it cannot be used, or leads to a forbidden address.
    pub async fn check_url(&self, url: &Url) -> Result<(), UrlProblem> {
        self.guard.check_url(url)?;
        let Some(Host::Domain(name)) = url.host() else { return Ok(()) };
        match self.resolver.allowed_addresses(name).await {
            Ok(_) | Err(LookupError::Unresolved(_) | LookupError::Nonexistent(_)) => Ok(()),
            Err(LookupError::Forbidden { host, kind }) => Err(UrlProblem::ForbiddenName { host, kind }),
        }
    }

    /// Sends a request and waits for the head of its answer, whatever its status. The request's own
    /// timeout, if any, covers the answer's body too.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(&self, request: reqwest::Request) -> Result<Exchange, NetError> {
        self.exchange(&self.pool.client(), request).await
    }

    /// As [`Client::send`], on a connection of its own: for a request that met a connection which
    /// had gone [stale](NetError::stale).
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send_on_new_connection(&self, request: reqwest::Request) -> Result<Exchange, NetError> {
        self.exchange(&self.unpooled, request).await
    }

    /// The client itself, for libraries that send by themselves. It refuses a name that leads to a
    /// forbidden address before it connects, but a forbidden IP literal only before it sends: check the
    /// URLs that such a library is given with [`Guard::check_url`], so that nothing connects at all.
    pub fn reqwest(&self) -> reqwest::Client {
        self.pool.client()
    }

    async fn exchange(
        &self,
        client: &reqwest::Client,
        request: reqwest::Request,
    ) -> Result<Exchange, NetError> {
        let url = request.url().clone();
        self.guard.check_url(&url).map_err(|problem| refused(&problem))?;
        let trace = RequestTrace::default();
        let started = Instant::now();
        let answer = trace.scope(client.execute(request)).await;
        let record = trace.record();
        let response = answer.map_err(|error| NetError::from_request(&error, &url, &record))?;
        let timing = Timing {
            address: response.remote_addr(),
            // without a new connection nobody waited for the look-up: a pooled connection became free first
            dns: record.connect.and(record.dns),
            connect: record.connect,
            first_byte: Some(started.elapsed()),
        };
        Ok(Exchange { response, timing })
    }
}

fn setup_error(error: &reqwest::Error) -> NetError {
    NetError::new(NetErrorKind::Protocol, format!("the client cannot be set up: {error}"))
}

fn refused(problem: &UrlProblem) -> NetError {
    match problem {
        UrlProblem::Forbidden(forbidden) => NetError::new(NetErrorKind::Forbidden, forbidden.to_string()),
        other => NetError::new(NetErrorKind::BadUrl, format!("the URL {other}")),
    }
}
