//! What happens below the HTTP client while one request is sent: its look-up and its connection.
//!
//! The client's resolver and connector are called inside the future that sends a request, so they see a
//! task-local that is set around it. What they do in the background for later requests sees none, and is
//! not recorded.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

tokio::task_local! {
    static TRACE: RequestTrace;
}

/// The trace of one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestTrace(Arc<Mutex<TraceRecord>>);

/// How far a request came.
#[derive(Clone, Debug, Default)]
pub(crate) struct TraceRecord {
    /// What the name resolved to.
    pub(crate) addresses: Vec<IpAddr>,
    /// Time for the look-up, once it is over.
    pub(crate) dns: Option<Duration>,
    /// Whether a new connection was started.
    pub(crate) is_connecting: bool,
    /// Time to connect, TLS included, without the look-up; once it is over.
    pub(crate) connect: Option<Duration>,
}

impl RequestTrace {
    /// Runs `future` so that what it does is recorded here.
    pub(crate) async fn scope<F: Future>(&self, future: F) -> F::Output {
        TRACE.scope(self.clone(), future).await
    }

    /// The trace of the request that is being sent; outside of one a trace that nobody reads.
    pub(crate) fn current() -> Self {
        TRACE.try_with(Self::clone).unwrap_or_default()
    }

    /// What is recorded, locked.
    pub(crate) fn record(&self) -> MutexGuard<'_, TraceRecord> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
