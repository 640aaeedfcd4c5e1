//! How an object store is talked to: every request through the guard, and retried while its failure may be
//! transient.
//!
//! Retries are made here, one request at a time, and nowhere else: a body in memory is sent again as it is,
//! a multipart upload never starts over, and whoever drops an upload half-way can still abort it. No object
//! store is waited for longer than the [`RetryBudget`] says. Redirects are not followed: a signature is for
//! one host.

mod body;
mod error;
mod error_response;
mod part_signer;
mod token_cache;

use std::{
    cell::Cell,
    sync::Arc,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{Response, request::Parts};
use md5::{Digest as _, Md5};
use model::limits::{MAX_STORE_ANSWER_BYTES, MAX_STORE_ERROR_BYTES, MAX_TOKEN_ANSWER_BYTES};
use opendal::{Buffer, HttpBody, HttpTransport};
use rand::RngExt as _;
use reqwest::{
    Body, Method, Request, StatusCode,
    header::{AUTHORIZATION, CONTENT_LENGTH, ETAG, HeaderName, HeaderValue, RANGE},
};
use tokio::{
    task_local,
    time::{Instant, sleep},
};
use url::Url;

use self::{
    body::{IdleWatch, chunked, read_beginning, read_whole, stream_of, within},
    error_response::ErrorResponse,
};
pub(crate) use self::{
    error::{MAX_LISTING_REQUESTS, TransportError, WRITE_FORBIDDEN},
    part_signer::PartSigner,
    token_cache::TokenCache,
};
use crate::backoff::Backoff;

/// The delay before the first retry; each next one is twice as long.
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(250);

/// The longest delay before a retry, whatever the object store asks for.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(10);

/// The MD5 of a request's or an answer's body (RFC 1864).
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// How long an object store is waited for.
#[derive(Clone, Copy, Debug)]
pub struct RetryBudget {
    /// From the start of a request to its last retry.
    pub total: Duration,
    /// The longest time in which not a byte is sent or received.
    pub idle: Duration,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { total: Duration::from_secs(120), idle: Duration::from_secs(30) }
    }
}

/// Is called with a sentence that says why an object store is waited for, and with an empty one when it
/// answers again.
pub type WaitReporter = Arc<dyn Fn(&str) + Send + Sync>;

/// Says whether a bucket may still be changed. It is asked just before each request that changes something,
/// also before each retry; when it says no, the request is not sent.
pub type WriteGuard = Arc<dyn Fn() -> bool + Send + Sync>;

task_local! {
    /// Requests that a listing may still make.
    pub(crate) static LISTING_REQUESTS_LEFT: Cell<usize>;
}

/// How object stores are reached.
#[derive(Clone)]
pub(crate) struct TransportConfig {
    pub(crate) client: net::Client,
    pub(crate) retry_budget: RetryBudget,
    pub(crate) wait_reporter: Option<WaitReporter>,
    pub(crate) write_guard: Option<WriteGuard>,
}

/// The HTTP transport to one bucket, for opendal.
pub(crate) struct Transport {
    config: TransportConfig,
    /// `s3://bucket/`, for messages and logs.
    bucket: String,
    quirks: Quirks,
}

/// What some object stores need done otherwise than opendal does it.
#[derive(Default)]
pub(crate) struct Quirks {
    pub(crate) host_override: Option<HostOverride>,
    pub(crate) part_signer: Option<PartSigner>,
    pub(crate) token_cache: Option<TokenCache>,
}

/// Sends the requests that opendal makes for one host to another.
#[derive(Clone, Debug)]
pub(crate) struct HostOverride {
    /// The host that opendal makes requests for.
    pub(crate) from: String,
    /// Scheme, host and port that they are sent to.
    pub(crate) to: Url,
}

impl HostOverride {
    /// The URL to request instead of one of opendal's.
    pub(crate) fn apply(&self, url: Url) -> Url {
        if url.host_str() != Some(&self.from) {
            return url;
        }
        let mut overridden = self.to.clone();
        overridden.set_path(url.path());
        overridden.set_query(url.query());
        overridden
    }
}

impl Transport {
    pub(crate) fn new(config: TransportConfig, bucket: String, quirks: Quirks) -> Self {
        Self { config, bucket, quirks }
    }

    fn report_wait(&self, reason: &str) {
        if let Some(report) = &self.config.wait_reporter {
            report(reason);
        }
    }

    fn check_may_write(&self, pending: &PendingRequest) -> Result<(), TransportError> {
        match &self.config.write_guard {
            Some(may_write) if pending.is_write() && !may_write() => Err(TransportError::WriteForbidden),
            _ => Ok(()),
        }
    }

    /// One exchange: a good answer, or the reason why there is none.
    async fn send_once(&self, pending: &PendingRequest) -> Result<Response<HttpBody>, TransportError> {
        self.check_may_write(pending)?;
        let idle = self.config.retry_budget.idle;
        let watch = Arc::new(IdleWatch::new());
        let request = pending.to_request(&watch);
        let exchange = if pending.backoff.retries() == 0 {
            watch.run(idle, self.config.client.send(request)).await
        } else {
            watch.run(idle, self.config.client.send_on_new_connection(request)).await
        };
        let answer = exchange.ok_or(TransportError::Idle(idle))?.map_err(TransportError::Net)?.response;
        let status = answer.status();
        if status.is_redirection() || status.is_client_error() || status.is_server_error() {
            let headers = answer.headers().clone();
            // an error response stays one, even if its text cannot be read
            let text = match within(idle, read_beginning(answer, MAX_STORE_ERROR_BYTES)).await {
                Ok(Ok(text)) => text,
                Ok(Err(_)) | Err(_) => bytes::Bytes::new(),
            };
            return Err(TransportError::Refused(ErrorResponse::parse(status, &headers, &text, now())));
        }
        pending.check_echoed_md5(answer.headers())?;
        self.answer(pending, answer).await
    }

    /// The answer for opendal. Ranges of objects are streamed; every other answer is small and read here, so
    /// that one which breaks off is retried.
    async fn answer(
        &self,
        pending: &PendingRequest,
        answer: reqwest::Response,
    ) -> Result<Response<HttpBody>, TransportError> {
        let idle = self.config.retry_budget.idle;
        let mut response = Response::new(());
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        let is_range =
            answer.status() == StatusCode::PARTIAL_CONTENT || pending.head.headers.contains_key(RANGE);
        let body = if is_range {
            // the Content-Length of an answer to HEAD is that of the object
            let size = if pending.head.method == Method::HEAD { None } else { answer.content_length() };
            HttpBody::new(stream_of(answer, idle), size)
        } else {
            let is_token =
                self.quirks.token_cache.as_ref().is_some_and(|cache| cache.has_host(&pending.head.uri));
            let max_bytes = if is_token { MAX_TOKEN_ANSWER_BYTES } else { MAX_STORE_ANSWER_BYTES };
            let bytes = within(idle, read_whole(answer, max_bytes))
                .await
                .map_err(|_| TransportError::Idle(idle))??;
            let size = bytes.len() as u64;
            HttpBody::new(futures::stream::iter([Ok(Buffer::from(bytes))]), Some(size))
        };
        Ok(response.map(|()| body))
    }

    /// Sends a request until there is a good answer, an error that is not transient, or no retry budget
    /// left.
    async fn send(&self, request: http::Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        let (mut head, body) = request.into_parts();
        if let Some(part_signer) = &self.quirks.part_signer {
            part_signer.strip_encryption(&mut head).await?;
        }
        let mut pending = PendingRequest::new(head, body, self.quirks.host_override.as_ref())?;
        count_listing_request()?;
        loop {
            let error = match self.send_once(&pending).await {
                Ok(response) => {
                    let retries = pending.backoff.retries();
                    if retries > 0 {
                        tracing::info!(bucket = self.bucket, retries, "the object store answers again");
                        self.report_wait("");
                    }
                    return Ok(response);
                }
                Err(error) => error,
            };
            let Some(delay) = self.next_delay(&mut pending, &error) else { return Err(error.into()) };
            if !delay.is_zero() {
                tracing::warn!(
                    bucket = self.bucket, %error, retries = pending.backoff.retries(), retry_in = ?delay,
                    "a request to the object store failed; it is retried"
                );
                self.report_wait(&format!("waiting for {}: {error}", self.bucket));
            }
            sleep(delay).await;
        }
    }

    /// How long to wait before the next retry; none when it is of no use, or the budget is used up.
    fn next_delay(&self, pending: &mut PendingRequest, error: &TransportError) -> Option<Duration> {
        if !error.is_transient() {
            return None;
        }
        let is_first_failure = pending.backoff.retries() == 0;
        let backoff = pending.backoff.next_delay();
        if error.is_stale() && is_first_failure {
            return Some(Duration::ZERO);
        }
        let delay = error.retry_after().unwrap_or(backoff).min(MAX_RETRY_DELAY);
        // jitter: what failed together is not retried together
        let delay = delay.mul_f64(rand::rng().random_range(0.75..1.0));
        (pending.started.elapsed() + delay < self.config.retry_budget.total).then_some(delay)
    }
}

/// A request that is sent until it is answered.
struct PendingRequest {
    head: Parts,
    url: Url,
    body: Buffer,
    /// The MD5 of the body of a PUT.
    md5: Option<[u8; 16]>,
    started: Instant,
    backoff: Backoff,
}

impl PendingRequest {
    fn new(mut head: Parts, body: Buffer, host_override: Option<&HostOverride>) -> opendal::Result<Self> {
        let url = Url::parse(&head.uri.to_string()).map_err(|error| {
            opendal::Error::new(opendal::ErrorKind::Unexpected, format!("is no URL: {error}"))
        })?;
        let has_checksum = head.headers.keys().any(|name| name.as_str().starts_with("x-amz-checksum-"));
        let md5 = if head.method == Method::PUT && !has_checksum { Some(md5_of(&body)) } else { None };
        let is_s3 = is_signed_as(&head, "AWS4-");
        // these two signatures list the headers that they cover, so one more can be added to a signed
        // request
        if let Some(md5) = md5
            && (is_s3 || is_signed_as(&head, "q-sign-"))
        {
            head.headers.insert(CONTENT_MD5, base64_header(md5));
        }
        let url = match host_override {
            _ if is_s3 => encode_as_s3_signs(url),
            Some(host_override) => host_override.apply(url),
            None => url,
        };
        let backoff = Backoff::new(FIRST_RETRY_DELAY, MAX_RETRY_DELAY);
        Ok(Self { head, url, body, md5, started: Instant::now(), backoff })
    }

    /// Whether it changes an object. Removing the parts of an upload changes none: only who began the upload
    /// knows its id.
    fn is_write(&self) -> bool {
        match self.head.method {
            Method::GET | Method::HEAD => false,
            Method::DELETE => !self.url.query_pairs().any(|(name, _)| name == "uploadId"),
            _ => true,
        }
    }

    /// The request of the next try; its body counts as moving while it is sent.
    fn to_request(&self, watch: &Arc<IdleWatch>) -> Request {
        let mut request = Request::new(self.head.method.clone(), self.url.clone());
        *request.headers_mut() = self.head.headers.clone();
        if !self.body.is_empty() {
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(self.body.len()));
            *request.body_mut() = Some(Body::wrap_stream(chunked(self.body.clone(), Arc::clone(watch))));
        } else if self.head.method != Method::GET && self.head.method != Method::HEAD {
            request.headers_mut().entry(CONTENT_LENGTH).or_insert(HeaderValue::from_static("0"));
        }
        request
    }

    /// Whether the object store received what was sent, where its answer says what it received: Azure in
    /// `Content-MD5`, OSS and OBS in the ETag, unless a key of the customer's encrypts the object. Their
    /// signatures leave no room for a checksum in the request.
    fn check_echoed_md5(&self, answer: &http::HeaderMap) -> Result<(), TransportError> {
        let Some(md5) = self.md5 else { return Ok(()) };
        if self.body.is_empty() {
            return Ok(());
        }
        let text = |name: HeaderName| answer.get(name).and_then(|value| value.to_str().ok());
        let is_received = if let Some(received) = text(CONTENT_MD5) {
            received == BASE64_STANDARD.encode(md5)
        } else if is_signed_as(&self.head, "OSS ") || is_signed_as(&self.head, "OBS ") {
            let is_encrypted = answer.keys().any(|name| name.as_str().ends_with("server-side-encryption"));
            match text(ETAG).map(|etag| etag.trim_matches('"').to_ascii_lowercase()) {
                Some(etag) if etag.len() == 32 && !is_encrypted => etag == hex::encode(md5),
                _ => true,
            }
        } else {
            true
        };
        if is_received { Ok(()) } else { Err(TransportError::ChecksumMismatch) }
    }
}

/// Fails when a listing has made all the requests that it may make; other requests are not counted.
fn count_listing_request() -> Result<(), TransportError> {
    let has_more = LISTING_REQUESTS_LEFT.try_with(|left| {
        let before = left.get();
        left.set(before.saturating_sub(1));
        before > 0
    });
    if has_more.unwrap_or(true) { Ok(()) } else { Err(TransportError::EndlessListing) }
}

impl HttpTransport for Transport {
    async fn fetch(&self, request: http::Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        match &self.quirks.token_cache {
            Some(cache) if cache.has_host(request.uri()) => cache.get_or_fetch(self.send(request)).await,
            _ => self.send(request).await,
        }
    }
}

/// Whether a request is signed in the way whose `Authorization` begins like this.
fn is_signed_as(head: &Parts, scheme: &str) -> bool {
    head.headers.get(AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(scheme.as_bytes()))
}

fn md5_of(body: &Buffer) -> [u8; 16] {
    let mut md5 = Md5::new();
    for bytes in body.clone() {
        md5.update(&bytes);
    }
    md5.finalize().into()
}

fn base64_header(md5: [u8; 16]) -> HeaderValue {
    HeaderValue::try_from(BASE64_STANDARD.encode(md5)).expect("base64 is a header's text")
}

/// A URL with every character percent-encoded that is encoded in S3's canonical request. opendal leaves some
/// as they are, which AWS accepts and other servers that check a signature do not.
pub(crate) fn encode_as_s3_signs(mut url: Url) -> Url {
    let encode = |text: &str, characters: &str| -> String {
        text.chars()
            .map(|one| if characters.contains(one) { format!("%{:02X}", u32::from(one)) } else { one.into() })
            .collect()
    };
    url.set_path(&encode(url.path(), "!'()*"));
    let query = url.query().map(|query| encode(query, "!'()*/"));
    url.set_query(query.as_deref());
    url
}

/// The time of this machine.
#[expect(
    clippy::disallowed_methods,
    reason = "object stores compare times with their own clock, not a test's"
)]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}
