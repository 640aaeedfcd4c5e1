//! How much the head of a request may be. The body's limit is where bodies are read.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use model::ErrorCode;

use super::{BASE, error::ApiError};
use crate::{app::App, config::ApiSettings};

/// What the HTTP parser takes at most, in bytes; above what the settings can allow, so that what is
/// over them is answered in the envelope.
pub(super) const HEAD: usize = 160 * 1024;

/// The layer that ends a call which takes too long. An upload takes as long as its bytes come.
pub(super) async fn in_time(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if is_upload(request.uri().path()) {
        return next.run(request).await;
    }
    match tokio::time::timeout(app.settings.api.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// Whether this is the path of uploads, which may take their time.
pub(super) fn is_upload(path: &str) -> bool {
    path.strip_prefix(BASE) == Some("/upload")
}

/// Refuses a head that is too large.
pub(super) fn check_head(request: &Request, settings: &ApiSettings) -> Result<(), ApiError> {
    let uri = request.uri().path_and_query().map_or(0, |uri| uri.as_str().len());
    let headers: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    for (what, bytes, limit) in
        [("path and query have", uri, settings.url_limit), ("headers have", headers, settings.header_limit)]
    {
        if bytes as u64 > limit {
            let detail = format!("the {what} {bytes} bytes; at most {limit} are allowed");
            return Err(ApiError::new(ErrorCode::TooLarge, detail));
        }
    }
    Ok(())
}
