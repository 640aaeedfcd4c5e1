//! How large a request may be, and how long it may take.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use bytes::BytesMut;
use futures::StreamExt as _;
use model::ErrorCode;

use super::{
    BASE_PATH,
    auth::{Caller, NamedCall},
    connection::MaybeConnection,
    error::ApiError,
    memory,
    state::ApiState,
};
use crate::{app::App, config::ApiSettings};

/// Bytes of a request head that the HTTP parser accepts. That is more than the settings can allow, so that a
/// head over their limit still gets an answer in the envelope.
pub(super) const MAX_HEAD_BYTES: usize = 160 * 1024;

/// Bytes of a body that are read without a turn: those of most calls.
const SMALL_BODY_BYTES: usize = 64 << 10;

/// The layer that ends a call which takes too long. An upload may take as long as its bytes come.
pub(super) async fn with_timeout(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if is_upload(request.uri().path()) {
        return next.run(request).await;
    }
    match tokio::time::timeout(app.settings.api.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// Whether this is the path of `upload`, whose body is a file of any size.
pub(super) fn is_upload(path: &str) -> bool {
    path.strip_prefix(BASE_PATH) == Some("/upload")
}

/// Checks the size of a request's head.
///
/// # Errors
/// 1008 when path and query, or the headers, are over their limit.
pub(super) fn check_head(request: &Request, settings: &ApiSettings) -> Result<(), ApiError> {
    let url = request.uri().path_and_query().map_or(0, |uri| uri.as_str().len());
    let headers: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    for (what, bytes, limit) in
        [("path and query have", url, settings.url_limit), ("headers have", headers, settings.header_limit)]
    {
        if bytes as u64 > limit {
            let detail = format!("the {what} {bytes} bytes; at most {limit} are allowed");
            return Err(ApiError::new(ErrorCode::TooLarge, detail));
        }
    }
    Ok(())
}

/// Checks the `Content-Length` of a body that is called `what` in the error: a client that announces too
/// much need not send it first. A body without the header is still counted while it is read. Gives the length.
///
/// # Errors
/// 1008 when it is over the limit.
pub(super) fn check_content_length(
    headers: &HeaderMap,
    what: &str,
    limit: u64,
) -> Result<Option<u64>, ApiError> {
    let length =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match length {
        Some(length) if length > limit => Err(too_large(what, limit)),
        length => Ok(length),
    }
}

/// The error of a body that is over its limit of bytes.
pub(super) fn too_large(what: &str, limit: u64) -> ApiError {
    ApiError::new(ErrorCode::TooLarge, format!("the {what} is over the limit of {limit} bytes"))
}

/// Reads a whole body. For a large one there has to be a turn.
///
/// # Errors
/// 1008 when it is over the limit, 1001 when it ends before it is complete.
pub(super) async fn read_body(parts: &Parts, body: Body, state: &ApiState) -> Result<Bytes, ApiError> {
    let limit = state.app.settings.api.body_limit;
    check_content_length(&parts.headers, "body", limit)?;
    // a call with a name was read before, to be compared with an earlier one
    let mut has_turn = parts.extensions.get::<NamedCall>().is_some();
    let mut turn = None;
    let (mut chunks, mut bytes) = (body.into_data_stream(), BytesMut::new());
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| ApiError::field("body", "ended before it was complete"))?;
        let size = bytes.len() + chunk.len();
        if size as u64 > limit {
            return Err(too_large("body", limit));
        }
        if size > SMALL_BODY_BYTES
            && !has_turn
            && let Some(caller) = parts.extensions.get::<Caller>()
        {
            let connection = MaybeConnection(parts.extensions.get().cloned());
            turn = memory::wait_for(&state.memory.large_bodies, &caller.tenant, &connection).await?;
            has_turn = true;
        }
        bytes.extend_from_slice(&chunk);
    }
    drop(turn);
    Ok(bytes.freeze())
}
