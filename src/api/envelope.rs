//! The envelope: `{"code", "msg", "data", "request_id"}` around every JSON answer.
//!
//! A handler gives an [`Answer`] or an [`ApiError`]; both become an [`Outcome`] in the response's
//! extensions. One layer around everything writes the envelope, so that unknown paths, wrong methods, panics
//! and time-outs are answered as calls are. A success without an outcome, such as the metrics or a video,
//! passes as it is.

use std::{borrow::Cow, fmt, sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use model::ErrorCode;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tracing::Instrument as _;
use utoipa::ToSchema;

use super::{BASE_PATH, error::ApiError, limits};
use crate::{app::App, config::ErrorStatus, telemetry};

/// What every call answers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Envelope<T> {
    /// 0 is success; anything else is one of the documented error codes.
    code: u32,
    /// `success`, or the word of the code and a sentence that names what was wrong.
    msg: Cow<'static, str>,
    /// The result; `{}` where there is none.
    data: T,
    /// Finds the call in the server's log; also in the header `x-request-id`.
    #[schema(value_type = String, example = "5f0c6a3d9be84c1f8f5a0c1d2e3f4a5b")]
    request_id: RequestId,
}

/// A success, with warnings about the request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Answer<T> {
    #[serde(flatten)]
    data: T,
    /// What was accepted but is probably a mistake, such as unknown fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    warnings: Vec<String>,
}

/// What a handler returns.
pub(super) type Reply<T> = Result<Answer<T>, ApiError>;

/// The data of a call that has no result: `{}`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Nothing {}

impl<T> Answer<T> {
    /// A success with its warnings.
    pub(super) fn new(data: T, warnings: Vec<String>) -> Self {
        Self { data, warnings }
    }
}

impl Answer<Nothing> {
    /// A success without a result.
    pub(super) fn nothing(warnings: Vec<String>) -> Self {
        Self::new(Nothing {}, warnings)
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        match to_raw_value(&self) {
            Ok(data) => Outcome::success(data).into_response(),
            Err(error) => ApiError::internal(format!("an answer is not JSON: {error}")).into_response(),
        }
    }
}

/// The envelope of a connection that is not served, because its address has too many.
pub(super) fn refused_connection() -> String {
    let problem = "your address has as many connections as one may; close some";
    let msg = format!("{}: {problem}", ErrorCode::RateLimited.words()).into();
    let (code, request_id) = (ErrorCode::RateLimited.number(), RequestId(rand::random()));
    let envelope = Envelope { code, msg, data: Nothing {}, request_id };
    serde_json::to_string(&envelope).expect("texts can be serialised")
}

/// What came of a call. It travels in the extensions of a response without a body, until [`wrap`] writes the
/// envelope.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    status: StatusCode,
    /// None is success.
    code: Option<ErrorCode>,
    msg: Cow<'static, str>,
    /// None is `{}`.
    data: Option<Box<RawValue>>,
}

impl Outcome {
    /// A success with its data, a JSON object.
    pub(super) fn success(data: Box<RawValue>) -> Self {
        Self { status: StatusCode::OK, code: None, msg: "success".into(), data: Some(data) }
    }

    /// An error with its message.
    pub(super) fn failure(status: StatusCode, code: ErrorCode, msg: String) -> Self {
        Self { status, code: Some(code), msg: msg.into(), data: None }
    }

    /// Writes the envelope as the body of the response. Status and headers stay, but for the setting under
    /// which every error except 401 has the status 200, made for clients that read no body of another one.
    fn into_envelope(self, call: &RequestContext, response: Response, error_status: ErrorStatus) -> Response {
        let (mut parts, _) = response.into_parts();
        let always_ok = error_status == ErrorStatus::Ok && call.path.starts_with(BASE_PATH);
        if always_ok && parts.status != StatusCode::UNAUTHORIZED {
            parts.status = StatusCode::OK;
        }
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let code = self.code.map_or(0, ErrorCode::number);
        let (msg, request_id) = (self.msg, call.id);
        let body = match self.data {
            Some(data) => serde_json::to_vec(&Envelope { code, msg, data, request_id }),
            None => serde_json::to_vec(&Envelope { code, msg, data: Nothing {}, request_id }),
        };
        Response::from_parts(parts, Body::from(body.expect("texts and JSON can be serialised")))
    }
}

impl IntoResponse for Outcome {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The identity of one request, made by the server.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(into = "String")]
struct RequestId(u128);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl From<RequestId> for String {
    fn from(id: RequestId) -> Self {
        id.to_string()
    }
}

/// The layer around everything: request id, span, metrics, envelope.
pub(super) async fn wrap(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let call = RequestContext::of(&request);
    let span = tracing::info_span!(
        "request",
        request_id = %call.id,
        method = %call.method,
        path = %call.path,
        access_key = tracing::field::Empty,
    );
    async {
        let mut response = match limits::check_head(&request, &app.settings.api) {
            Ok(()) => next.run(request).await,
            Err(error) => error.into_response(),
        };
        if let Some(outcome) = call.take_outcome(&mut response) {
            response = outcome.into_envelope(&call, response, app.settings.api.error_status);
        }
        if let Ok(id) = HeaderValue::from_str(&call.id.to_string()) {
            response.headers_mut().insert("x-request-id", id);
        }
        call.record(&response);
        response
    }
    .instrument(span)
    .await
}

/// Puts the pattern of the route, such as `/storage/{storage_id}/{*key}`, into the response, where [`wrap`]
/// finds it for the metrics: outside of the router the request does not have it.
pub(super) async fn keep_route(route: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(route) = route {
        response.extensions_mut().insert(route);
    }
    response
}

/// What is still needed of a request when it was consumed.
struct RequestContext {
    id: RequestId,
    method: Method,
    path: String,
    started: Instant,
}

impl RequestContext {
    fn of(request: &Request) -> Self {
        Self {
            id: RequestId(rand::random()),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            started: Instant::now(),
        }
    }

    /// The outcome to put into the envelope; none when the response is a success that goes out as it is.
    fn take_outcome(&self, response: &mut Response) -> Option<Outcome> {
        if let Some(outcome) = response.extensions_mut().remove::<Outcome>() {
            return Some(outcome);
        }
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            return Some(self.error_for_status(status, response.headers()).outcome());
        }
        None
    }

    /// The error for a status that the router or a layer answered, without an outcome.
    fn error_for_status(&self, status: StatusCode, headers: &HeaderMap) -> ApiError {
        match status {
            StatusCode::NOT_FOUND => {
                ApiError::not_found(format!("there is no `{} {}`", self.method, self.path))
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                let allowed =
                    headers.get(header::ALLOW).and_then(|value| value.to_str().ok()).unwrap_or_default();
                ApiError::field("method", format!("{} is not allowed here; give {allowed}", self.method))
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                ApiError::new(ErrorCode::Unavailable, "the call took too long; try again")
            }
            status if status.is_client_error() => ApiError::new(ErrorCode::BadParam, status.to_string()),
            status => ApiError::internal(format!("a layer answered {status}")),
        }
    }

    fn record(&self, response: &Response) {
        let (took, status) = (self.started.elapsed(), response.status().as_u16());
        let route = response.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str);
        tracing::debug!(status, ?took, "answered");
        telemetry::count_request(route, &self.method, status, took);
    }
}
