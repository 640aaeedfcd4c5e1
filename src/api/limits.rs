//! How much a request may be, beside what the handler says about it.

use std::time::Duration;

use axum::extract::Request;
use model::ErrorCode;

use super::error::ApiError;

/// A call that takes longer is answered 1503.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The head of a request has to arrive within this time; an idle connection is closed after it.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest path and query, in bytes: as much as the longest input URL, escaped.
const URI: usize = 32 * 1024;

/// The largest names and values of all headers, in bytes.
const HEADERS: usize = 64 * 1024;

/// What the HTTP parser takes at most, in bytes; above the limits here, so that what is over them
/// is answered in the envelope.
pub(super) const HEAD: usize = 128 * 1024;

/// Refuses a head that is too large.
pub(super) fn check_head(request: &Request) -> Result<(), ApiError> {
    let uri = request.uri().path_and_query().map_or(0, |uri| uri.as_str().len());
    if uri > URI {
        return Err(ApiError::new(
            ErrorCode::TooLarge,
            format!("the path and query have {uri} bytes; at most {URI} are allowed"),
        ));
    }
    let headers: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers > HEADERS {
        return Err(ApiError::new(
            ErrorCode::TooLarge,
            format!("the headers have {headers} bytes; at most {HEADERS} are allowed"),
        ));
    }
    Ok(())
}
