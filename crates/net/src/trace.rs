//! Notes of what happens below the HTTP client while one request is sent.
//!
//! The client's resolver and connector are called inside the future that sends a request, so a
//! task-local finds its way to them; what they do in the background for later requests finds none
//! and is not noted.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

tokio::task_local! {
    static TRACE: Trace;
}

/// The notes of one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace(Arc<Mutex<Notes>>);

/// How far connecting came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    /// What the name resolved to.
    pub(crate) addresses: Vec<IpAddr>,
    /// Time for the look-up, once it is over.
    pub(crate) dns: Option<Duration>,
    /// Whether a connection was begun.
    pub(crate) begun: bool,
    /// Time to connect, TLS included, without the look-up; once it is over.
    pub(crate) connect: Option<Duration>,
}

impl Trace {
    /// Runs `future` so that what it does is noted here.
    pub(crate) async fn follow<F: Future>(&self, future: F) -> F::Output {
        TRACE.scope(self.clone(), future).await
    }

    /// The notes of the request that is being sent; notes for nobody outside of one.
    pub(crate) fn here() -> Self {
        TRACE.try_with(Self::clone).unwrap_or_default()
    }

    /// What is noted.
    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
