//! The extractors of a request's body and query.

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::request::Parts,
};
use model::FieldError;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{error::ApiError, limits, request, state::ApiState};

/// A body, which is a JSON object whatever its Content-Type says; and warnings about it.
pub(super) struct Body<T>(pub(super) T, pub(super) Vec<String>);

impl<T: DeserializeOwned> FromRequest<ApiState> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = limits::read_body(&parts.headers, body, state.app.settings.api.body_limit).await?;
        let (body, unknown) = request::parse(parse_object(&bytes)?)?;
        Ok(Self(body, request::warnings(unknown)))
    }
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
        Ok(Self(query, request::warnings(unknown)))
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
    match serde_json::from_slice(bytes) {
        Ok(object @ Value::Object(_)) => Ok(object),
        Ok(_) => Err(wrong("is JSON, but not an object".to_owned())),
        Err(error) => Err(wrong(format!("is not JSON: {error}"))),
    }
}
