//! Attempts against receivers that behave, and many that do not. A receiver is a TCP listener on loopback,
//! so that it can break every rule of HTTP.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use borealis_callback::{
    send::{AttemptOutcome, Message, SendLimits, send},
    sign,
};
use model::{Attempt, CallbackId, Clock, NotifySuccess, Secret, Timestamp};
use net::{Client, ClientOptions, Guard};
use rstest::rstest;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::interval,
};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_123);
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY: &[u8] = br#"{"code":0,"msg":"succeeded","z":1,"a":2}"#;

/// Enough time for a slow machine to answer at once, and short enough for a test to wait for.
const SHORT_DEADLINE: SendLimits =
    SendLimits { deadline: Duration::from_millis(700), max_read_bytes: 64 * 1024, max_kept_bytes: 4 * 1024 };

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// What a receiver does with the requests of one connection.
#[derive(Clone)]
enum ReceiverBehaviour {
    /// Writes these bytes, and waits for the next request.
    Answers(Vec<u8>),
    /// Writes these bytes and closes.
    AnswersAndCloses(Vec<u8>),
    /// Writes these bytes, then more and more of the others.
    NeverEnds { head: &'static str, then: Vec<u8>, every: Option<Duration> },
    /// Resets the connection.
    Resets,
    /// Answers the first request of a connection, and closes at its second.
    ClosesAtTheSecond,
}

struct TestReceiver {
    url: String,
    connections: Arc<AtomicUsize>,
    written: Arc<AtomicU64>,
    requests: mpsc::UnboundedReceiver<Vec<u8>>,
}

impl TestReceiver {
    async fn start(behaviour: ReceiverBehaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook?token=hidden", listener.local_addr().expect("an address"));
        let (connections, written) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
        let (sender, requests) = mpsc::unbounded_channel();
        let (accepted, sent) = (Arc::clone(&connections), Arc::clone(&written));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, behaviour.clone(), sender.clone(), Arc::clone(&sent)));
            }
        });
        Self { url, connections, written, requests }
    }

    async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        Self::start(ReceiverBehaviour::Answers(answer.into())).await
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(
    mut stream: TcpStream,
    behaviour: ReceiverBehaviour,
    requests: mpsc::UnboundedSender<Vec<u8>>,
    written: Arc<AtomicU64>,
) -> Option<()> {
    for number in 1.. {
        let request = read_request(&mut stream).await?;
        requests.send(request).ok()?;
        match &behaviour {
            ReceiverBehaviour::Answers(bytes) => stream.write_all(bytes).await.ok()?,
            ReceiverBehaviour::AnswersAndCloses(bytes) => {
                stream.write_all(bytes).await.ok()?;
                stream.shutdown().await.ok()?;
                return None;
            }
            ReceiverBehaviour::NeverEnds { head, then, every } => {
                stream.write_all(head.as_bytes()).await.ok()?;
                let mut beat = every.map(interval);
                loop {
                    if let Some(beat) = &mut beat {
                        beat.tick().await;
                    }
                    stream.write_all(then).await.ok()?;
                    written.fetch_add(then.len() as u64, Ordering::SeqCst);
                }
            }
            ReceiverBehaviour::Resets => {
                stream.set_zero_linger().expect("a socket");
                return None;
            }
            ReceiverBehaviour::ClosesAtTheSecond if number == 1 => stream.write_all(&ok("")).await.ok()?,
            ReceiverBehaviour::ClosesAtTheSecond => return None,
        }
    }
    None
}

/// One request: its head and as much body as its length says.
async fn read_request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    loop {
        if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
            if request.len() >= end + 4 + length.parse::<usize>().ok()? {
                return Some(request);
            }
        }
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn status(line: &str) -> Vec<u8> {
    format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

fn client() -> Client {
    let loopback = "127.0.0.0/8".parse().expect("a network");
    Client::new(Arc::new(Guard::new(vec![loopback])), ClientOptions::default()).expect("a client")
}

/// Sends [`BODY`] as a second attempt.
async fn send_to(
    client: &Client,
    url: &str,
    success: NotifySuccess,
    limits: SendLimits,
) -> (Attempt, AttemptOutcome) {
    let (id, secret) = (CallbackId::generate(&mut rand::rng()), Secret::new(SECRET));
    let message = Message { url, id: &id, body: BODY, number: 2, secrets: &[&secret], success };
    send(client, &message, &StoppedClock, &limits).await
}

async fn attempt_with(url: &str, success: NotifySuccess, limits: SendLimits) -> (Attempt, AttemptOutcome) {
    let (attempt, outcome) = send_to(&client(), url, success, limits).await;
    assert_eq!((attempt.number, attempt.time), (2, NOW));
    assert_eq!(attempt.error.is_none(), outcome == AttemptOutcome::Accepted);
    if let Some(error) = &attempt.error {
        assert!(!error.contains("hidden"), "{error} holds the query");
    }
    for kept in [&attempt.response_head, &attempt.response_body].into_iter().flatten() {
        assert!(kept.len() <= limits.max_kept_bytes, "{} bytes are kept", kept.len());
        assert!(!kept.contains('\0'));
    }
    (attempt, outcome)
}

async fn attempt(url: &str) -> (Attempt, AttemptOutcome) {
    attempt_with(url, NotifySuccess::Only200, SendLimits::default()).await
}

fn rejected(status: u16) -> AttemptOutcome {
    AttemptOutcome::Rejected { status, retry_after: None }
}

fn error(attempt: &Attempt) -> &str {
    attempt.error.as_deref().unwrap_or_default()
}

#[tokio::test]
async fn a_receiver_gets_the_stored_bytes_signed() {
    let mut receiver = TestReceiver::answering(ok("thanks")).await;
    let client = client();
    let (callback, secret) = (CallbackId::generate(&mut rand::rng()), Secret::new(SECRET));
    let message = Message {
        url: &receiver.url,
        id: &callback,
        body: BODY,
        number: 2,
        secrets: &[&secret],
        success: NotifySuccess::Only200,
    };
    let (attempt, outcome) = send(&client, &message, &StoppedClock, &SendLimits::default()).await;

    assert_eq!(
        (outcome, attempt.http_status, attempt.error.as_deref()),
        (AttemptOutcome::Accepted, Some(200), None)
    );
    assert_eq!(attempt.response_head.as_deref(), Some("HTTP/1.1 200 OK\ncontent-length: 6\n"));
    assert_eq!(attempt.response_body.as_deref(), Some("thanks"));
    assert!(receiver.url.contains(attempt.address.as_deref().expect("an address")));
    assert!(attempt.connect_ms.is_some() && attempt.first_byte_ms.is_some() && attempt.dns_ms.is_none());

    let request = receiver.requests.recv().await.expect("a request");
    let head_end = request.len() - BODY.len();
    assert_eq!(&request[head_end..], BODY);
    let head = String::from_utf8_lossy(&request[..head_end]).into_owned();
    assert!(head.starts_with("POST /hook?token=hidden HTTP/1.1\r\n"), "{head}");
    let header = |name: &str| {
        let mut values =
            head.lines().filter_map(|line| line.split_once(": ")).filter(|(key, _)| *key == name);
        let value = values.next().map(|(_, value)| value.to_owned());
        assert!(values.next().is_none(), "{name} is sent once");
        value
    };
    assert_eq!(header("content-type").as_deref(), Some("application/json"));
    assert_eq!(header("user-agent").as_deref(), Some(net::USER_AGENT));
    assert_eq!(header("accept-encoding"), None);
    let [id, timestamp, signature] = [sign::ID_HEADER, sign::TIMESTAMP_HEADER, sign::SIGNATURE_HEADER]
        .map(|name| header(name).expect("a signature header"));
    assert_eq!((id.as_str(), timestamp.as_str()), (callback.as_str(), "1700000000"));
    let headers = sign::SignatureHeaders { id: &id, timestamp: &timestamp, signature: &signature };
    assert_eq!(sign::verify(&secret, headers, BODY, NOW), Ok(()));
}

#[rstest]
#[case("200 OK", NotifySuccess::Only200, true)]
#[case("201 Created", NotifySuccess::Only200, false)]
#[case("204 No Content", NotifySuccess::Only200, false)]
#[case("204 No Content", NotifySuccess::Any2xx, true)]
#[case("404 Not Found", NotifySuccess::Any2xx, false)]
#[case("500 Internal Server Error", NotifySuccess::Only200, false)]
#[tokio::test]
async fn which_answer_is_success(
    #[case] line: &'static str,
    #[case] success: NotifySuccess,
    #[case] accepted: bool,
) {
    let receiver = TestReceiver::answering(status(line)).await;
    let (attempt, outcome) = attempt_with(&receiver.url, success, SendLimits::default()).await;
    let number: u16 = line[..3].parse().expect("a status");
    assert_eq!(attempt.http_status, Some(number));
    if accepted {
        assert_eq!(outcome, AttemptOutcome::Accepted);
    } else {
        assert_eq!(outcome, rejected(number));
        assert_eq!(error(&attempt), format!("status {number}"));
    }
}

#[rstest]
#[case(301)]
#[case(302)]
#[case(303)]
#[case(307)]
#[case(308)]
#[tokio::test]
async fn redirects_are_never_followed(#[case] number: u16) {
    let target = TestReceiver::answering(ok("")).await;
    let answer = format!("HTTP/1.1 {number} Go\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", target.url);
    let receiver = TestReceiver::answering(answer).await;
    let (attempt, outcome) = attempt(&receiver.url).await;
    assert_eq!(outcome, rejected(number));
    let shown = target.url.strip_suffix("?token=hidden").expect("a query");
    assert_eq!(error(&attempt), format!("redirect to {shown}: not followed"));
    assert_eq!((receiver.connections(), target.connections()), (1, 0));
}

#[rstest]
#[case::accepts_and_never_answers("")]
#[case::only_100_continue("HTTP/1.1 100 Continue\r\n\r\n")]
#[case::half_a_head("HTTP/1.1 200 OK\r\ncontent-le")]
#[case::no_body("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")]
#[tokio::test]
async fn a_hanging_receiver_meets_the_deadline(#[case] answer: &'static str) {
    let receiver = TestReceiver::answering(answer).await;
    let (attempt, outcome) = attempt_with(&receiver.url, NotifySuccess::Only200, SHORT_DEADLINE).await;
    assert_eq!(outcome, AttemptOutcome::Unreachable);
    assert_eq!(error(&attempt), "timeout: no complete answer within 0.7 s");
    assert!(attempt.total_ms >= 700, "{}", attempt.total_ms);
    assert!(attempt.connect_ms.is_some() && attempt.address.is_some());
}

#[tokio::test]
async fn a_trickling_receiver_meets_the_deadline() {
    let receiver = TestReceiver::start(ReceiverBehaviour::NeverEnds {
        head: "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n",
        then: b"x".to_vec(),
        every: Some(Duration::from_millis(50)),
    })
    .await;
    let (attempt, outcome) = attempt_with(&receiver.url, NotifySuccess::Only200, SHORT_DEADLINE).await;
    assert_eq!((outcome, attempt.http_status), (AttemptOutcome::Unreachable, Some(200)));
    assert_eq!(error(&attempt), "timeout: no complete answer within 0.7 s");
    assert!(attempt.response_body.expect("a start").starts_with("xx"));
}

#[tokio::test]
async fn of_a_huge_answer_only_the_start_is_read() {
    let receiver = TestReceiver::start(ReceiverBehaviour::NeverEnds {
        head: "HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n",
        then: vec![b'x'; 16 * 1024],
        every: None,
    })
    .await;
    let (attempt, outcome) = attempt(&receiver.url).await;
    assert_eq!(outcome, AttemptOutcome::Accepted);
    assert_eq!(attempt.response_body.map(|body| body.len()), Some(4096));
    // what the sockets' buffers took, no more
    let written = receiver.written.load(Ordering::SeqCst);
    assert!(written < 64 * 1024 * 1024, "{written}");
}

#[tokio::test]
async fn compressed_answers_stay_compressed() {
    let mut answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n".to_vec();
    answer.extend_from_slice(&[0x1f, 0x8b, 0x08, 0x00]);
    let receiver = TestReceiver::answering(answer).await;
    let (attempt, outcome) = attempt(&receiver.url).await;
    assert_eq!(outcome, AttemptOutcome::Accepted);
    assert_eq!(attempt.response_body.as_deref(), Some("\u{1f}\u{fffd}\u{8}\u{fffd}"));
}

#[tokio::test]
async fn nuls_and_broken_utf8_are_replaced() {
    let mut body = b"a\0b\xff".to_vec();
    body.extend("é".repeat(4000).into_bytes());
    let mut answer =
        format!("HTTP/1.1 500 caf\u{e9}\r\nx-odd: \u{fc}\r\ncontent-length: {}\r\n\r\n", body.len())
            .into_bytes();
    answer.extend(body);
    let receiver = TestReceiver::answering(answer).await;
    let (attempt, outcome) = attempt(&receiver.url).await;
    assert_eq!(outcome, rejected(500));
    let kept = attempt.response_body.expect("a body");
    assert!(kept.starts_with("a\u{fffd}b\u{fffd}éé") && kept.ends_with('é'), "{kept}");
    assert!(attempt.response_head.expect("a head").contains("x-odd: ü"));
}

#[rstest]
#[case::reset(ReceiverBehaviour::Resets, "reset: ")]
#[case::closed_at_once(ReceiverBehaviour::AnswersAndCloses(Vec::new()), "reset: ")]
#[case::closed_after_100(ReceiverBehaviour::AnswersAndCloses(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()), "reset: ")]
#[case::closed_in_the_head(ReceiverBehaviour::AnswersAndCloses(b"HTTP/1.1 200 OK\r\nx: ".to_vec()), "reset: ")]
#[case::closed_in_the_body(
    ReceiverBehaviour::AnswersAndCloses(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc".to_vec()),
    "reset: "
)]
#[case::not_http(ReceiverBehaviour::AnswersAndCloses(b"220 mail.example ESMTP\r\n".to_vec()), "protocol: ")]
#[case::a_broken_length(
    ReceiverBehaviour::AnswersAndCloses(b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n".to_vec()),
    "protocol: "
)]
#[tokio::test]
async fn a_broken_answer_is_a_failed_attempt(#[case] behaviour: ReceiverBehaviour, #[case] class: &str) {
    let receiver = TestReceiver::start(behaviour).await;
    let (attempt, outcome) = attempt(&receiver.url).await;
    assert_eq!(outcome, AttemptOutcome::Unreachable);
    assert!(error(&attempt).starts_with(class), "{}", error(&attempt));
    assert_eq!(receiver.connections(), 1);
    assert!(attempt.address.is_some());
}

#[tokio::test]
async fn of_a_huge_head_only_the_start_is_kept() {
    let value = "x".repeat(64 * 1024);
    let answer = format!("HTTP/1.1 200 OK\r\nx-long: {value}\r\ncontent-length: 0\r\n\r\n");
    let receiver = TestReceiver::answering(answer).await;
    let (attempt, outcome) = attempt(&receiver.url).await;
    assert_eq!(outcome, AttemptOutcome::Accepted);
    assert_eq!(attempt.response_head.map(|head| head.len()), Some(4096));
}

#[tokio::test]
async fn a_pooled_connection_that_was_closed_is_no_failed_attempt() {
    let receiver = TestReceiver::start(ReceiverBehaviour::ClosesAtTheSecond).await;
    let client = client();
    for connections in [1, 2] {
        let (attempt, outcome) =
            send_to(&client, &receiver.url, NotifySuccess::Only200, SendLimits::default()).await;
        assert_eq!((outcome, attempt.error), (AttemptOutcome::Accepted, None));
        assert_eq!(receiver.connections(), connections);
    }
}

#[tokio::test]
async fn connections_are_kept() {
    let receiver = TestReceiver::answering(ok("")).await;
    let client = client();
    for number in 0..5 {
        let (attempt, outcome) =
            send_to(&client, &receiver.url, NotifySuccess::Only200, SendLimits::default()).await;
        assert_eq!(outcome, AttemptOutcome::Accepted);
        assert_eq!(attempt.connect_ms.is_some(), number == 0);
        assert!(attempt.address.is_some());
    }
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let (attempt, outcome) = attempt(&format!("http://{address}/?token=hidden")).await;
    assert_eq!(outcome, AttemptOutcome::Unreachable);
    assert_eq!(error(&attempt), format!("refused: connection refused by {address}"));
    assert_eq!(attempt.address, Some(address.to_string()));
}

#[rstest]
#[case("http://10.0.0.1/?token=hidden", SECRET, "forbidden: 10.0.0.1 is a private address")]
#[case(
    "http://u:p@127.0.0.1/",
    SECRET,
    "bad url: the URL holds a user name or a password, which is not allowed"
)]
#[case(
    "not a url",
    SECRET,
    "bad url: the URL is not a URL (relative URL without a base); give http:// or https://"
)]
#[case(
    "http://127.0.0.1:1/",
    "whsec_short",
    "bad secret: the notify secret is not `whsec_` and the base64 of 24 to 64 bytes"
)]
#[tokio::test]
async fn what_can_never_be_sent(#[case] url: &str, #[case] secret: &str, #[case] why: &str) {
    let (id, secret) = (CallbackId::generate(&mut rand::rng()), Secret::new(secret));
    let success = NotifySuccess::Only200;
    let message = Message { url, id: &id, body: BODY, number: 2, secrets: &[&secret], success };
    let (attempt, outcome) = send(&client(), &message, &StoppedClock, &SendLimits::default()).await;
    assert_eq!((outcome, error(&attempt)), (AttemptOutcome::Forbidden, why));
    assert_eq!((attempt.number, attempt.http_status), (2, None));
}

/// While a secret is rotated out, both sign: whoever knows either of them verifies.
#[tokio::test]
async fn every_secret_signs() {
    let mut receiver = TestReceiver::answering(ok("")).await;
    let (id, new, old) =
        (CallbackId::generate(&mut rand::rng()), sign::generate_secret(), Secret::new(SECRET));
    let message = Message {
        url: &receiver.url,
        id: &id,
        body: BODY,
        number: 1,
        secrets: &[&new, &old],
        success: NotifySuccess::Only200,
    };
    let (_, outcome) = send(&client(), &message, &StoppedClock, &SendLimits::default()).await;
    assert_eq!(outcome, AttemptOutcome::Accepted);
    let request = String::from_utf8(receiver.requests.recv().await.expect("a request")).expect("ASCII");
    let value = |name: &str| {
        request.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).expect("a header").to_owned()
    };
    let [id, timestamp, signature] =
        [sign::ID_HEADER, sign::TIMESTAMP_HEADER, sign::SIGNATURE_HEADER].map(value);
    assert_eq!(signature.split(' ').count(), 2, "{signature}");
    let headers = sign::SignatureHeaders { id: &id, timestamp: &timestamp, signature: &signature };
    assert_eq!(sign::verify(&new, headers, BODY, NOW), Ok(()));
    assert_eq!(sign::verify(&old, headers, BODY, NOW), Ok(()));
}

#[rstest]
#[case("120", Some(120))]
#[case(" 0 ", Some(0))]
#[case("Tue, 14 Nov 2023 22:14:20 GMT", Some(59))]
#[case("Tue, 14 Nov 2023 22:13:00 GMT", None)]
#[case("soon", None)]
#[case("-5", None)]
#[tokio::test]
async fn retry_after_is_read(#[case] value: &str, #[case] seconds: Option<u64>) {
    let answer = format!("HTTP/1.1 503 Busy\r\nretry-after: {value}\r\ncontent-length: 0\r\n\r\n");
    let receiver = TestReceiver::answering(answer).await;
    let (_, outcome) = attempt(&receiver.url).await;
    let AttemptOutcome::Rejected { status: 503, retry_after } = outcome else { panic!("{outcome:?}") };
    assert_eq!(retry_after.map(|wait| wait.as_secs()), seconds);
}
