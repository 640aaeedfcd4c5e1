//! One attempt to deliver a callback: sign, send, read the start of the answer, record it all.
//!
//! One deadline covers everything from the look-up to the end of the answer, of which only the start is
//! read and less is kept. Redirects are answers like any other, and failures. Every attempt leaves a
//! record, whatever happens; nothing here decides what comes next.

use std::time::{Duration, Instant};

use model::{
    Attempt, CallbackId, Clock, NotifySuccess, Secret, Timestamp,
    limits::{MAX_KEPT_ANSWER_BYTES, MAX_RECEIVER_ANSWER_BYTES},
};
use net::{Exchange, NetError, NetErrorKind, Timing};
use reqwest::{Method, Request, Response, StatusCode, Url, header};

use crate::sign;

/// The longest text of a `Location` header that is shown, in bytes.
const MAX_LOCATION_BYTES: usize = 200;

/// What came of an attempt, as the schedule needs it; the record says the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The receiver accepted it.
    Accepted,
    /// The receiver answered something else.
    Rejected {
        /// The status of its answer.
        status: u16,
        /// The answer's `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// There was no complete answer.
    Unreachable,
    /// It can never be sent: its address is forbidden, or its URL or secret unusable.
    Forbidden,
}

/// How long an attempt may take, and how much of an answer is read.
#[derive(Clone, Copy, Debug)]
pub struct SendLimits {
    /// For everything from the look-up to the end of the answer.
    pub deadline: Duration,
    /// Bytes of the answer's body that are read; what comes after them is not waited for.
    pub max_read_bytes: usize,
    /// Bytes of the answer's head and of its body that are kept, each.
    pub max_kept_bytes: usize,
}

impl Default for SendLimits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(15),
            max_read_bytes: MAX_RECEIVER_ANSWER_BYTES,
            max_kept_bytes: MAX_KEPT_ANSWER_BYTES,
        }
    }
}

/// What is sent in an attempt: on every one the same id and bytes, signed anew.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The receiver's URL.
    pub url: &'a str,
    /// The callback's id.
    pub id: &'a CallbackId,
    /// The callback's body.
    pub body: &'a [u8],
    /// Which attempt it is; counts from 1.
    pub number: u32,
    /// The body is signed with each of them.
    pub secrets: &'a [&'a Secret],
    /// Which answer is success.
    pub success: NotifySuccess,
}

/// Makes one attempt to deliver a message.
pub async fn send(
    client: &net::Client,
    message: &Message<'_>,
    clock: &dyn Clock,
    limits: &SendLimits,
) -> (Attempt, AttemptOutcome) {
    let mut attempt = Attempt::new(message.number, clock.now());
    let deadline = Deadline { started: Instant::now(), limit: limits.deadline };
    let result = match SignedMessage::new(message, attempt.time) {
        Ok(signed) => {
            let exchange = signed.post(client, deadline).await;
            record_answer(&mut attempt, exchange, message.success, limits, deadline).await
        }
        Err(failure) => Err(failure),
    };
    attempt.total_ms = as_millis(deadline.started.elapsed());
    match result {
        Ok(()) => (attempt, AttemptOutcome::Accepted),
        Err(AttemptFailure { outcome, error }) => {
            attempt.error = Some(error);
            (attempt, outcome)
        }
    }
}

/// The one deadline of an attempt.
#[derive(Clone, Copy)]
struct Deadline {
    started: Instant,
    limit: Duration,
}

impl Deadline {
    fn remaining(self) -> Duration {
        self.limit.saturating_sub(self.started.elapsed())
    }
}

/// Why an attempt failed: for the schedule, and as a text for its record.
struct AttemptFailure {
    outcome: AttemptOutcome,
    error: String,
}

impl AttemptFailure {
    fn forbidden(error: String) -> Self {
        Self { outcome: AttemptOutcome::Forbidden, error }
    }

    fn from_net(error: &NetError, deadline: Deadline) -> Self {
        let outcome = match error.kind {
            NetErrorKind::Forbidden | NetErrorKind::BadUrl => AttemptOutcome::Forbidden,
            _ => AttemptOutcome::Unreachable,
        };
        if error.kind == NetErrorKind::Timeout && deadline.remaining().is_zero() {
            let seconds = deadline.limit.as_secs_f64();
            return Self { outcome, error: format!("timeout: no complete answer within {seconds} s") };
        }
        Self { outcome, error: error.to_string() }
    }
}

/// A message with what its requests are made of.
struct SignedMessage<'a> {
    url: Url,
    message: &'a Message<'a>,
    timestamp: String,
    signatures: String,
}

impl<'a> SignedMessage<'a> {
    fn new(message: &'a Message<'a>, now: Timestamp) -> Result<Self, AttemptFailure> {
        if message.url.is_empty() {
            let problem = "no notify: the storage has none any more, so nobody is told".to_owned();
            return Err(AttemptFailure::forbidden(problem));
        }
        let url = net::parse_url(message.url)
            .map_err(|problem| AttemptFailure::forbidden(format!("bad url: the URL {problem}")))?;
        let mut signatures = Vec::new();
        for secret in message.secrets {
            let signature = sign::sign(secret, message.id, now, message.body).map_err(|error| {
                AttemptFailure::forbidden(format!("bad secret: the notify secret {error}"))
            })?;
            signatures.push(signature);
        }
        Ok(Self { url, message, timestamp: now.as_secs().to_string(), signatures: signatures.join(" ") })
    }

    fn request(&self, timeout: Duration) -> Request {
        let mut request = Request::new(Method::POST, self.url.clone());
        let headers = [
            (header::CONTENT_TYPE.as_str(), "application/json"),
            (sign::ID_HEADER, self.message.id.as_str()),
            (sign::TIMESTAMP_HEADER, &self.timestamp),
            (sign::SIGNATURE_HEADER, &self.signatures),
        ];
        for (name, value) in headers {
            let value = header::HeaderValue::from_str(value).expect("ids, digits and base64 are ASCII");
            request.headers_mut().insert(header::HeaderName::from_static(name), value);
        }
        *request.body_mut() = Some(self.message.body.to_vec().into());
        *request.timeout_mut() = Some(timeout);
        request
    }

    /// Sends it. A pooled connection that the receiver had closed is no failure of this attempt: a new one
    /// is tried within the same deadline.
    async fn post(&self, client: &net::Client, deadline: Deadline) -> Result<Exchange, NetError> {
        match client.send(self.request(deadline.limit)).await {
            Err(error) if error.stale => {
                client.send_on_new_connection(self.request(deadline.remaining())).await
            }
            exchange => exchange,
        }
    }
}

/// Writes the answer into the record; an error when it is not success.
async fn record_answer(
    attempt: &mut Attempt,
    exchange: Result<Exchange, NetError>,
    success: NotifySuccess,
    limits: &SendLimits,
    deadline: Deadline,
) -> Result<(), AttemptFailure> {
    let Exchange { response, timing } = match exchange {
        Ok(exchange) => exchange,
        Err(error) => {
            record_timing(attempt, &error.timing);
            return Err(AttemptFailure::from_net(&error, deadline));
        }
    };
    record_timing(attempt, &timing);
    let status = response.status();
    let location = location_of(&response);
    let retry_after = net::retry_after(response.headers(), attempt.time.into());
    attempt.http_status = Some(status.as_u16());
    attempt.response_head = Some(head_text(&response, limits.max_kept_bytes));

    let (body, read) = read_start(response, limits.max_read_bytes).await;
    attempt.response_body = Some(storable_text(&body, limits.max_kept_bytes));
    if !is_success(status, success) {
        let outcome = AttemptOutcome::Rejected { status: status.as_u16(), retry_after };
        return Err(AttemptFailure { outcome, error: describe_rejection(status, location) });
    }
    read.map_err(|error| AttemptFailure::from_net(&NetError::from_body(&error, timing), deadline))
}

fn is_success(status: StatusCode, success: NotifySuccess) -> bool {
    match success {
        NotifySuccess::Only200 => status == StatusCode::OK,
        NotifySuccess::Any2xx => status.is_success(),
    }
}

fn describe_rejection(status: StatusCode, location: Option<String>) -> String {
    match location {
        Some(location) if status.is_redirection() => format!("redirect to {location}: not followed"),
        _ => format!("status {}", status.as_u16()),
    }
}

/// Where a redirect leads, without the query, which may hold a token.
fn location_of(response: &Response) -> Option<String> {
    let value = response.headers().get(header::LOCATION)?;
    let location = storable_text(value.as_bytes(), MAX_LOCATION_BYTES);
    Some(location.split(['?', '#']).next().unwrap_or_default().to_owned())
}

/// Reads a body up to a limit: what is beyond it is left unread, and that is no error.
async fn read_start(mut response: Response, max_bytes: usize) -> (Vec<u8>, reqwest::Result<()>) {
    let mut body = Vec::new();
    while body.len() < max_bytes {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk[..chunk.len().min(max_bytes - body.len())]),
            Ok(None) => break,
            Err(error) => return (body, Err(error)),
        }
    }
    (body, Ok(()))
}

/// The status line and the headers of an answer.
fn head_text(response: &Response, max_bytes: usize) -> String {
    let mut head = format!("{:?} {}\n", response.version(), response.status()).into_bytes();
    for (name, value) in response.headers() {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.push(b'\n');
    }
    storable_text(&head, max_bytes)
}

/// Untrusted bytes as a text that every database takes: UTF-8 without NULs, of at most so many bytes.
fn storable_text(bytes: &[u8], max_bytes: usize) -> String {
    // a character that the limit cuts is left out, not replaced: so a few bytes more than the limit are
    // decoded
    let start = &bytes[..bytes.len().min(max_bytes.saturating_add(4))];
    let mut text = String::from_utf8_lossy(start).replace('\0', "\u{fffd}");
    text.truncate(text.floor_char_boundary(max_bytes));
    text
}

fn record_timing(attempt: &mut Attempt, timing: &Timing) {
    attempt.address = timing.address.map(|address| address.to_string());
    attempt.dns_ms = timing.dns.map(as_millis);
    attempt.connect_ms = timing.connect.map(as_millis);
    attempt.first_byte_ms = timing.first_byte.map(as_millis);
}

fn as_millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
