//! `Idempotency-Key`: the same call, named the same within 24 hours, is answered the same and done
//! once.
//!
//! The answer is kept by the transaction that does what was asked (`store::IdempotentAnswer`). So there is no
//! moment at which something is done and its answer not known, and of two calls that come together
//! the one that is later finds the answer of the other.

use axum::{
    body::Body,
    extract::{FromRequestParts as _, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use model::ErrorCode;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::{
    auth::Caller,
    envelope::{Said, said},
    error::ApiError,
    extract, limits,
    state::ApiState,
};
use crate::app::App;

const HEADER: &str = "idempotency-key";

/// The longest name, in bytes.
const MOST: usize = 255;

/// The name of a call, and what tells it from others.
#[derive(Clone, Debug)]
pub(super) struct NamedCall {
    pub(super) key: String,
    pub(super) digest: Vec<u8>,
}

/// The layer around the calls: looks for an answer before the call is made.
pub(super) async fn answer_once(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let named = request.method() == Method::POST
        && request.headers().contains_key(HEADER)
        // a stream of bytes is nothing to compare; a file that comes twice is swept
        && !limits::is_upload(request.uri().path());
    if !named {
        return next.run(request).await;
    }
    first_or_again(&state, request, next).await.unwrap_or_else(ApiError::into_response)
}

async fn first_or_again(state: &ApiState, request: Request, next: Next) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let caller = Caller::from_request_parts(&mut parts, state).await?;
    let name = name(&parts.headers)?;
    let body = extract::within_limit(&parts.headers, body, state.app.settings.api.body_limit).await?;
    let call = NamedCall { key: name, digest: digest(&caller, parts.uri.path(), &body) };
    if let Some(answer) = earlier(&state.app, &caller, &call).await? {
        return Ok(answer);
    }
    parts.extensions.insert(call.clone());
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    if response.status() == StatusCode::CONFLICT {
        // an equal call may have been quicker
        return Ok(earlier(&state.app, &caller, &call).await?.unwrap_or(response));
    }
    Ok(response)
}

fn name(headers: &HeaderMap) -> Result<String, ApiError> {
    let text = headers.get(HEADER).and_then(|value| value.to_str().ok()).map(str::trim).unwrap_or_default();
    match text.len() {
        1..=MOST => Ok(text.to_owned()),
        _ => Err(ApiError::field("Idempotency-Key", format!("is not 1 to {MOST} letters of ASCII"))),
    }
}

/// The key is part of it: no key is answered what another one asked for.
fn digest(caller: &Caller, path: &str, body: &[u8]) -> Vec<u8> {
    let mut digest = Sha256::new();
    for part in [caller.access_key.as_bytes(), path.as_bytes()] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.update(body);
    digest.finalize().to_vec()
}

/// The answer that was given to this call before.
async fn earlier(app: &App, caller: &Caller, call: &NamedCall) -> Result<Option<Response>, ApiError> {
    let Some(once) = app.store.idempotent_answer(&caller.tenant, &call.key).await? else { return Ok(None) };
    if once.digest != call.digest {
        let problem = "Idempotency-Key: another call had this one within 24 hours; give a new one";
        return Err(ApiError::new(ErrorCode::Conflict, problem));
    }
    let data = RawValue::from_string(once.answer.expose().to_owned()).map_err(ApiError::internal)?;
    let mut response = said(StatusCode::OK, Said { code: None, msg: "success".into(), data: Some(data) });
    response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    Ok(Some(response))
}
