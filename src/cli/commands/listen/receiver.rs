//! The receiver of callbacks itself; the demo uses it, too.

use std::{
    collections::BTreeMap,
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, Method, StatusCode},
    response::IntoResponse,
};
use callback::sign::{self, SignatureHeaders, VerifyError};
use chrono::DateTime;
use model::{Clock, Secret, SystemClock, Timestamp};
use serde_json::Value;
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::cli::client::http_client;

/// More than any callback: a batch of 1,000 tasks has about 2 MiB.
const MAX_BODY_BYTES: usize = 64 << 20;

/// How a listener behaves.
#[derive(Clone)]
pub(crate) struct ListenOptions {
    /// On the loopback address; 0 takes a free one.
    pub(crate) port: u16,
    /// Verifies signatures.
    pub(crate) secret: Option<Secret>,
    /// Where callbacks are forwarded to.
    pub(crate) forward_to: Option<Url>,
    /// Which attempts fail, and how.
    pub(crate) failing: Failing,
    /// How long to wait before each answer.
    pub(crate) delay: Duration,
    /// Judges how old a signature is.
    pub(crate) clock: Arc<dyn Clock>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            port: 0,
            secret: None,
            forward_to: None,
            failing: Failing::Never,
            delay: Duration::ZERO,
            clock: Arc::new(SystemClock),
        }
    }
}

/// Which attempts fail, and the status they get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failing {
    /// Every one is answered with 200.
    Never,
    /// The first so many of each callback.
    First(u32, StatusCode),
    /// Every one.
    Always(StatusCode),
}

impl Failing {
    pub(super) fn new(first: Option<u32>, status: Option<StatusCode>) -> Self {
        match (first, status) {
            (None, None) => Self::Never,
            (None, Some(status)) => Self::Always(status),
            (Some(first), status) => Self::First(first, status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)),
        }
    }

    /// The status of an attempt that is to fail; attempts count from 1.
    fn status(self, attempt: u32) -> Option<StatusCode> {
        match self {
            Self::Never => None,
            Self::First(first, status) => (attempt <= first).then_some(status),
            Self::Always(status) => Some(status),
        }
    }
}

/// Whether a callback's signature is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignatureCheck {
    /// It was made with the secret.
    Verified,
    /// It was not, or it is too old.
    Bad(VerifyError),
    /// There is none.
    Missing,
    /// There is one, and no secret to verify it with.
    Unchecked,
}

impl fmt::Display for SignatureCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verified => f.write_str("signature verified"),
            Self::Bad(error) => write!(f, "BAD SIGNATURE: {error}"),
            Self::Missing => f.write_str("NOT SIGNED"),
            Self::Unchecked => f.write_str("signature not checked"),
        }
    }
}

/// One attempt of a callback, as it came in.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedAttempt {
    /// When it came in.
    pub(crate) time: Timestamp,
    /// The `webhook-id`; empty when there was none.
    pub(crate) id: String,
    /// Which attempt of this id it was, from 1.
    pub(crate) attempt: u32,
    /// Whether its signature is right.
    pub(crate) signature: SignatureCheck,
    /// The body, byte for byte.
    pub(crate) body: Bytes,
    /// The status of the answer.
    pub(crate) answer: StatusCode,
}

impl ReceivedAttempt {
    /// The body as JSON; null when it is not.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(super) fn pretty_body(&self) -> String {
        match self.json() {
            Value::Null => String::from_utf8_lossy(&self.body).into_owned(),
            json => format!("{json:#}"),
        }
    }
}

impl fmt::Display for ReceivedAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::from_timestamp_millis(self.time.as_millis()).unwrap_or_default();
        let id = if self.id.is_empty() { "(no id)" } else { &self.id };
        write!(f, "{} {id} attempt {}, {}, ", time.format("%H:%M:%S"), self.attempt, self.signature)?;
        writeln!(f, "answered {}", self.answer.as_u16())?;
        match self.json()["data"].as_array() {
            Some(tasks) => tasks.iter().try_for_each(|task| writeln!(f, "  {}", summary(task))),
            None => writeln!(f, "  {} bytes that are not a callback of Borealis", self.body.len()),
        }
    }
}

/// A line about one task of a callback.
fn summary(task: &Value) -> String {
    let text = |field: &str| task[field].as_str().unwrap_or_default();
    let outcome = match task["error_code"].as_u64() {
        Some(code) => format!("{code} {}", text("error_msg")),
        None => text("output").to_owned(),
    };
    format!("{} {} {outcome}", text("task_id"), text("status"))
}

/// A receiver of callbacks. It stops when it is dropped.
pub(crate) struct Listener {
    address: SocketAddr,
    received: mpsc::UnboundedReceiver<ReceivedAttempt>,
    _server: AbortOnDropHandle<()>,
}

impl Listener {
    /// Begins to listen on the loopback address.
    ///
    /// # Errors
    /// When the port is taken, or the client that forwards callbacks cannot be made.
    pub(crate) async fn start(options: ListenOptions) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let address = listener.local_addr()?;
        let (sender, received) = mpsc::unbounded_channel();
        let http = http_client().map_err(io::Error::other)?;
        let state = ReceiverState { options, attempts: Mutex::default(), http, received: sender };
        let router = Router::new()
            .fallback(receive)
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .with_state(Arc::new(state));
        let server = tokio::spawn(async move {
            // it ends only when its task is aborted
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, received, _server: AbortOnDropHandle::new(server) })
    }

    /// The URL for a storage's `notify`; any other path is received, too.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/callback", self.address)
    }

    /// The next attempt that comes in.
    pub(crate) async fn next(&mut self) -> Option<ReceivedAttempt> {
        self.received.recv().await
    }
}

/// The state of the HTTP handler.
struct ReceiverState {
    options: ListenOptions,
    /// How many attempts came in, by `webhook-id`.
    attempts: Mutex<BTreeMap<String, u32>>,
    http: reqwest::Client,
    received: mpsc::UnboundedSender<ReceivedAttempt>,
}

impl ReceiverState {
    /// Which attempt of this id the one that came in is, from 1.
    fn count_attempt(&self, id: &str) -> u32 {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = attempts.entry(id.to_owned()).or_default();
        *attempt += 1;
        *attempt
    }

    fn check_signature(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> SignatureCheck {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let (Some(id), Some(timestamp), Some(signature)) =
            (header(sign::ID_HEADER), header(sign::TIMESTAMP_HEADER), header(sign::SIGNATURE_HEADER))
        else {
            return SignatureCheck::Missing;
        };
        let Some(secret) = &self.options.secret else { return SignatureCheck::Unchecked };
        match sign::verify(secret, SignatureHeaders { id, timestamp, signature }, body, now) {
            Ok(()) => SignatureCheck::Verified,
            Err(error) => SignatureCheck::Bad(error),
        }
    }

    /// Forwards a callback with its body and signature, and gives the answer's status; 502 (Bad Gateway)
    /// when there was no answer.
    async fn forward(&self, to: &Url, headers: &HeaderMap, body: &Bytes) -> StatusCode {
        let mut request = self.http.post(to.clone()).body(body.clone());
        for (name, value) in headers {
            if name.as_str().starts_with("webhook-") || name == "content-type" || name == "user-agent" {
                request = request.header(name, value);
            }
        }
        match request.send().await {
            Ok(answer) => answer.status(),
            Err(error) => {
                eprintln!("warning: {to} did not answer: {error}");
                StatusCode::BAD_GATEWAY
            }
        }
    }
}

async fn receive(
    State(state): State<Arc<ReceiverState>>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    if method != Method::POST {
        return (StatusCode::METHOD_NOT_ALLOWED, "callbacks are sent with POST");
    }
    let id = headers.get(sign::ID_HEADER).and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let time = state.options.clock.now();
    let signature = state.check_signature(&headers, &body, time);
    let attempt = state.count_attempt(&id);
    let answer = match (state.options.failing.status(attempt), &state.options.forward_to) {
        (Some(status), _) => status,
        (None, Some(to)) => state.forward(to, &headers, &body).await,
        (None, None) => StatusCode::OK,
    };
    // before the delay: a callback whose sender times out meanwhile was received all the same
    let _ = state.received.send(ReceivedAttempt { time, id, attempt, signature, body, answer });
    tokio::time::sleep(state.options.delay).await;
    (answer, "")
}

#[cfg(test)]
mod tests {
    use model::CallbackId;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_650_453_342_000);
    const BODY: &str = r#"{"code":0,"msg":"succeeded","data":[{"task_id":"t","status":"succeeded","output":"file://b/a.mp4"}]}"#;

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            NOW
        }
    }

    fn id() -> CallbackId {
        "cb_00112233445566778899aabbccddeeff".parse().expect("an id")
    }

    async fn listener(options: ListenOptions) -> Listener {
        Listener::start(ListenOptions { clock: Arc::new(Still), ..options }).await.expect("a free port")
    }

    async fn post(url: &str, secret: Option<&Secret>) -> StatusCode {
        let mut request = http_client().expect("a client").post(url).body(BODY);
        if let Some(secret) = secret {
            let signature = sign::sign(secret, &id(), NOW, BODY.as_bytes()).expect("a secret");
            request = request
                .header(sign::ID_HEADER, id().as_str())
                .header(sign::TIMESTAMP_HEADER, NOW.as_secs())
                .header(sign::SIGNATURE_HEADER, signature);
        }
        request.send().await.expect("an answer").status()
    }

    #[tokio::test]
    async fn signatures_are_judged() {
        let secret = sign::generate_secret();
        let mut listener =
            listener(ListenOptions { secret: Some(secret.clone()), ..Default::default() }).await;
        for (signed_with, expected) in [
            (Some(secret), SignatureCheck::Verified),
            (Some(sign::generate_secret()), SignatureCheck::Bad(VerifyError::Mismatch)),
            (None, SignatureCheck::Missing),
        ] {
            assert_eq!(post(&listener.url(), signed_with.as_ref()).await, StatusCode::OK);
            let received = listener.next().await.expect("received");
            assert_eq!(received.signature, expected);
            assert_eq!(received.body, BODY);
        }
    }

    #[tokio::test]
    async fn the_first_attempts_of_a_callback_fail_if_asked() {
        let failing = Failing::new(Some(2), Some(StatusCode::SERVICE_UNAVAILABLE));
        let mut listener = listener(ListenOptions { failing, ..Default::default() }).await;
        let secret = sign::generate_secret();
        for (attempt, status) in [(1, 503), (2, 503), (3, 200)] {
            assert_eq!(post(&listener.url(), Some(&secret)).await.as_u16(), status);
            let received = listener.next().await.expect("received");
            assert_eq!((received.attempt, received.signature), (attempt, SignatureCheck::Unchecked));
        }
    }

    #[tokio::test]
    async fn a_callback_is_passed_on_with_its_signature_and_the_answer_comes_back() {
        let secret = sign::generate_secret();
        let failing = Failing::Always(StatusCode::IM_A_TEAPOT);
        let mut behind =
            listener(ListenOptions { secret: Some(secret.clone()), failing, ..Default::default() }).await;
        let forward_to = Some(behind.url().parse().expect("a URL"));
        let front = listener(ListenOptions { forward_to, ..Default::default() }).await;
        assert_eq!(post(&front.url(), Some(&secret)).await, StatusCode::IM_A_TEAPOT);
        assert_eq!(behind.next().await.expect("passed on").signature, SignatureCheck::Verified);
    }

    #[test]
    fn which_attempts_fail() {
        assert_eq!(Failing::new(None, None).status(1), None);
        assert_eq!(Failing::new(None, Some(StatusCode::NO_CONTENT)).status(9), Some(StatusCode::NO_CONTENT));
        assert_eq!(Failing::new(Some(1), None).status(1), Some(StatusCode::INTERNAL_SERVER_ERROR));
        assert_eq!(Failing::new(Some(1), None).status(2), None);
    }

    #[test]
    fn what_came_is_told_in_a_few_lines() {
        let received = ReceivedAttempt {
            time: NOW,
            id: id().to_string(),
            attempt: 1,
            signature: SignatureCheck::Verified,
            body: BODY.into(),
            answer: StatusCode::OK,
        };
        assert_eq!(
            received.to_string(),
            "11:15:42 cb_00112233445566778899aabbccddeeff attempt 1, signature verified, answered 200\n  \
             t succeeded file://b/a.mp4\n"
        );
        let failed = json!({"task_id": "t", "status": "failed", "error_code": 1003, "error_msg": "Invalid input file"});
        assert_eq!(summary(&failed), "t failed 1003 Invalid input file");
    }
}
