//! The extractors of a request's body and query.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::request::Parts,
};
use model::FieldError;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::{
    error::ApiError,
    limits,
    request::{self, UnknownFields},
    state::ApiState,
};

/// A body of fewer bytes is parsed where it was received: that takes less time than to hand it on.
const MIN_BYTES_TO_HAND_ON: usize = 32 << 10;

/// Larger bodies that are parsed at once. While one is, it takes ten times its bytes.
const MAX_CONCURRENT_PARSES: usize = 2;

/// Where large bodies wait for their turn to be parsed.
static PARSERS: Semaphore = Semaphore::const_new(MAX_CONCURRENT_PARSES);

/// A body, which is a JSON object whatever its Content-Type says; and warnings about it.
pub(super) struct Body<T>(pub(super) T, pub(super) Vec<String>);

impl<T: DeserializeOwned + Send + 'static> FromRequest<ApiState> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = limits::read_body(&parts, body, state).await?;
        let (body, unknown) = parse_body(bytes).await?;
        Ok(Self(body, unknown.warnings()))
    }
}

/// Parses a body; a large one on a thread that nothing else waits for.
async fn parse_body<T: DeserializeOwned + Send + 'static>(
    bytes: Bytes,
) -> Result<(T, UnknownFields), ApiError> {
    let parse = |bytes: &[u8]| request::parse(parse_object(bytes)?);
    if bytes.len() < MIN_BYTES_TO_HAND_ON {
        return Ok(parse(&bytes)?);
    }
    let _turn = PARSERS.acquire().await.map_err(ApiError::internal)?;
    let parsed = tokio::task::spawn_blocking(move || parse(&bytes)).await;
    Ok(parsed.map_err(ApiError::internal)??)
}

/// A query; and warnings about it. Of equal names the last counts.
pub(super) struct Query<T>(pub(super) T, pub(super) Vec<String>);

impl<T: DeserializeOwned> FromRequestParts<ApiState> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default().as_bytes();
        let pairs: Map<String, Value> = url::form_urlencoded::parse(query)
            .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
            .collect();
        let (query, unknown) = request::parse(Value::Object(pairs))?;
        Ok(Self(query, unknown.warnings()))
    }
}

/// The query of calls without parameters: every one is unknown, and a warning.
#[derive(Deserialize)]
pub(super) struct NoQuery {}

/// Parses a JSON object. A byte-order mark, which some editors leave, is skipped.
fn parse_object(bytes: &[u8]) -> Result<Value, FieldError> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let wrong = |problem: String| FieldError::new("body", problem);
    if bytes.trim_ascii().is_empty() {
        return Err(wrong("is empty; give a JSON object".to_owned()));
    }
    request::check_shape(bytes)?;
    match serde_json::from_slice(bytes) {
        Ok(object @ Value::Object(_)) => Ok(object),
        Ok(_) => Err(wrong("is JSON, but not an object".to_owned())),
        Err(error) => Err(wrong(format!("is not JSON: {error}"))),
    }
}
