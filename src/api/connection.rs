//! The connection that a call came on: where its client is, and what the call keeps until it is answered.

use std::{
    any::Any,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// In the extensions of a request; a call without a connection, as in a test, has none.
#[derive(Clone)]
pub(super) struct ConnectionInfo {
    address: IpAddr,
    held: Arc<Mutex<Vec<Box<dyn Any + Send>>>>,
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
