//! What the calls share beside the application: built once for each router.

use std::sync::Arc;

use axum::extract::FromRef;
use model::TenantId;

use super::{
    credential_cache::CredentialCache, event_streams::EventStreams, rate_limit::RateLimiter, shares::Shares,
    transfers::Transfers, turns::Turns,
};
use crate::app::App;

/// The state of the router. A handler asks for the part that it needs, such as `State<Arc<App>>`.
#[derive(Clone, FromRef)]
pub(super) struct ApiState {
    pub(super) app: Arc<App>,
    pub(super) credentials: Arc<CredentialCache>,
    pub(super) rate_limiter: Arc<RateLimiter>,
    pub(super) event_streams: Arc<EventStreams>,
    pub(super) transfers: Arc<Transfers>,
    /// Calls of each tenant at once: half of the connections, so that there are some for others.
    pub(super) calls: Arc<Shares<TenantId>>,
    pub(super) memory: Arc<MemoryTurns>,
}

/// Turns at what takes memory, by tenant.
pub(super) struct MemoryTurns {
    /// For bodies that are larger than most: up to the limit of the settings each.
    pub(super) large_bodies: Turns<TenantId>,
    /// For making answers of megabytes.
    pub(super) large_answers: Turns<TenantId>,
    /// For such answers until they are sent, which takes as long as their clients do.
    pub(super) unsent_answers: Turns<TenantId>,
    /// For what waits for an object store to list its objects.
    pub(super) listings: Turns<TenantId>,
    /// For what creates many tasks, and waits for name servers.
    pub(super) batches: Turns<TenantId>,
}

impl MemoryTurns {
    fn new() -> Self {
        Self {
            large_bodies: Turns::new(32, 12),
            // each takes up to 40 MiB for a moment, and 5 MiB until it is sent
            large_answers: Turns::new(3, 2),
            unsent_answers: Turns::new(16, 6),
            // each takes up to 30 MiB, and so do the batches
            listings: Turns::new(4, 1),
            batches: Turns::new(3, 1),
        }
    }
}

impl ApiState {
    /// With the limits of the settings, and nothing counted or cached yet.
    pub(super) fn new(app: Arc<App>) -> Self {
        let settings = &app.settings.api;
        let rate_limiter = RateLimiter::new(app.settings.limits.requests_per_second);
        Self {
            credentials: Arc::new(CredentialCache::new()),
            rate_limiter: Arc::new(rate_limiter),
            event_streams: Arc::new(EventStreams::new(settings)),
            transfers: Arc::new(Transfers::new(settings.connections)),
            calls: Arc::new(Shares::new(usize::MAX, settings.connections.div_ceil(2))),
            memory: Arc::new(MemoryTurns::new()),
            app,
        }
    }
}
