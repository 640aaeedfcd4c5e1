//! How a handler gets the body and the query of its request.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, header, request::Parts},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use model::{ErrorCode, FieldError};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{error::ApiError, request, state::ApiState};

/// The body, a JSON object, whatever its Content-Type says; and warnings about it.
pub(super) struct Body<T>(pub(super) T, pub(super) Vec<String>);

impl<T: DeserializeOwned> FromRequest<ApiState> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = within_limit(&parts.headers, body, state.app.settings.api.body_limit).await?;
        let (request, unknown) = request::read(object(&bytes)?)?;
        Ok(Self(request, request::warnings(unknown)))
    }
}

/// The query; and warnings about it. The last of equal names counts.
pub(super) struct Query<T>(pub(super) T, pub(super) Vec<String>);

impl<T: DeserializeOwned> FromRequestParts<ApiState> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default().as_bytes();
        let pairs: Map<String, Value> = url::form_urlencoded::parse(query)
            .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
            .collect();
        let (request, unknown) = request::read(Value::Object(pairs))?;
        Ok(Self(request, request::warnings(unknown)))
    }
}

/// The query of calls that ask for nothing in particular.
#[derive(Deserialize)]
pub(super) struct NoQuery {}

/// A whole body.
///
/// # Errors
/// 1008 when it is over the limit, 1001 when it breaks off.
pub(super) async fn within_limit(
    headers: &HeaderMap,
    body: axum::body::Body,
    limit: u64,
) -> Result<Bytes, ApiError> {
    let too_large =
        || ApiError::new(ErrorCode::TooLarge, format!("the body is over the limit of {limit} bytes"));
    let announced = headers.get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    match Limited::new(body, usize::try_from(limit).unwrap_or(usize::MAX)).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(ApiError::field("body", "ended before it was complete")),
    }
}

/// A JSON object out of bytes; a byte-order mark, which some editors leave, is passed over.
fn object(bytes: &[u8]) -> Result<Value, FieldError> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let wrong = |problem: String| FieldError::new("body", problem);
    if bytes.trim_ascii().is_empty() {
        return Err(wrong("is empty; give a JSON object".to_owned()));
    }
    match serde_json::from_slice(bytes) {
        Ok(object @ Value::Object(_)) => Ok(object),
        Ok(_) => Err(wrong("is JSON, but not an object".to_owned())),
        Err(error) => Err(wrong(format!("is not JSON: {error}"))),
    }
}
