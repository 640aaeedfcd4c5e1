//! How many streams of server-sent events are open, and the end of them all when the process stops.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::error::ApiError;

/// When to ask again while every stream is taken.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(10);

/// The streams of this process, of which there is a greatest number.
pub(super) struct EventStreams {
    slots: Arc<Semaphore>,
    stop: CancellationToken,
}

impl EventStreams {
    /// At most `max` at once.
    pub(super) fn new(max: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(max)), stop: CancellationToken::new() }
    }

    /// Takes the slot of one stream; it is free again when the permit is dropped.
    ///
    /// # Errors
    /// 1007 when all are taken.
    pub(super) fn acquire(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let full = |_| {
            ApiError::rate_limited("too many tasks are watched at this moment; try again", FULL_RETRY_AFTER)
        };
        Arc::clone(&self.slots).try_acquire_owned().map_err(full)
    }

    /// Ends every stream: the process stops.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Resolves when the process stops.
    pub(super) async fn stopped(&self) {
        self.stop.cancelled().await;
    }
}
