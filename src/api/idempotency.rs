//! `Idempotency-Key`: a call that is repeated with the same key within 24 hours is done once, and gets the
//! same answer.
//!
//! The transaction that creates something also keeps the answer (`store::IdempotentAnswer`), so there is no
//! moment at which the thing exists and its answer is unknown. Of two equal calls at the same moment one
//! fails to commit; it gets the answer of the other.

use axum::{
    body::Body,
    extract::{FromRequestParts as _, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use model::{ErrorCode, limits::MAX_IDEMPOTENCY_KEY_BYTES};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::{
    auth::{Caller, NamedCall},
    envelope::Outcome,
    error::ApiError,
    limits,
    state::ApiState,
};
use crate::app::App;

const KEY_HEADER: &str = "idempotency-key";

/// In the answer to a repeated call.
const REPLAYED_HEADER: &str = "idempotent-replayed";

/// The layer around the calls: gives the kept answer where there is one, instead of making the call.
pub(super) async fn replay_answer(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let is_named = request.method() == Method::POST
        && request.headers().contains_key(KEY_HEADER)
        // an upload's body is too large to digest; a file that is sent twice is swept like any unused one
        && !limits::is_upload(request.uri().path());
    if !is_named {
        return next.run(request).await;
    }
    replay_or_run(&state, request, next).await.unwrap_or_else(ApiError::into_response)
}

async fn replay_or_run(state: &ApiState, request: Request, next: Next) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let caller = Caller::from_request_parts(&mut parts, state).await?;
    let key = parse_key(&parts.headers)?;
    let body = limits::read_body(&parts, body, state).await?;
    let call = NamedCall { key, digest: digest(&caller, parts.uri.path(), &body) };
    if let Some(answer) = kept_answer(&state.app, &caller, &call).await? {
        return Ok(answer);
    }
    parts.extensions.insert(call.clone());
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    if response.status() == StatusCode::CONFLICT {
        // an equal call may have committed between the look-up and this one's transaction
        return Ok(kept_answer(&state.app, &caller, &call).await?.unwrap_or(response));
    }
    Ok(response)
}

fn parse_key(headers: &HeaderMap) -> Result<String, ApiError> {
    let text =
        headers.get(KEY_HEADER).and_then(|value| value.to_str().ok()).map(str::trim).unwrap_or_default();
    match text.len() {
        1..=MAX_IDEMPOTENCY_KEY_BYTES => Ok(text.to_owned()),
        _ => {
            let problem = format!("is not 1 to {MAX_IDEMPOTENCY_KEY_BYTES} characters of ASCII");
            Err(ApiError::field("Idempotency-Key", problem))
        }
    }
}

/// The access key is part of it, so that no key gets the answer of another one of its tenant.
fn digest(caller: &Caller, path: &str, body: &[u8]) -> Vec<u8> {
    let mut digest = Sha256::new();
    for part in [caller.access_key.as_bytes(), path.as_bytes()] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.update(body);
    digest.finalize().to_vec()
}

/// The answer that was given to an equal call before.
///
/// # Errors
/// 1005 when a different call had this key.
async fn kept_answer(app: &App, caller: &Caller, call: &NamedCall) -> Result<Option<Response>, ApiError> {
    let Some(kept) = app.store.idempotent_answer(&caller.tenant, &call.key).await? else { return Ok(None) };
    if kept.digest != call.digest {
        let problem = "Idempotency-Key: a different call had this key within 24 hours; give a new one";
        return Err(ApiError::new(ErrorCode::Conflict, problem));
    }
    let data = RawValue::from_string(kept.answer.expose().to_owned()).map_err(ApiError::internal)?;
    let mut response = Outcome::success(data).into_response();
    response.headers_mut().insert(REPLAYED_HEADER, HeaderValue::from_static("true"));
    Ok(Some(response))
}
