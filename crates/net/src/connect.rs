//! Judges every new connection before a byte of a request goes over it.
//!
//! The HTTP client does not ask its resolver for IP literals, and hides the host from layers like
//! this one; so the address that was connected to is judged, and the connection closed when it is
//! forbidden. This guards the libraries that use the bare client; [`crate::Client::send`] refuses
//! literals before.

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

use crate::{Forbidden, Guard, trace::Trace};

type BoxError = Box<dyn Error + Send + Sync>;

/// A connection was closed because of the address it led to.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Blocked(pub(crate) Forbidden);

/// Wraps the client's connector into a [`JudgingConnector`].
#[derive(Clone, Debug)]
pub(crate) struct JudgeLayer {
    pub(crate) guard: Arc<Guard>,
}

impl<S> Layer<S> for JudgeLayer {
    type Service = JudgingConnector<S>;

    fn layer(&self, connector: S) -> Self::Service {
        JudgingConnector { connector, guard: Arc::clone(&self.guard) }
    }
}

/// A connector that judges what it connected to, and notes the time it took.
#[derive(Clone, Debug)]
pub(crate) struct JudgingConnector<S> {
    connector: S,
    guard: Arc<Guard>,
}

impl<S, Target> Service<Target> for JudgingConnector<S>
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
        let trace = Trace::here();
        Box::pin(async move {
            let begun = Instant::now();
            trace.notes().begun = true;
            let connection = connecting.await?;
            let address = address_of(&connection.connected()).ok_or("the connection has no address")?;
            guard.judge(address.ip()).map_err(Blocked)?;
            let mut notes = trace.notes();
            notes.connect = Some(begun.elapsed().saturating_sub(notes.dns.unwrap_or_default()));
            drop(notes);
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
