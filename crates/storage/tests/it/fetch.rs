//! Fetching an input from a URL: from correct servers, and from those that break off, lie, or change the
//! input meanwhile.

use std::{
    path::PathBuf,
    sync::Mutex,
    time::{Duration, Instant},
};

use borealis_storage::{
    StorageError,
    fetch::{FetchLimits, RateLimit, fetch_url},
};
use model::ErrorCode;
use rstest::rstest;
use tempfile::TempDir;
use url::Url;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header, method, path},
};

use super::{
    ANY_RATE, client,
    scripted::{ScriptedAnswer, ScriptedServer},
};

const ETAG_ONE: &str = "etag: \"one\"";

struct FetchedUrl {
    result: Result<u64, StorageError>,
    content: Vec<u8>,
    /// The calls of `progress`.
    progress: Vec<(u64, Option<u64>)>,
}

const LIMITS: FetchLimits = FetchLimits {
    max_bytes: 10_000_000,
    idle_timeout: Duration::from_secs(20),
    rate: ANY_RATE,
    max_redirects: 5,
};

async fn fetched(url: &Url) -> FetchedUrl {
    fetched_within(url, &LIMITS).await
}

async fn fetched_within(url: &Url, limits: &FetchLimits) -> FetchedUrl {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("input");
    std::fs::write(&file, "bytes of an earlier try").expect("a file");
    let calls = Mutex::new(Vec::new());
    let progress = |so_far, total| calls.lock().expect("not poisoned").push((so_far, total));
    let result = fetch_url(&client(), url, &file, limits, &progress).await;
    let content = std::fs::read(&file).expect("a file");
    FetchedUrl { result, content, progress: calls.into_inner().expect("not poisoned") }
}

impl FetchedUrl {
    fn error(self) -> StorageError {
        let error = self.result.expect_err("it fails");
        assert!(!error.detail.contains("secret"), "the query is quoted: {error}");
        error
    }

    /// Asserts that these bytes were fetched.
    fn assert_is(&self, content: &[u8]) {
        assert_eq!(self.result, Ok(content.len() as u64));
        assert!(self.content == content, "the content differs, {} bytes", self.content.len());
        assert_eq!(self.progress.last().map_or(0, |(so_far, _)| *so_far), content.len() as u64);
    }
}

fn content() -> Vec<u8> {
    (0..300_000_u32).map(|i| (i % 249) as u8).collect()
}

fn content_length(bytes: usize) -> String {
    format!("content-length: {bytes}")
}

/// The whole content is announced, and only the first `at` bytes are sent.
fn broken_off(at: usize, headers: &[&str]) -> ScriptedAnswer {
    let length = content_length(content().len());
    let headers: Vec<&str> = headers.iter().copied().chain([length.as_str()]).collect();
    ScriptedAnswer::new("200 OK", &headers, &content()[..at])
}

fn whole(headers: &[&str]) -> ScriptedAnswer {
    broken_off(content().len(), headers)
}

fn range_answer(from: usize) -> ScriptedAnswer {
    let (content, total) = (content(), content().len());
    let range = format!("content-range: bytes {from}-{}/{total}", total - 1);
    ScriptedAnswer::new(
        "206 Partial Content",
        &[&range, &content_length(total - from), ETAG_ONE],
        &content[from..],
    )
}

async fn answering(template: ResponseTemplate) -> (MockServer, Url) {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(template).mount(&server).await;
    let url = format!("{}/film.mp4?sign=secret", server.uri()).parse().expect("a URL");
    (server, url)
}

#[tokio::test]
async fn a_plain_input_is_fetched_whole() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(header("accept-encoding", "identity"))
        .respond_with(ResponseTemplate::new(200).set_body_bytes(content()))
        .expect(1)
        .mount(&server)
        .await;
    let fetched = fetched(&server.uri().parse().expect("a URL")).await;
    fetched.assert_is(&content());
    assert_eq!(fetched.progress.last(), Some(&(300_000, Some(300_000))));
    assert!(fetched.progress.is_sorted(), "progress grows");
}

#[tokio::test]
async fn an_empty_input_is_no_error() {
    let (_server, url) = answering(ResponseTemplate::new(200)).await;
    fetched(&url).await.assert_is(b"");
}

#[tokio::test]
async fn a_broken_connection_is_resumed() {
    let server = ScriptedServer::start(vec![broken_off(100_000, &[ETAG_ONE]), range_answer(100_000)]).await;
    fetched(&server.url).await.assert_is(&content());
    let heads = server.heads();
    assert!(!heads[0].contains("range"), "{}", heads[0]);
    assert!(heads[1].contains("\r\nrange: bytes=100000-\r\n"), "{}", heads[1]);
    assert!(heads[1].contains("\r\nif-range: \"one\"\r\n"), "{}", heads[1]);
}

#[tokio::test]
async fn a_connection_that_falls_silent_is_resumed() {
    let server =
        ScriptedServer::start(vec![broken_off(100_000, &[ETAG_ONE]).then_silence(), range_answer(100_000)])
            .await;
    let limits = FetchLimits { idle_timeout: Duration::from_millis(300), ..LIMITS };
    fetched_within(&server.url, &limits).await.assert_is(&content());
}

#[tokio::test]
async fn a_server_that_trickles_is_given_up() {
    let server = ScriptedServer::start(vec![broken_off(100, &[ETAG_ONE]).then_silence()]).await;
    let window = Duration::from_millis(300);
    let rate = RateLimit { min_bytes_per_second: 10_000, window };
    let error = fetched_within(&server.url, &FetchLimits { rate, ..LIMITS }).await.error();
    assert_eq!((error.code, error.retry), (ErrorCode::InputUnreachable, true), "{error}");
    let sends = "film.mp4: the server sends ";
    assert!(error.detail.contains(sends) && error.detail.ends_with("at least 10000 are required"), "{error}");
}

#[tokio::test]
async fn without_ranges_it_starts_again() {
    let server = ScriptedServer::start(vec![broken_off(100_000, &[ETAG_ONE]), whole(&[ETAG_ONE])]).await;
    let fetched = fetched(&server.url).await;
    fetched.assert_is(&content());
    assert!(!fetched.progress.is_sorted(), "the bytes of the first try do not count");
}

#[rstest]
#[case::no_version(&[])]
#[case::a_weak_tag(&["etag: W/\"one\""])]
#[case::ranges_refused(&[ETAG_ONE, "accept-ranges: none"])]
#[tokio::test]
async fn without_a_strong_validator_nothing_is_resumed(#[case] headers: &[&str]) {
    let server = ScriptedServer::start(vec![broken_off(100_000, headers), whole(headers)]).await;
    fetched(&server.url).await.assert_is(&content());
    assert!(!server.heads()[1].contains("range"), "{}", server.heads()[1]);
}

#[rstest]
#[case::sent_anew(whole(&["etag: \"two\""]))]
#[case::shorter_now(ScriptedAnswer::new("416 Range Not Satisfiable", &["content-range: bytes */9", "content-length: 0"], b""))]
#[case::a_range_of_another(ScriptedAnswer::new("206 Partial Content", &["etag: \"two\"", "content-range: bytes 100000-299999/300000"], b""))]
#[tokio::test]
async fn an_input_that_changes_meanwhile_is_not_mixed(#[case] second: ScriptedAnswer) {
    let server = ScriptedServer::start(vec![broken_off(100_000, &[ETAG_ONE]), second]).await;
    let error = fetched(&server.url).await.error();
    assert_eq!((error.code, error.retry), (ErrorCode::InputUnreachable, true));
    assert!(error.detail.ends_with("/film.mp4: changed while it was being fetched"), "{error}");
}

#[tokio::test]
async fn another_range_than_was_requested_is_not_taken() {
    let server = ScriptedServer::start(vec![
        broken_off(100_000, &[ETAG_ONE]),
        range_answer(50_000),
        range_answer(100_000),
    ])
    .await;
    fetched(&server.url).await.assert_is(&content());
}

#[tokio::test]
async fn a_chunked_body_without_its_end_is_complete_when_no_range_is_left() {
    let content = content();
    let mut body = format!("{:x}\r\n", content.len()).into_bytes();
    body.extend_from_slice(&content);
    let server = ScriptedServer::start(vec![
        ScriptedAnswer::new("200 OK", &["transfer-encoding: chunked", ETAG_ONE], &body),
        ScriptedAnswer::new(
            "416 Range Not Satisfiable",
            &["content-range: bytes */300000", "content-length: 0"],
            b"",
        ),
    ])
    .await;
    fetched(&server.url).await.assert_is(&content);
}

#[tokio::test]
async fn less_than_was_announced_is_an_error_after_some_tries() {
    let script = (0..5).map(|_| broken_off(100_000, &[])).collect();
    let server = ScriptedServer::start(script).await;
    let error = fetched(&server.url).await.error();
    assert_eq!((error.code, error.retry), (ErrorCode::InputUnreachable, true));
    assert_eq!(server.heads().len(), 5);
}

#[tokio::test]
async fn more_than_was_announced_is_cut_off() {
    let server =
        ScriptedServer::start(vec![ScriptedAnswer::new("200 OK", &["content-length: 4"], b"filmjunk")]).await;
    fetched(&server.url).await.assert_is(b"film");
}

#[rstest]
#[case::gone(ScriptedAnswer::new("404 Not Found", &["content-length: 0", "etag: \"page\""], b""), false, 2)]
#[case::busy(ScriptedAnswer::new("503 Service Unavailable", &["content-length: 0"], b""), true, 3)]
#[tokio::test]
async fn a_status_while_a_fetch_is_resumed(
    #[case] second: ScriptedAnswer,
    #[case] is_transient: bool,
    #[case] requests: usize,
) {
    let server =
        ScriptedServer::start(vec![broken_off(100_000, &[ETAG_ONE]), second, range_answer(100_000)]).await;
    let fetched = fetched(&server.url).await;
    assert_eq!(server.heads().len(), requests);
    if is_transient {
        fetched.assert_is(&content());
    } else {
        assert!(!fetched.error().retry);
    }
}

#[rstest]
#[case(404, false)]
#[case(403, false)]
#[case(401, false)]
#[case(410, false)]
#[case(204, false)]
#[case(206, false)]
#[case(304, false)]
#[case(408, true)]
#[case(429, true)]
#[case(500, true)]
#[case(503, true)]
#[tokio::test]
async fn a_status_is_in_the_error_and_says_whether_to_retry(#[case] status: u16, #[case] retry: bool) {
    let (server, url) = answering(ResponseTemplate::new(status)).await;
    let error = fetched(&url).await.error();
    assert_eq!((error.code, error.retry), (ErrorCode::InputUnreachable, retry), "{error}");
    assert!(error.detail.contains(&format!("/film.mp4: the server answered {status}")), "{error}");
    assert_eq!(server.received_requests().await.expect("recorded").len(), 1);
}

#[tokio::test]
async fn an_announced_size_over_the_limit_is_refused_at_once() {
    let huge = ScriptedAnswer::new("200 OK", &["content-length: 10000001"], b"").then_silence();
    let server = ScriptedServer::start(vec![huge]).await;
    let started = Instant::now();
    let error = fetched(&server.url).await.error();
    assert_eq!((error.code, error.retry), (ErrorCode::InputOverLimit, false));
    assert!(error.detail.contains("10000001 bytes or more; at most 10000000 are allowed"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(10), "it waited for the body");
}

#[tokio::test]
async fn a_body_that_grows_over_the_limit_is_cut_off() {
    let endless = ScriptedAnswer::new("200 OK", &["connection: close"], &content()).then_silence();
    let server = ScriptedServer::start(vec![endless]).await;
    let limits = FetchLimits { max_bytes: 200_000, ..LIMITS };
    let fetched = fetched_within(&server.url, &limits).await;
    assert!(fetched.content.len() <= 200_000);
    assert_eq!(fetched.error().code, ErrorCode::InputOverLimit);
}

#[tokio::test]
async fn an_input_of_exactly_the_limit_is_fetched() {
    let server = ScriptedServer::start(vec![whole(&[])]).await;
    let limits = FetchLimits { max_bytes: 300_000, ..LIMITS };
    fetched_within(&server.url, &limits).await.assert_is(&content());
}

#[tokio::test]
async fn redirects_are_followed() {
    let server = MockServer::start().await;
    for (from, status, to) in [
        ("/a", 301, "/b"),
        ("/b", 302, "c"),
        ("/c", 303, "//HOST/d"),
        ("/d", 307, "/e?sign=secret"),
        ("/e", 308, "/f"),
    ] {
        let to = to.replace("HOST", &server.address().to_string());
        let redirect = ResponseTemplate::new(status).insert_header("location", to);
        Mock::given(path(from)).respond_with(redirect).mount(&server).await;
    }
    let answer = ResponseTemplate::new(200).set_body_bytes(content());
    Mock::given(path("/f")).respond_with(answer).mount(&server).await;
    let url: Url = format!("{}/a", server.uri()).parse().expect("a URL");
    fetched(&url).await.assert_is(&content());

    let limits = FetchLimits { max_redirects: 4, ..LIMITS };
    let error = fetched_within(&url, &limits).await.error();
    assert_eq!((error.code, error.retry), (ErrorCode::InputUnreachable, false));
    assert!(error.detail.ends_with("/a: was redirected more than 4 times"), "{error}");
}

#[rstest]
#[case::private("http://10.0.0.1/")]
#[case::another_loopback("http://127.0.0.2/")]
#[case::metadata("http://169.254.169.254/latest")]
#[case::a_file("file:///etc/passwd")]
#[case::a_password("http://user:secret@127.0.0.1/")]
#[tokio::test]
async fn a_redirect_is_checked_like_any_url(#[case] to: &str) {
    let (_server, url) = answering(ResponseTemplate::new(302).insert_header("location", to)).await;
    let error = fetched(&url).await.error();
    assert_eq!((error.code, error.retry), (ErrorCode::InputForbidden, false), "{error}");
    let error = fetched(&to.parse().expect("a URL")).await.error();
    assert_eq!((error.code, error.retry), (ErrorCode::InputForbidden, false), "{error}");
}

#[tokio::test]
async fn a_redirect_without_a_location_is_an_error() {
    let (_server, url) = answering(ResponseTemplate::new(302)).await;
    let error = fetched(&url).await.error();
    assert_eq!((error.code, error.retry), (ErrorCode::InputUnreachable, false), "{error}");
}

#[tokio::test]
async fn a_refused_connection_is_transient() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let free = listener.local_addr().expect("an address");
    drop(listener);
    let error = fetched(&format!("http://{free}/film.mp4?sign=secret").parse().expect("a URL")).await.error();
    assert_eq!((error.code, error.retry), (ErrorCode::InputUnreachable, true), "{error}");
    assert!(error.detail.starts_with(&format!("http://{free}/film.mp4: refused")), "{error}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/film.mp4", listener.local_addr().expect("an address"));
    let limits = FetchLimits { idle_timeout: Duration::from_millis(200), ..LIMITS };
    let error = fetched_within(&url.parse().expect("a URL"), &limits).await.error();
    assert_eq!((error.code, error.retry), (ErrorCode::InputUnreachable, true));
    assert_eq!(error.detail, format!("{url}: the server sent nothing for 200ms"));
}

#[tokio::test]
async fn a_file_that_cannot_be_made_is_an_internal_error() {
    let url = "http://127.0.0.1/".parse().expect("a URL");
    let to = PathBuf::from("/no/such/folder/input");
    let error = fetch_url(&client(), &url, &to, &LIMITS, &|_, _| ()).await.expect_err("no folder");
    assert_eq!((error.code, error.retry), (ErrorCode::Internal, true));
}
