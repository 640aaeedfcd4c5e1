//! Fetching an input: from honest servers, and from those that break off, lie or change their mind.

use std::{
    path::PathBuf,
    sync::Mutex,
    time::{Duration, Instant},
};

use borealis_storage::{
    StorageError,
    fetch::{FetchLimits, fetch_url},
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
    client,
    scripted::{Answer, Scripted},
};

const TAG: &str = "etag: \"one\"";

struct Fetched {
    result: Result<u64, StorageError>,
    content: Vec<u8>,
    told: Vec<(u64, Option<u64>)>,
}

const LIMITS: FetchLimits =
    FetchLimits { max_bytes: 10_000_000, idle_timeout: Duration::from_secs(20), max_redirects: 5 };

async fn fetched(url: &Url) -> Fetched {
    fetched_within(url, &LIMITS).await
}

async fn fetched_within(url: &Url, limits: &FetchLimits) -> Fetched {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("input");
    std::fs::write(&file, "what an earlier try left").expect("a file");
    let told = Mutex::new(Vec::new());
    let progress = |so_far, total| told.lock().expect("not poisoned").push((so_far, total));
    let result = fetch_url(&client(), url, &file, limits, &progress).await;
    let content = std::fs::read(&file).expect("a file");
    Fetched { result, content, told: told.into_inner().expect("not poisoned") }
}

impl Fetched {
    fn failed(self) -> StorageError {
        let error = self.result.expect_err("it fails");
        assert!(!error.detail.contains("secret"), "the query is told: {error}");
        error
    }

    /// Fails unless these bytes are what came.
    fn is(&self, content: &[u8]) {
        assert_eq!(self.result, Ok(content.len() as u64));
        assert!(self.content == content, "the content differs, {} bytes", self.content.len());
        assert_eq!(self.told.last().map_or(0, |(so_far, _)| *so_far), content.len() as u64);
    }
}

fn film() -> Vec<u8> {
    (0..300_000_u32).map(|i| (i % 249) as u8).collect()
}

fn length(bytes: usize) -> String {
    format!("content-length: {bytes}")
}

/// The whole film is announced, and only this much of it comes.
fn broken_off(at: usize, headers: &[&str]) -> Answer {
    let length = length(film().len());
    let headers: Vec<&str> = headers.iter().copied().chain([length.as_str()]).collect();
    Answer::new("200 OK", &headers, &film()[..at])
}

fn whole(headers: &[&str]) -> Answer {
    broken_off(film().len(), headers)
}

fn rest(from: usize) -> Answer {
    let (film, total) = (film(), film().len());
    let range = format!("content-range: bytes {from}-{}/{total}", total - 1);
    Answer::new("206 Partial Content", &[&range, &length(total - from), TAG], &film[from..])
}

async fn answering(template: ResponseTemplate) -> (MockServer, Url) {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(template).mount(&server).await;
    let url = format!("{}/film.mp4?sign=secret", server.uri()).parse().expect("a URL");
    (server, url)
}

#[tokio::test]
async fn a_plain_object_comes_whole() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(header("accept-encoding", "identity"))
        .respond_with(ResponseTemplate::new(200).set_body_bytes(film()))
        .expect(1)
        .mount(&server)
        .await;
    let fetched = fetched(&server.uri().parse().expect("a URL")).await;
    fetched.is(&film());
    assert_eq!(fetched.told.last(), Some(&(300_000, Some(300_000))));
    assert!(fetched.told.is_sorted(), "progress grows");
}

#[tokio::test]
async fn an_empty_object_is_no_error() {
    let (_server, url) = answering(ResponseTemplate::new(200)).await;
    fetched(&url).await.is(b"");
}

#[tokio::test]
async fn a_broken_connection_is_resumed() {
    let server = Scripted::start(vec![broken_off(100_000, &[TAG]), rest(100_000)]).await;
    fetched(&server.url).await.is(&film());
    let heads = server.heads();
    assert!(!heads[0].contains("range"), "{}", heads[0]);
    assert!(heads[1].contains("\r\nrange: bytes=100000-\r\n"), "{}", heads[1]);
    assert!(heads[1].contains("\r\nif-range: \"one\"\r\n"), "{}", heads[1]);
}

#[tokio::test]
async fn a_connection_that_falls_silent_is_resumed() {
    let server = Scripted::start(vec![broken_off(100_000, &[TAG]).then_silence(), rest(100_000)]).await;
    let limits = FetchLimits { idle_timeout: Duration::from_millis(300), ..LIMITS };
    fetched_within(&server.url, &limits).await.is(&film());
}

#[tokio::test]
async fn without_ranges_it_starts_again() {
    let server = Scripted::start(vec![broken_off(100_000, &[TAG]), whole(&[TAG])]).await;
    let fetched = fetched(&server.url).await;
    fetched.is(&film());
    assert!(!fetched.told.is_sorted(), "the bytes of the first try do not count");
}

#[rstest]
#[case::no_version(&[])]
#[case::a_weak_tag(&["etag: W/\"one\""])]
#[case::ranges_refused(&[TAG, "accept-ranges: none"])]
#[tokio::test]
async fn without_proof_nothing_is_resumed(#[case] headers: &[&str]) {
    let server = Scripted::start(vec![broken_off(100_000, headers), whole(headers)]).await;
    fetched(&server.url).await.is(&film());
    assert!(!server.heads()[1].contains("range"), "{}", server.heads()[1]);
}

#[rstest]
#[case::sent_anew(whole(&["etag: \"two\""]))]
#[case::shorter_now(Answer::new("416 Range Not Satisfiable", &["content-range: bytes */9", "content-length: 0"], b""))]
#[case::a_part_of_another(Answer::new("206 Partial Content", &["etag: \"two\"", "content-range: bytes 100000-299999/300000"], b""))]
#[tokio::test]
async fn an_object_that_changes_meanwhile_is_not_mixed(#[case] second: Answer) {
    let server = Scripted::start(vec![broken_off(100_000, &[TAG]), second]).await;
    let error = fetched(&server.url).await.failed();
    assert_eq!((error.code, error.retry), (ErrorCode::InputUnreachable, true));
    assert!(error.detail.ends_with("/film.mp4: changed while it was being fetched"), "{error}");
}

#[tokio::test]
async fn another_part_than_was_asked_for_is_not_taken() {
    let server = Scripted::start(vec![broken_off(100_000, &[TAG]), rest(50_000), rest(100_000)]).await;
    fetched(&server.url).await.is(&film());
}

#[tokio::test]
async fn a_chunked_body_without_its_end_is_asked_about() {
    let film = film();
    let mut body = format!("{:x}\r\n", film.len()).into_bytes();
    body.extend_from_slice(&film);
    let server = Scripted::start(vec![
        Answer::new("200 OK", &["transfer-encoding: chunked", TAG], &body),
        Answer::new(
            "416 Range Not Satisfiable",
            &["content-range: bytes */300000", "content-length: 0"],
            b"",
        ),
    ])
    .await;
    fetched(&server.url).await.is(&film);
}

#[tokio::test]
async fn less_than_was_announced_is_an_error_after_some_tries() {
    let script = (0..5).map(|_| broken_off(100_000, &[])).collect();
    let server = Scripted::start(script).await;
    let error = fetched(&server.url).await.failed();
    assert_eq!((error.code, error.retry), (ErrorCode::InputUnreachable, true));
    assert_eq!(server.heads().len(), 5);
}

#[tokio::test]
async fn more_than_was_announced_is_cut_off() {
    let server = Scripted::start(vec![Answer::new("200 OK", &["content-length: 4"], b"filmjunk")]).await;
    fetched(&server.url).await.is(b"film");
}

#[rstest]
#[case::gone(Answer::new("404 Not Found", &["content-length: 0", "etag: \"page\""], b""), false, 2)]
#[case::busy(Answer::new("503 Service Unavailable", &["content-length: 0"], b""), true, 3)]
#[tokio::test]
async fn a_status_in_between(#[case] second: Answer, #[case] goes_on: bool, #[case] asked: usize) {
    let server = Scripted::start(vec![broken_off(100_000, &[TAG]), second, rest(100_000)]).await;
    let fetched = fetched(&server.url).await;
    assert_eq!(server.heads().len(), asked);
    if goes_on {
        fetched.is(&film());
    } else {
        assert!(!fetched.failed().retry);
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
async fn a_status_is_told_and_says_whether_to_try_again(#[case] status: u16, #[case] retry: bool) {
    let (server, url) = answering(ResponseTemplate::new(status)).await;
    let error = fetched(&url).await.failed();
    assert_eq!((error.code, error.retry), (ErrorCode::InputUnreachable, retry), "{error}");
    assert!(error.detail.contains(&format!("/film.mp4: the server answered {status}")), "{error}");
    assert_eq!(server.received_requests().await.expect("recorded").len(), 1);
}

#[tokio::test]
async fn an_announced_size_over_the_limit_is_refused_at_once() {
    let huge = Answer::new("200 OK", &["content-length: 10000001"], b"").then_silence();
    let server = Scripted::start(vec![huge]).await;
    let began = Instant::now();
    let error = fetched(&server.url).await.failed();
    assert_eq!((error.code, error.retry), (ErrorCode::InputOverLimit, false));
    assert!(error.detail.contains("10000001 bytes or more; at most 10000000 are allowed"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(10), "it waited for the body");
}

#[tokio::test]
async fn a_body_that_grows_over_the_limit_is_cut_off() {
    let endless = Answer::new("200 OK", &["connection: close"], &film()).then_silence();
    let server = Scripted::start(vec![endless]).await;
    let limits = FetchLimits { max_bytes: 200_000, ..LIMITS };
    let fetched = fetched_within(&server.url, &limits).await;
    assert!(fetched.content.len() <= 200_000);
    assert_eq!(fetched.failed().code, ErrorCode::InputOverLimit);
}

#[tokio::test]
async fn an_object_of_exactly_the_limit_is_taken() {
    let server = Scripted::start(vec![whole(&[])]).await;
    let limits = FetchLimits { max_bytes: 300_000, ..LIMITS };
    fetched_within(&server.url, &limits).await.is(&film());
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
    let film_there = ResponseTemplate::new(200).set_body_bytes(film());
    Mock::given(path("/f")).respond_with(film_there).mount(&server).await;
    let url: Url = format!("{}/a", server.uri()).parse().expect("a URL");
    fetched(&url).await.is(&film());

    let limits = FetchLimits { max_redirects: 4, ..LIMITS };
    let error = fetched_within(&url, &limits).await.failed();
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
async fn a_redirect_is_judged_like_any_url(#[case] to: &str) {
    let (_server, url) = answering(ResponseTemplate::new(302).insert_header("location", to)).await;
    let error = fetched(&url).await.failed();
    assert_eq!((error.code, error.retry), (ErrorCode::InputForbidden, false), "{error}");
    let error = fetched(&to.parse().expect("a URL")).await.failed();
    assert_eq!((error.code, error.retry), (ErrorCode::InputForbidden, false), "{error}");
}

#[tokio::test]
async fn a_redirect_without_a_location_is_an_error() {
    let (_server, url) = answering(ResponseTemplate::new(302)).await;
    let error = fetched(&url).await.failed();
    assert_eq!((error.code, error.retry), (ErrorCode::InputUnreachable, false), "{error}");
}

#[tokio::test]
async fn nobody_there_may_pass() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let free = listener.local_addr().expect("an address");
    drop(listener);
    let error =
        fetched(&format!("http://{free}/film.mp4?sign=secret").parse().expect("a URL")).await.failed();
    assert_eq!((error.code, error.retry), (ErrorCode::InputUnreachable, true), "{error}");
    assert!(error.detail.starts_with(&format!("http://{free}/film.mp4: refused")), "{error}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/film.mp4", listener.local_addr().expect("an address"));
    let limits = FetchLimits { idle_timeout: Duration::from_millis(200), ..LIMITS };
    let error = fetched_within(&url.parse().expect("a URL"), &limits).await.failed();
    assert_eq!((error.code, error.retry), (ErrorCode::InputUnreachable, true));
    assert_eq!(error.detail, format!("{url}: the server sent nothing for 200ms"));
}

#[tokio::test]
async fn a_file_that_cannot_be_made_is_our_own_fault() {
    let url = "http://127.0.0.1/".parse().expect("a URL");
    let to = PathBuf::from("/no/such/folder/input");
    let error = fetch_url(&client(), &url, &to, &LIMITS, &|_, _| ()).await.expect_err("no folder");
    assert_eq!((error.code, error.retry), (ErrorCode::Internal, true));
}
