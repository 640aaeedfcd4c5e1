//! The error of a call: a documented code and a sentence that names the field, the value and what would do.
//!
//! The reason of a failure of our own is logged here, once, and never answered: the request id in the answer
//! finds it in the log.

use std::{any::Any, borrow::Cow, collections::BTreeMap, time::Duration};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use model::{ErrorCode, FieldError};
use storage::StorageError;
use store::StoreError;
use utoipa::{
    IntoResponses,
    openapi::{ContentBuilder, RefOr, Response as Documented, ResponseBuilder, schema::Ref},
};

use super::envelope::Outcome;

/// When to try again with too many unfinished tasks: some will have ended.
const QUOTA_RETRY_AFTER: Duration = Duration::from_secs(10);

/// Why a call was refused or failed.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    code: ErrorCode,
    /// The sentence that follows the word of the code.
    detail: Cow<'static, str>,
    /// For the header `Retry-After`: from now on.
    retry_after: Option<Duration>,
    /// Where HTTP has a status that is more exact than that of the code.
    status: Option<StatusCode>,
}

impl ApiError {
    /// An error with its sentence.
    pub(super) fn new(code: ErrorCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into(), retry_after: None, status: None }
    }

    /// A field of the request is wrong.
    pub(super) fn field(field: &str, problem: impl Into<String>) -> Self {
        FieldError::new(field, problem).into()
    }

    /// The same error, which may be gone after `wait`.
    pub(super) fn with_retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// The client was waited for, in vain: 408 (RFC 9110, 15.5.9).
    pub(super) fn timed_out(field: &str, problem: impl Into<String>) -> Self {
        Self { status: Some(StatusCode::REQUEST_TIMEOUT), ..Self::field(field, problem) }
    }

    /// The same error of one part of the request, such as `tasks[3]`: the detail of a wrong parameter begins
    /// with the name of the field, which becomes `tasks[3].output`.
    pub(super) fn within(self, part: &str) -> Self {
        let separator = if self.code == ErrorCode::BadParam { "." } else { ": " };
        Self { detail: format!("{part}{separator}{}", self.detail).into(), ..self }
    }

    /// There is too much at this moment; it may be tried again after `wait`.
    pub(super) fn rate_limited(detail: impl Into<Cow<'static, str>>, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..Self::new(ErrorCode::RateLimited, detail) }
    }

    /// What the call names is not there.
    pub(super) fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::NotFound, detail)
    }

    /// A failure of our own; its reason goes to the log alone.
    pub(super) fn internal(reason: impl std::fmt::Display) -> Self {
        tracing::error!(%reason, "a call failed");
        Self::new(
            ErrorCode::Internal,
            "this is a failure of the server; its log says more under the request id",
        )
    }

    /// What goes into the envelope.
    pub(super) fn outcome(self) -> Outcome {
        let msg = format!("{}: {}", self.code.words(), self.detail);
        Outcome::failure(self.status.unwrap_or_else(|| http_status(self.code)), self.code, msg)
    }
}

/// The HTTP status that says the same as the code.
fn http_status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BadParam => StatusCode::BAD_REQUEST,
        ErrorCode::AuthFail => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::Conflict => StatusCode::CONFLICT,
        ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Unavailable | ErrorCode::OutputUnreachable => StatusCode::SERVICE_UNAVAILABLE,
        // an object store of the customer's that refuses is no failure of this server
        ErrorCode::OutputRefused | ErrorCode::OutputMissing => StatusCode::CONFLICT,
        // codes of failed tasks, which no call answers
        ErrorCode::InvalidInput
        | ErrorCode::InputUnreachable
        | ErrorCode::InputForbidden
        | ErrorCode::InputOverLimit
        | ErrorCode::NothingToTranscode
        | ErrorCode::EncodingFailed
        | ErrorCode::EncodingOverLimit
        | ErrorCode::KeyServerFailed
        | ErrorCode::Cancelled
        | ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (code, retry_after) = (self.code, self.retry_after);
        let mut response = self.outcome().into_response();
        if code == ErrorCode::AuthFail {
            let scheme = HeaderValue::from_static("Basic realm=\"borealis\", charset=\"UTF-8\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        if let Some(wait) = retry_after {
            // whole seconds (RFC 9110, 10.2.3), rounded up: never too early
            let seconds = HeaderValue::from(wait.as_secs_f64().ceil() as u64);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

impl From<FieldError> for ApiError {
    fn from(error: FieldError) -> Self {
        Self::new(ErrorCode::BadParam, error.to_string())
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(detail) => Self::not_found(detail),
            StoreError::Conflict(detail) => Self::new(ErrorCode::Conflict, detail),
            StoreError::Field(wrong) => wrong.into(),
            StoreError::OverQuota(detail) => Self::rate_limited(detail, QUOTA_RETRY_AFTER),
            StoreError::AlreadyAnswered => Self::new(
                ErrorCode::Conflict,
                "Idempotency-Key: a call with this one came at the same moment",
            ),
            StoreError::WrongState(wrong) => Self::new(ErrorCode::Conflict, wrong.to_string()),
            error if error.is_transient() => {
                tracing::error!(%error, "the database did not answer");
                Self::new(ErrorCode::Unavailable, "the database does not answer; try again")
            }
            error @ (StoreError::Fenced
            | StoreError::Secret(_)
            | StoreError::Database(_)
            | StoreError::Corrupt(_)) => Self::internal(error),
        }
    }
}

impl From<StorageError> for ApiError {
    /// Why a storage cannot be opened, or its objects cannot be listed.
    fn from(error: StorageError) -> Self {
        match error.code {
            ErrorCode::Internal => Self::internal(error),
            code => Self::new(code, error.detail),
        }
    }
}

/// The answer in place of a handler that panicked.
pub(super) fn answer_panic(panic: Box<dyn Any + Send>) -> Response {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    ApiError::internal(format!("panic: {}", text.unwrap_or("no text"))).into_response()
}

/// Defines a type for each code that calls document as an error: `responses(…, NotFound)` in their
/// attributes.
macro_rules! documented_errors {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Documented>> {
                BTreeMap::from([documented_response(ErrorCode::$name)])
            }
        }
    )+};
}

documented_errors! {
    /// 400
    BadParam;
    /// 401
    AuthFail;
    /// 403
    Forbidden;
    /// 404
    NotFound;
    /// 409
    Conflict;
    /// 413
    TooLarge;
    /// 429
    RateLimited;
    /// 500
    Internal;
    /// 503
    Unavailable;
}

/// The response with a code, for the OpenAPI document.
fn documented_response(code: ErrorCode) -> (String, RefOr<Documented>) {
    let envelope = ContentBuilder::new().schema(Some(Ref::from_schema_name("Envelope_Nothing"))).build();
    let response = ResponseBuilder::new()
        .description(format!("`code` {}, `msg` `{}: …`: {}", code.number(), code.words(), code.meaning()))
        .content("application/json", envelope)
        .build();
    (http_status(code).as_str().to_owned(), response.into())
}

#[cfg(test)]
mod tests {
    use std::{env, fmt::Write as _, fs, path::PathBuf};

    use super::*;

    /// The list in `docs/api.md`; `make gen` writes it again.
    #[test]
    fn the_table_of_codes_is_generated() {
        const MARKER: &str = "<!-- codes -->";
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/api.md");
        let text = fs::read_to_string(&path).expect("docs/api.md is there");
        let [head, table, tail] = text.split(MARKER).collect::<Vec<_>>()[..] else {
            panic!("docs/api.md has not two markers {MARKER}");
        };
        let mut expected = "\n| code | word | HTTP | meaning |\n|---|---|---|---|\n".to_owned();
        for code in ErrorCode::ALL {
            let answered = match http_status(*code) {
                StatusCode::INTERNAL_SERVER_ERROR if *code != ErrorCode::Internal => String::new(),
                status => status.as_u16().to_string(),
            };
            let (number, words, meaning) = (code.number(), code.words(), code.meaning());
            writeln!(expected, "| {number} | `{words}` | {answered} | {meaning} |")
                .expect("a text takes all");
        }
        if env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, [head, &expected, tail].join(MARKER)).expect("docs/api.md can be written");
        } else {
            assert_eq!(table, expected, "docs/api.md is not what the codes are: run `make gen`");
        }
    }
}
