//! What a store says when it refuses, in any vendor's form, and what each refusal means.
//!
//! S3, OSS, COS, OBS and GCS answer XML with `Code`, `Message` and `RequestId`; Azure leaves the
//! request id to a header, and the code too where an answer has no body; the JSON interface of GCS
//! has a form of its own.

use std::{fmt, time::Duration};

use http::{HeaderMap, StatusCode};
use model::ErrorCode;

/// The longest text of a vendor's that is handed on, in characters.
const LONGEST: usize = 300;

/// Where vendors put a request's id.
const REQUEST_IDS: &[&str] = &[
    "x-amz-request-id",
    "x-oss-request-id",
    "x-cos-request-id",
    "x-obs-request-id",
    "x-ms-request-id",
    "x-guploader-uploadid",
];

/// A store's no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: StatusCode,
    /// The vendor's own code, such as `NoSuchBucket`; may be empty.
    code: String,
    /// The vendor's own words; may be empty.
    message: String,
    /// What the vendor's support asks for; may be empty.
    request_id: String,
    /// The region that the bucket is in, where the store says so.
    region: Option<String>,
    retry_after: Option<Duration>,
}

impl Refusal {
    pub(super) fn of(status: StatusCode, headers: &HeaderMap, text: &[u8]) -> Self {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(clean);
        let text = String::from_utf8_lossy(text);
        let (code, message, request_id) = of_xml(&text).or_else(|| of_json(&text)).unwrap_or_default();
        Self {
            status,
            code: if code.is_empty() { header("x-ms-error-code").unwrap_or_default() } else { code },
            message,
            request_id: if request_id.is_empty() {
                REQUEST_IDS.iter().find_map(|name| header(name)).unwrap_or_default()
            } else {
                request_id
            },
            region: header("x-amz-bucket-region"),
            retry_after: super::retry_after(headers),
        }
    }

    /// The code that a task fails with.
    pub(super) fn code(&self) -> ErrorCode {
        if self.is_missing_bucket() {
            return ErrorCode::OutputMissing;
        }
        if self.may_pass() {
            return ErrorCode::OutputUnreachable;
        }
        match self.status {
            StatusCode::NOT_FOUND | StatusCode::GONE => ErrorCode::NotFound,
            _ => ErrorCode::OutputRefused,
        }
    }

    pub(super) fn may_pass(&self) -> bool {
        match self.code.as_str() {
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

    pub(super) fn is_changed(&self) -> bool {
        self.status == StatusCode::PRECONDITION_FAILED
    }

    pub(super) fn is_unknown_upload(&self) -> bool {
        self.code == "NoSuchUpload"
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    fn is_missing_bucket(&self) -> bool {
        matches!(self.code.as_str(), "NoSuchBucket" | "ContainerNotFound")
            || self.status == StatusCode::NOT_FOUND && self.message.contains("bucket does not exist")
    }

    /// What the customer can do about it, where the vendor does not say so.
    fn advice(&self) -> Option<String> {
        match (self.code.as_str(), &self.region) {
            ("RequestTimeTooSkewed" | "RequestExpired", _) => {
                Some("the clocks of this server and of the store differ too much; set this one's".to_owned())
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

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store answered {}", self.status.as_u16())?;
        if !self.code.is_empty() {
            write!(f, " {}", self.code)?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message.trim_end_matches('.'))?;
        }
        if let Some(advice) = self.advice() {
            write!(f, "; {advice}")?;
        }
        if !self.request_id.is_empty() {
            write!(f, " (request {})", self.request_id)?;
        }
        Ok(())
    }
}

/// Code, message and request id.
type Said = (String, String, String);

fn of_xml(text: &str) -> Option<Said> {
    let document = roxmltree::Document::parse(text).ok()?;
    let error = document.descendants().find(|node| node.has_tag_name("Error"))?;
    let find = |names: &[&str]| {
        let found = error.children().find(|node| names.contains(&node.tag_name().name()));
        found.and_then(|node| node.text()).map(clean).unwrap_or_default()
    };
    Some((find(&["Code"]), find(&["Message"]), find(&["RequestId", "RequestID"])))
}

fn of_json(text: &str) -> Option<Said> {
    let document: serde_json::Value = serde_json::from_str(text).ok()?;
    let error = &document["error"];
    if let Some(code) = error.as_str() {
        // a token that was not given (RFC 6749, 5.2)
        let description = document["error_description"].as_str().unwrap_or_default();
        return Some((clean(code), clean(description), String::new()));
    }
    let reason = error["errors"][0]["reason"].as_str().or(error["status"].as_str()).unwrap_or_default();
    Some((clean(reason), clean(error["message"].as_str()?), String::new()))
}

/// The first line of a vendor's text, without what does not belong into a line.
fn clean(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    line.chars().filter(|one| !one.is_control()).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn refusal(status: u16, headers: &[(&'static str, &str)], text: &str) -> Refusal {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                (http::HeaderName::from_static(name), value.parse().expect("a header's value"))
            })
            .collect();
        Refusal::of(StatusCode::from_u16(status).expect("a status"), &headers, text.as_bytes())
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
    fn what_a_refusal_means(
        #[case] status: u16,
        #[case] vendors: &str,
        #[case] code: ErrorCode,
        #[case] may_pass: bool,
    ) {
        let refusal = refusal(status, &[], &xml(vendors));
        assert_eq!((refusal.code(), refusal.may_pass()), (code, may_pass));
    }

    #[rstest]
    #[case::s3(403, &[], &xml("AccessDenied"), "the store answered 403 AccessDenied: Words (request 4F)")]
    #[case::azure(
        403,
        &[("x-ms-request-id", "7a")],
        "\u{feff}<?xml version=\"1.0\"?><Error><Code>AuthenticationFailed</Code><Message>Server failed.\nRequestId:7a\nTime:1</Message></Error>",
        "the store answered 403 AuthenticationFailed: Server failed (request 7a)"
    )]
    #[case::azure_without_a_body(
        404,
        &[("x-ms-error-code", "ContainerNotFound"), ("x-ms-request-id", "7a")],
        "",
        "the store answered 404 ContainerNotFound (request 7a)"
    )]
    #[case::gcs(
        403,
        &[],
        r#"{"error":{"code":403,"message":"no access to b","errors":[{"reason":"forbidden"}]}}"#,
        "the store answered 403 forbidden: no access to b"
    )]
    #[case::google_token(
        400,
        &[],
        r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#,
        "the store answered 400 invalid_grant: Invalid JWT Signature"
    )]
    #[case::skew(
        403,
        &[],
        &xml("RequestTimeTooSkewed"),
        "the store answered 403 RequestTimeTooSkewed: Words; the clocks of this server and of the store differ too much; set this one's (request 4F)"
    )]
    #[case::region(
        301,
        &[("x-amz-bucket-region", "eu-west-3"), ("x-amz-request-id", "7a")],
        "",
        "the store answered 301; the bucket is in the region `eu-west-3`; give that (request 7a)"
    )]
    #[case::no_text(502, &[], "<html>bad gateway</html>", "the store answered 502")]
    fn a_refusal_is_told_with_the_vendors_own_words(
        #[case] status: u16,
        #[case] headers: &[(&'static str, &str)],
        #[case] text: &str,
        #[case] told: &str,
    ) {
        assert_eq!(refusal(status, headers, text).to_string(), told);
    }

    #[test]
    fn a_bucket_that_gcs_does_not_know_is_missing() {
        let text = r#"{"error":{"code":404,"message":"The specified bucket does not exist.","errors":[{"reason":"notFound"}]}}"#;
        assert_eq!(refusal(404, &[], text).code(), ErrorCode::OutputMissing);
    }
}
