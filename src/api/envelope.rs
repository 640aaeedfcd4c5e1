//! The envelope: `{"code", "msg", "data", "request_id"}` around whatever is answered.
//!
//! A handler says what there is to say ([`Answer`], [`ApiError`](super::error::ApiError)); one layer
//! around everything puts it into the envelope, so that unknown paths, wrong methods, panics and
//! time-outs are answered just as calls are. Plain successes, such as metrics, pass as they are.

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

use super::{BASE, error::ApiError, limits};
use crate::{app::App, config::ErrorStatus, telemetry};

/// What every call answers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Envelope<T> {
    /// 0 is success; anything else is one of the documented error codes.
    code: u32,
    /// `success`, or the word of the code and a sentence that names what was wrong.
    msg: Cow<'static, str>,
    /// What was asked for; `{}` where there is nothing to say.
    data: T,
    /// Finds the call in the server's log; the header `x-request-id` says the same.
    #[schema(value_type = String, example = "5f0c6a3d9be84c1f8f5a0c1d2e3f4a5b")]
    request_id: RequestId,
}

/// A success, with what was noticed on the way.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Answer<T> {
    #[serde(flatten)]
    data: T,
    /// What was accepted but should be looked at, such as fields that nobody knows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    warnings: Vec<String>,
}

/// What a handler gives.
pub(super) type Reply<T> = Result<Answer<T>, ApiError>;

/// There is nothing to say.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Nothing {}

impl<T> Answer<T> {
    /// A success with its warnings.
    pub(super) fn new(data: T, warnings: Vec<String>) -> Self {
        Self { data, warnings }
    }
}

impl Answer<Nothing> {
    /// A success that says nothing.
    pub(super) fn nothing(warnings: Vec<String>) -> Self {
        Self::new(Nothing {}, warnings)
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        match to_raw_value(&self) {
            Ok(data) => said(StatusCode::OK, Said { code: None, msg: "success".into(), data: Some(data) }),
            Err(error) => ApiError::internal(format!("an answer is not JSON: {error}")).into_response(),
        }
    }
}

/// What a response says, until the layer puts it into the envelope.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// None is success.
    pub(super) code: Option<ErrorCode>,
    pub(super) msg: Cow<'static, str>,
    /// None is `{}`.
    pub(super) data: Option<Box<RawValue>>,
}

/// A response that says this.
pub(super) fn said(status: StatusCode, said: Said) -> Response {
    let mut response = status.into_response();
    response.extensions_mut().insert(said);
    response
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

/// The layer around everything: identity, span, figures, envelope.
pub(super) async fn enclose(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let call = Call::of(&request);
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
        if let Some(said) = call.said_by(&mut response) {
            response = call.seal(said, response, app.settings.api.error_status);
        }
        if let Ok(id) = HeaderValue::from_str(&call.id.to_string()) {
            response.headers_mut().insert("x-request-id", id);
        }
        call.count(&response);
        response
    }
    .instrument(span)
    .await
}

/// Notes the route's own path, of which there are few, in the response: for the figures.
pub(super) async fn note_route(route: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(route) = route {
        response.extensions_mut().insert(route);
    }
    response
}

/// What must be known of a request after it is gone.
struct Call {
    id: RequestId,
    method: Method,
    path: String,
    began: Instant,
}

impl Call {
    fn of(request: &Request) -> Self {
        Self {
            id: RequestId(rand::random()),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            began: Instant::now(),
        }
    }

    /// What a response says; none when it is a success that goes out as it is.
    fn said_by(&self, response: &mut Response) -> Option<Said> {
        if let Some(said) = response.extensions_mut().remove::<Said>() {
            return Some(said);
        }
        let status = response.status();
        (status.is_client_error() || status.is_server_error())
            .then(|| self.refusal(status, response.headers()).said())
    }

    /// Words for an error that the router or a layer made.
    fn refusal(&self, status: StatusCode, headers: &HeaderMap) -> ApiError {
        match status {
            StatusCode::NOT_FOUND => {
                ApiError::new(ErrorCode::NotFound, format!("there is no `{} {}`", self.method, self.path))
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                let allowed =
                    headers.get(header::ALLOW).and_then(|value| value.to_str().ok()).unwrap_or_default();
                let problem = format!("method: {} is not allowed here; give {allowed}", self.method);
                ApiError::new(ErrorCode::BadParam, problem)
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                ApiError::new(ErrorCode::Unavailable, "the call took too long; try again")
            }
            status if status.is_client_error() => ApiError::new(ErrorCode::BadParam, status.to_string()),
            status => ApiError::internal(format!("a layer answered {status}")),
        }
    }

    /// Puts what is said into the envelope. Status and headers stay, but for the mode in which
    /// every error except 401 is a 200, made for clients that read no body otherwise.
    fn seal(&self, said: Said, response: Response, errors: ErrorStatus) -> Response {
        let (mut parts, _) = response.into_parts();
        let quiet = errors == ErrorStatus::Ok && self.path.starts_with(BASE);
        if quiet && parts.status != StatusCode::UNAUTHORIZED {
            parts.status = StatusCode::OK;
        }
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let (code, msg, request_id) = (said.code.map_or(0, ErrorCode::number), said.msg, self.id);
        let body = match said.data {
            Some(data) => serde_json::to_vec(&Envelope { code, msg, data, request_id }),
            None => serde_json::to_vec(&Envelope { code, msg, data: Nothing {}, request_id }),
        };
        Response::from_parts(parts, Body::from(body.expect("texts, and what is JSON already")))
    }

    fn count(&self, response: &Response) {
        let (took, status) = (self.began.elapsed(), response.status().as_u16());
        let route = response.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str);
        tracing::debug!(status, ?took, "answered");
        telemetry::count_request(route, &self.method, status, took);
    }
}
