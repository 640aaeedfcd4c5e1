//! One attempt to deliver a callback: sign, send, read a little of the answer, record it all.
//!
//! One deadline covers everything from the look-up to the end of the answer, of which only the
//! start is read and less is kept. Redirects are answers like any other, and failures. Whatever
//! happens there is a record; nothing here decides what comes next.

use std::time::{Duration, Instant};

use model::{Attempt, CallbackId, Clock, NotifySuccess, Secret, Timestamp};
use net::{Exchange, NetError, NetErrorKind, Timing};
use reqwest::{Method, Request, Response, StatusCode, Url, header};

use crate::sign;

/// What came of an attempt, as the schedule sees it; the record says the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver accepted it.
    Accepted,
    /// The receiver answered something else.
    Rejected {
        /// The status of its answer.
        status: u16,
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// There was no complete answer.
    Unreachable,
    /// It can never be sent: its address is forbidden, or its URL or secret unusable.
    Forbidden,
}

/// How long an attempt may take, and how much of an answer is read.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For everything from the look-up to the end of the answer.
    pub deadline: Duration,
    /// Bytes of the answer's body that are read; what comes after them is not waited for.
    pub read: usize,
    /// Bytes of the answer's head and of its body that are kept, each.
    pub keep: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(15), read: 64 * 1024, keep: 4 * 1024 }
    }
}

/// What is sent in an attempt: on every one the same id and bytes, signed anew.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Where it goes.
    pub url: &'a str,
    /// The callback's id.
    pub id: &'a CallbackId,
    /// Its bytes.
    pub body: &'a [u8],
    /// Which attempt it is; counts from 1.
    pub number: u32,
    /// Each of them signs.
    pub secrets: &'a [&'a Secret],
    /// Which answer is success.
    pub success: NotifySuccess,
}

/// Makes one attempt to deliver a message.
pub async fn send(
    client: &net::Client,
    message: &Message<'_>,
    clock: &dyn Clock,
    limits: &Limits,
) -> (Attempt, Outcome) {
    let mut attempt = Attempt::new(message.number, clock.now());
    let deadline = Deadline { begun: Instant::now(), limit: limits.deadline };
    let sent = match Post::new(message, attempt.time) {
        Ok(post) => {
            let answer = post.deliver(client, deadline).await;
            record(&mut attempt, answer, message.success, limits, deadline).await
        }
        Err(problem) => Err(problem),
    };
    attempt.total_ms = millis(deadline.begun.elapsed());
    let (outcome, error) = match sent {
        Ok(()) => (Outcome::Accepted, None),
        Err(Failed { outcome, error }) => (outcome, Some(error)),
    };
    attempt.error = error;
    (attempt, outcome)
}

/// The one deadline of an attempt.
#[derive(Clone, Copy)]
struct Deadline {
    begun: Instant,
    limit: Duration,
}

impl Deadline {
    fn left(self) -> Duration {
        self.limit.saturating_sub(self.begun.elapsed())
    }
}

/// Why an attempt failed: for the schedule, and in words.
struct Failed {
    outcome: Outcome,
    error: String,
}

impl Failed {
    fn never(error: String) -> Self {
        Self { outcome: Outcome::Forbidden, error }
    }

    fn of(error: &NetError, deadline: Deadline) -> Self {
        let outcome = match error.kind {
            NetErrorKind::Forbidden | NetErrorKind::BadUrl => Outcome::Forbidden,
            _ => Outcome::Unreachable,
        };
        if error.kind == NetErrorKind::Timeout && deadline.left().is_zero() {
            let seconds = deadline.limit.as_secs_f64();
            return Self { outcome, error: format!("timeout: no complete answer within {seconds} s") };
        }
        Self { outcome, error: error.to_string() }
    }
}

/// A message that can be sent.
struct Post<'a> {
    url: Url,
    message: &'a Message<'a>,
    timestamp: String,
    signatures: String,
}

impl<'a> Post<'a> {
    fn new(message: &'a Message<'a>, now: Timestamp) -> Result<Self, Failed> {
        let url = net::parse_url(message.url)
            .map_err(|problem| Failed::never(format!("bad url: the URL {problem}")))?;
        let sign = |secret: &&Secret| sign::signature(secret, message.id, now, message.body);
        let signatures: Vec<String> = message
            .secrets
            .iter()
            .map(sign)
            .collect::<Result<_, _>>()
            .map_err(|error| Failed::never(format!("bad secret: the notify secret {error}")))?;
        let (timestamp, signatures) = (now.as_secs().to_string(), signatures.join(" "));
        Ok(Self { url, message, timestamp, signatures })
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

    /// Sends it. A pooled connection that the receiver had closed is no failure of this attempt: a
    /// new one is tried within the same deadline.
    async fn deliver(&self, client: &net::Client, deadline: Deadline) -> Result<Exchange, NetError> {
        match client.send(self.request(deadline.limit)).await {
            Err(error) if error.stale => client.send_on_new_connection(self.request(deadline.left())).await,
            other => other,
        }
    }
}

/// Writes what came back into the record, and says whether it is success.
async fn record(
    attempt: &mut Attempt,
    answer: Result<Exchange, NetError>,
    success: NotifySuccess,
    limits: &Limits,
    deadline: Deadline,
) -> Result<(), Failed> {
    let exchange = answer.map_err(|error| {
        note_timing(attempt, &error.timing);
        Failed::of(&error, deadline)
    })?;
    note_timing(attempt, &exchange.timing);
    let response = exchange.response;
    let status = response.status();
    let location = location(&response);
    let retry_after = net::retry_after(response.headers(), attempt.time.into());
    attempt.http_status = Some(status.as_u16());
    attempt.response_head = Some(head(&response, limits.keep));

    let (body, read) = read(response, limits.read).await;
    attempt.response_body = Some(text(&body, limits.keep));
    if !accepts(success, status) {
        return Err(Failed {
            outcome: Outcome::Rejected { status: status.as_u16(), retry_after },
            error: said(status, location),
        });
    }
    read.map_err(|error| Failed::of(&NetError::of_body(&error, exchange.timing), deadline))
}

fn accepts(success: NotifySuccess, status: StatusCode) -> bool {
    match success {
        NotifySuccess::Only200 => status == StatusCode::OK,
        NotifySuccess::Any2xx => status.is_success(),
    }
}

fn said(status: StatusCode, location: Option<String>) -> String {
    match location {
        Some(location) if status.is_redirection() => format!("redirect to {location}: not followed"),
        _ => format!("status {}", status.as_u16()),
    }
}

/// Where a redirect leads, without its query.
fn location(response: &Response) -> Option<String> {
    let value = response.headers().get(header::LOCATION)?;
    let location = text(value.as_bytes(), 200);
    Some(location.split(['?', '#']).next().unwrap_or_default().to_owned())
}

/// Reads a body up to a limit: what is beyond it is left unread, and that is no error.
async fn read(mut response: Response, limit: usize) -> (Vec<u8>, reqwest::Result<()>) {
    let mut body = Vec::new();
    while body.len() < limit {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk[..chunk.len().min(limit - body.len())]),
            Ok(None) => break,
            Err(error) => return (body, Err(error)),
        }
    }
    (body, Ok(()))
}

fn head(response: &Response, keep: usize) -> String {
    let mut head = format!("{:?} {}\n", response.version(), response.status()).into_bytes();
    for (name, value) in response.headers() {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.push(b'\n');
    }
    text(&head, keep)
}

/// Bytes from outside as a text that every database takes: UTF-8 without NULs, `keep` bytes at most.
fn text(bytes: &[u8], keep: usize) -> String {
    // a character that the limit cuts is left out, not shown as broken
    let start = &bytes[..bytes.len().min(keep.saturating_add(4))];
    let mut text = String::from_utf8_lossy(start).replace('\0', "\u{fffd}");
    text.truncate(text.floor_char_boundary(keep));
    text
}

fn note_timing(attempt: &mut Attempt, timing: &Timing) {
    attempt.address = timing.address.map(|address| address.to_string());
    attempt.dns_ms = timing.dns.map(millis);
    attempt.connect_ms = timing.connect.map(millis);
    attempt.first_byte_ms = timing.first_byte.map(millis);
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
