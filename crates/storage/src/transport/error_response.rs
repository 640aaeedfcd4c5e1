//! The error responses of object stores, in every vendor's form, and what each of them means.
//!
//! S3, OSS, COS, OBS and GCS answer XML with `Code`, `Message` and `RequestId`; Azure leaves the request id
//! to a header, and the code too where an answer has no body; the JSON interface of GCS has a form of its
//! own.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, StatusCode};
use model::ErrorCode;

/// How much of a vendor's text is passed on, in characters.
const MAX_TEXT_CHARS: usize = 300;

/// The headers in which vendors give a request's id.
const REQUEST_ID_HEADERS: &[&str] = &[
    "x-amz-request-id",
    "x-oss-request-id",
    "x-cos-request-id",
    "x-obs-request-id",
    "x-ms-request-id",
    "x-guploader-uploadid",
];

/// An answer with a status of 3xx, 4xx or 5xx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ErrorResponse {
    status: StatusCode,
    body: ErrorBody,
    /// The region that the bucket is in, where the object store says so.
    region: Option<String>,
    retry_after: Option<Duration>,
}

/// What an error response says in the vendor's own words; each may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ErrorBody {
    /// Such as `NoSuchBucket`.
    code: String,
    message: String,
    /// What the vendor's support asks for.
    request_id: String,
}

impl ErrorResponse {
    pub(super) fn parse(status: StatusCode, headers: &HeaderMap, text: &[u8], now: SystemTime) -> Self {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(one_line);
        let text = String::from_utf8_lossy(text);
        let mut body = parse_xml(&text).or_else(|| parse_json(&text)).unwrap_or_default();
        if body.code.is_empty() {
            body.code = header("x-ms-error-code").unwrap_or_default();
        }
        if body.request_id.is_empty() {
            body.request_id = REQUEST_ID_HEADERS.iter().find_map(|name| header(name)).unwrap_or_default();
        }
        let region = header("x-amz-bucket-region");
        Self { status, body, region, retry_after: net::retry_after(headers, now) }
    }

    /// The code that a task fails with.
    pub(super) fn code(&self) -> ErrorCode {
        if self.is_missing_bucket() {
            return ErrorCode::OutputMissing;
        }
        if self.is_transient() {
            return ErrorCode::OutputUnreachable;
        }
        match self.status {
            StatusCode::NOT_FOUND | StatusCode::GONE => ErrorCode::NotFound,
            _ => ErrorCode::OutputRefused,
        }
    }

    /// Whether a retry may help: first by the vendor's code, which is more exact, then by the status.
    pub(super) fn is_transient(&self) -> bool {
        match self.body.code.as_str() {
            "SlowDown"
            | "SlowDownRead"
            | "SlowDownWrite"
            | "RequestTimeout"
            | "OperationAborted"
            | "InternalError"
            | "ServiceUnavailable"
            | "ServerBusy"
            | "OperationTimedOut"
            | "Throttling"
            | "RequestLimitExceeded"
            | "ContainerBeingDeleted" => return true,
            "NotImplemented" => return false,
            _ => {}
        }
        matches!(
            self.status,
            StatusCode::TEMPORARY_REDIRECT
                | StatusCode::REQUEST_TIMEOUT
                | StatusCode::TOO_EARLY
                | StatusCode::TOO_MANY_REQUESTS
        ) || self.status.is_server_error() && self.status != StatusCode::NOT_IMPLEMENTED
    }

    pub(super) fn is_precondition_failed(&self) -> bool {
        self.status == StatusCode::PRECONDITION_FAILED
    }

    pub(super) fn is_no_such_upload(&self) -> bool {
        self.body.code == "NoSuchUpload"
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    fn is_missing_bucket(&self) -> bool {
        // the JSON interface of GCS has one reason for a missing bucket and a missing object, `notFound`
        matches!(self.body.code.as_str(), "NoSuchBucket" | "ContainerNotFound")
            || self.status == StatusCode::NOT_FOUND && self.body.message.contains("bucket does not exist")
    }

    /// What the customer can do about it, where the vendor's message does not say so.
    fn advice(&self) -> Option<String> {
        match (self.body.code.as_str(), &self.region) {
            ("RequestTimeTooSkewed" | "RequestExpired", _) => {
                Some("the clocks of this server and of the object store differ; set this server's".to_owned())
            }
            (_, Some(region)) if self.status.is_redirection() || self.status == StatusCode::BAD_REQUEST => {
                Some(format!("the bucket is in the region `{region}`; give that"))
            }
            _ if self.status.is_redirection() => {
                Some("the bucket is served elsewhere; give its region or endpoint".to_owned())
            }
            _ => None,
        }
    }
}

impl fmt::Display for ErrorResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the object store answered {}", self.status.as_u16())?;
        if !self.body.code.is_empty() {
            write!(f, " {}", self.body.code)?;
        }
        if !self.body.message.is_empty() {
            write!(f, ": {}", self.body.message.trim_end_matches('.'))?;
        }
        if let Some(advice) = self.advice() {
            write!(f, "; {advice}")?;
        }
        if !self.body.request_id.is_empty() {
            write!(f, " (request {})", self.body.request_id)?;
        }
        Ok(())
    }
}

fn parse_xml(text: &str) -> Option<ErrorBody> {
    let document = roxmltree::Document::parse(text).ok()?;
    let error = document.descendants().find(|node| node.has_tag_name("Error"))?;
    let text_of = |names: &[&str]| {
        let child = error.children().find(|node| names.contains(&node.tag_name().name()));
        child.and_then(|node| node.text()).map(one_line).unwrap_or_default()
    };
    Some(ErrorBody {
        code: text_of(&["Code"]),
        message: text_of(&["Message"]),
        request_id: text_of(&["RequestId", "RequestID"]),
    })
}

fn parse_json(text: &str) -> Option<ErrorBody> {
    let document: serde_json::Value = serde_json::from_str(text).ok()?;
    let error = &document["error"];
    if let Some(code) = error.as_str() {
        // the error response of a token endpoint (RFC 6749, 5.2)
        let description = document["error_description"].as_str().unwrap_or_default();
        return Some(ErrorBody {
            code: one_line(code),
            message: one_line(description),
            ..ErrorBody::default()
        });
    }
    let reason = error["errors"][0]["reason"].as_str().or(error["status"].as_str()).unwrap_or_default();
    let message = one_line(error["message"].as_str()?);
    Some(ErrorBody { code: one_line(reason), message, ..ErrorBody::default() })
}

/// The first line of a vendor's text, without control characters.
fn one_line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    line.chars().filter(|one| !one.is_control()).take(MAX_TEXT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn response(status: u16, headers: &[(&'static str, &str)], text: &str) -> ErrorResponse {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                (http::HeaderName::from_static(name), value.parse().expect("a header's value"))
            })
            .collect();
        let status = StatusCode::from_u16(status).expect("a status");
        ErrorResponse::parse(status, &headers, text.as_bytes(), SystemTime::UNIX_EPOCH)
    }

    fn xml(code: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>Words.</Message><RequestId>4F</RequestId></Error>"
        )
    }

    #[rstest]
    #[case(404, "NoSuchBucket", ErrorCode::OutputMissing, false)]
    #[case(404, "ContainerNotFound", ErrorCode::OutputMissing, false)]
    #[case(404, "NoSuchKey", ErrorCode::NotFound, false)]
    #[case(403, "AccessDenied", ErrorCode::OutputRefused, false)]
    #[case(403, "SignatureDoesNotMatch", ErrorCode::OutputRefused, false)]
    #[case(403, "RequestTimeTooSkewed", ErrorCode::OutputRefused, false)]
    #[case(400, "EntityTooLarge", ErrorCode::OutputRefused, false)]
    #[case(400, "RequestTimeout", ErrorCode::OutputUnreachable, true)]
    #[case(409, "OperationAborted", ErrorCode::OutputUnreachable, true)]
    #[case(503, "SlowDown", ErrorCode::OutputUnreachable, true)]
    #[case(429, "", ErrorCode::OutputUnreachable, true)]
    #[case(500, "", ErrorCode::OutputUnreachable, true)]
    #[case(501, "NotImplemented", ErrorCode::OutputRefused, false)]
    #[case(301, "PermanentRedirect", ErrorCode::OutputRefused, false)]
    fn what_an_error_response_means(
        #[case] status: u16,
        #[case] vendors: &str,
        #[case] code: ErrorCode,
        #[case] is_transient: bool,
    ) {
        let response = response(status, &[], &xml(vendors));
        assert_eq!((response.code(), response.is_transient()), (code, is_transient));
    }

    #[rstest]
    #[case::s3(403, &[], &xml("AccessDenied"), "the object store answered 403 AccessDenied: Words (request 4F)")]
    #[case::azure(
        403,
        &[("x-ms-request-id", "7a")],
        "\u{feff}<?xml version=\"1.0\"?><Error><Code>AuthenticationFailed</Code><Message>Server failed.\nRequestId:7a\nTime:1</Message></Error>",
        "the object store answered 403 AuthenticationFailed: Server failed (request 7a)"
    )]
    #[case::azure_without_a_body(
        404,
        &[("x-ms-error-code", "ContainerNotFound"), ("x-ms-request-id", "7a")],
        "",
        "the object store answered 404 ContainerNotFound (request 7a)"
    )]
    #[case::gcs(
        403,
        &[],
        r#"{"error":{"code":403,"message":"no access to b","errors":[{"reason":"forbidden"}]}}"#,
        "the object store answered 403 forbidden: no access to b"
    )]
    #[case::google_token(
        400,
        &[],
        r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#,
        "the object store answered 400 invalid_grant: Invalid JWT Signature"
    )]
    #[case::skew(
        403,
        &[],
        &xml("RequestTimeTooSkewed"),
        "the object store answered 403 RequestTimeTooSkewed: Words; the clocks of this server and of the object store differ; set this server's (request 4F)"
    )]
    #[case::region(
        301,
        &[("x-amz-bucket-region", "eu-west-3"), ("x-amz-request-id", "7a")],
        "",
        "the object store answered 301; the bucket is in the region `eu-west-3`; give that (request 7a)"
    )]
    #[case::no_text(502, &[], "<html>bad gateway</html>", "the object store answered 502")]
    fn an_error_response_is_quoted_in_the_vendors_own_words(
        #[case] status: u16,
        #[case] headers: &[(&'static str, &str)],
        #[case] text: &str,
        #[case] expected: &str,
    ) {
        assert_eq!(response(status, headers, text).to_string(), expected);
    }

    #[test]
    fn a_bucket_that_gcs_does_not_know_is_missing() {
        let text = r#"{"error":{"code":404,"message":"The specified bucket does not exist.","errors":[{"reason":"notFound"}]}}"#;
        assert_eq!(response(404, &[], text).code(), ErrorCode::OutputMissing);
    }
}
