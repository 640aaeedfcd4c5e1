//! What the calls share beside the application: built once for each router.

use std::sync::Arc;

use axum::extract::FromRef;

use super::{credential_cache::CredentialCache, event_streams::EventStreams, rate_limit::RateLimiter};
use crate::app::App;

/// The state of the router. A handler asks for the part that it needs, such as `State<Arc<App>>`.
#[derive(Clone, FromRef)]
pub(super) struct ApiState {
    pub(super) app: Arc<App>,
    pub(super) credentials: Arc<CredentialCache>,
    pub(super) rate_limiter: Arc<RateLimiter>,
    pub(super) event_streams: Arc<EventStreams>,
}

impl ApiState {
    /// With the limits of the settings, and nothing counted or cached yet.
    pub(super) fn new(app: Arc<App>) -> Self {
        let rate_limiter = RateLimiter::new(app.settings.limits.requests_per_second);
        let event_streams = EventStreams::new(app.settings.api.event_streams);
        Self {
            app,
            credentials: Arc::new(CredentialCache::new()),
            rate_limiter: Arc::new(rate_limiter),
            event_streams: Arc::new(event_streams),
        }
    }
}
