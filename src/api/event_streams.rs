//! How many streams of server-sent events are open, and the end of them all when the process stops.

use std::time::Duration;

use model::TenantId;
use tokio_util::sync::CancellationToken;

use super::{
    error::ApiError,
    shares::{Share, Shares, Taken},
};
use crate::config::ApiSettings;

/// When to ask again while every stream is taken.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(10);

/// The streams of this process, of which there is a greatest number, for each tenant and for all together.
pub(super) struct EventStreams {
    shares: Shares<TenantId>,
    stop: CancellationToken,
}

impl EventStreams {
    /// At most as many at once as the settings say.
    pub(super) fn new(settings: &ApiSettings) -> Self {
        let shares = Shares::new(settings.event_streams, settings.tenant_event_streams);
        Self { shares, stop: CancellationToken::new() }
    }

    /// Takes the slot of one stream; it is free again when the share is dropped.
    ///
    /// # Errors
    /// 1007 when all are taken, or all that one tenant may have.
    pub(super) fn acquire(&self, tenant: &TenantId) -> Result<Share<TenantId>, ApiError> {
        self.shares.acquire(tenant).map_err(|taken| {
            let problem = match taken {
                Taken::ByHolder => "you watch as many tasks as one tenant may at once; try again",
                Taken::ByAll => "too many tasks are watched at this moment; try again",
            };
            ApiError::rate_limited(problem, FULL_RETRY_AFTER)
        })
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
