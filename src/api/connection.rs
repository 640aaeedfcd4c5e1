//! The connection that a call came on: where its client is, and what the call keeps until it is answered.

use std::{
    any::Any,
    convert::Infallible,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{extract::FromRequestParts, http::request::Parts};

/// In the extensions of a request; a call without a connection, as in a test, has none.
#[derive(Clone)]
pub(super) struct ConnectionInfo {
    address: IpAddr,
    held: Arc<Mutex<Vec<Box<dyn Any + Send>>>>,
}

/// The connection of a call, for handlers.
pub(super) struct MaybeConnection(pub(super) Option<ConnectionInfo>);

impl<S: Sync> FromRequestParts<S> for MaybeConnection {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get().cloned()))
    }
}

impl MaybeConnection {
    /// Leaves a share or a turn to the connection until the answer is sent; gives it back where there is no
    /// connection.
    pub(super) fn hold<T: Any + Send>(&self, share: T) -> Option<T> {
        match &self.0 {
            Some(connection) => {
                connection.hold(share);
                None
            }
            None => Some(share),
        }
    }
}

impl ConnectionInfo {
    /// Of another call.
    pub(super) fn new(address: IpAddr) -> Self {
        Self { address, held: Arc::default() }
    }

    /// The client's address, or that of the proxy in front of it.
    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    /// Keeps a share or a turn until the whole answer was sent or the connection is gone.
    pub(super) fn hold(&self, share: impl Any + Send) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(share));
    }
}
