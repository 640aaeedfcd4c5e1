//! Checks the address of every new connection before a byte of a request goes over it.
//!
//! reqwest does not ask its resolver about IP literals, and hides the host from layers like this one; so
//! the address that was connected to is checked, and the connection closed when it is forbidden. This
//! guards the libraries that use the bare client; [`crate::Client::send`] refuses literals before.

use std::{
    error::Error,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use hyper_util::client::legacy::connect::{Connected, Connection, HttpInfo};
use tower::{Layer, Service};

use crate::{
    guard::{ForbiddenAddress, Guard},
    trace::RequestTrace,
};

type BoxError = Box<dyn Error + Send + Sync>;

/// A connection was closed because of the address it led to.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ForbiddenConnection(pub(crate) ForbiddenAddress);

/// Wraps the client's connector into a [`GuardedConnector`].
#[derive(Clone, Debug)]
pub(crate) struct GuardLayer {
    pub(crate) guard: Arc<Guard>,
}

impl<S> Layer<S> for GuardLayer {
    type Service = GuardedConnector<S>;

    fn layer(&self, connector: S) -> Self::Service {
        GuardedConnector { connector, guard: Arc::clone(&self.guard) }
    }
}

/// A connector that checks the address it connected to, and records the time it took.
#[derive(Clone, Debug)]
pub(crate) struct GuardedConnector<S> {
    connector: S,
    guard: Arc<Guard>,
}

impl<S, Target> Service<Target> for GuardedConnector<S>
where
    S: Service<Target, Error = BoxError>,
    S::Response: Connection,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, target: Target) -> Self::Future {
        let connecting = self.connector.call(target);
        let guard = Arc::clone(&self.guard);
        let trace = RequestTrace::current();
        Box::pin(async move {
            let started = Instant::now();
            trace.record().is_connecting = true;
            let connection = connecting.await?;
            let address = address_of(&connection.connected()).ok_or("the connection has no address")?;
            guard.check_address(address.ip()).map_err(ForbiddenConnection)?;
            let mut record = trace.record();
            record.connect = Some(started.elapsed().saturating_sub(record.dns.unwrap_or_default()));
            drop(record);
            Ok(connection)
        })
    }
}

/// The address that a connection leads to.
pub(crate) fn address_of(connected: &Connected) -> Option<SocketAddr> {
    let mut extras = http::Extensions::new();
    connected.get_extras(&mut extras);
    extras.get::<HttpInfo>().map(HttpInfo::remote_addr)
}
