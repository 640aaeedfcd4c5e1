//! Object stores that answer more than there can be: each answer is read up to its bound, however it comes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use borealis_storage::{
    Bucket, StorageError, Storages,
    fetch::{FetchLimits, fetch_object},
};
use model::{
    ErrorCode, Secret, Storage, StorageType,
    limits::{MAX_LISTING_BYTES, MAX_STORE_ANSWER_BYTES, MAX_STORE_ERROR_BYTES, MAX_TOKEN_ANSWER_BYTES},
};
use rstest::rstest;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

use super::{ANY_RATE, client, storage};

/// What the operating system may take beyond what is read, in both of its buffers.
const BUFFERED_BYTES: u64 = 16 << 20;

/// A server that answers every request with a head and a body without end.
struct EndlessServer {
    endpoint: String,
    sent: Arc<AtomicU64>,
    connections: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl EndlessServer {
    async fn start(head: &'static str, is_chunked: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let (sent, connections) = (Arc::<AtomicU64>::default(), Arc::<AtomicUsize>::default());
        let (counted, accepted) = (Arc::clone(&sent), Arc::clone(&connections));
        let server = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(answer(connection, head, is_chunked, Arc::clone(&counted)));
            }
        });
        Self { endpoint, sent, connections, server }
    }
}

impl Drop for EndlessServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Answers one request until the connection is closed.
async fn answer(mut connection: TcpStream, head: &str, is_chunked: bool, sent: Arc<AtomicU64>) {
    let mut request = Vec::new();
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        if connection.read_buf(&mut request).await.unwrap_or_default() == 0 {
            return;
        }
    }
    if request.starts_with(b"HEAD") {
        let object = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\netag: \"e\"\r\nconnection: close\r\n\r\n";
        // it fails when the client is gone
        let _ = connection.write_all(object).await;
        return;
    }
    let framing = if is_chunked { "transfer-encoding: chunked\r\n" } else { "connection: close\r\n" };
    let body = vec![b' '; 1 << 16];
    let chunk = if is_chunked { [b"10000\r\n", &body[..], b"\r\n"].concat() } else { body };
    if connection.write_all(format!("HTTP/1.1 {head}\r\n{framing}\r\n").as_bytes()).await.is_err() {
        return;
    }
    while connection.write_all(&chunk).await.is_ok() {
        sent.fetch_add(chunk.len() as u64, Ordering::SeqCst);
    }
}

fn bucket_at(endpoint: &str) -> Bucket {
    let storage = Storage {
        endpoint: endpoint.to_owned(),
        storage_ak: Secret::new("ak"),
        storage_sk: Secret::new("planted-secret"),
        ..storage(StorageType::S3, "bkt")
    };
    Storages::new("/nowhere".into(), client()).interactive().open(&storage).expect("the bucket opens")
}

/// The error when an answer is cut at its bound.
fn cut_at(uri: &str, bytes: usize) -> StorageError {
    let detail = format!("{uri}: the object store answered more than {bytes} bytes");
    StorageError { code: ErrorCode::OutputRefused, detail, retry: false }
}

#[rstest]
#[tokio::test]
async fn an_answer_without_end_is_refused_at_its_bound(#[values(true, false)] is_chunked: bool) {
    let server = EndlessServer::start("200 OK", is_chunked).await;
    let bucket = bucket_at(&server.endpoint);
    let put = bucket.put_bytes("a", "film".into()).await;
    assert_eq!(put, Err(cut_at("s3://bkt/a", MAX_STORE_ANSWER_BYTES)));
    let listed = bucket.list("").await;
    assert_eq!(listed, Err(cut_at("s3://bkt/", MAX_STORE_ANSWER_BYTES)));
    let read = bucket.read("a").await;
    assert_eq!(read, Err(cut_at("s3://bkt/a", MAX_STORE_ANSWER_BYTES)));
    let (sent, connections) =
        (server.sent.load(Ordering::SeqCst), server.connections.load(Ordering::SeqCst) as u64);
    assert_eq!(connections, 3, "none of them is retried");
    assert!(sent < connections * (MAX_STORE_ANSWER_BYTES as u64 + BUFFERED_BYTES), "{sent} bytes");
}

#[tokio::test]
async fn of_an_error_without_end_its_beginning_is_read() {
    let server = EndlessServer::start("403 Forbidden", true).await;
    let error = bucket_at(&server.endpoint).put_bytes("a", "film".into()).await.expect_err("refused");
    assert_eq!(error.detail, "s3://bkt/a: the object store answered 403");
    let sent = server.sent.load(Ordering::SeqCst);
    assert!(sent < MAX_STORE_ERROR_BYTES as u64 + BUFFERED_BYTES, "{sent} bytes");
}

#[tokio::test]
async fn a_token_without_end_is_refused_at_its_bound() {
    let server = EndlessServer::start("200 OK", true).await;
    let file = serde_json::json!({
        "type": "service_account", "client_email": "a@b",
        "private_key": include_str!("service-account-of-nobody.pem"),
    });
    let storage = Storage {
        endpoint: server.endpoint.clone(),
        storage_ak: Secret::new("any"),
        storage_sk: Secret::new(file.to_string()),
        ..storage(StorageType::Gcs, "bkt")
    };
    let storages = Storages::new("/nowhere".into(), client()).interactive();
    let error = storages.open(&storage).expect("it opens").list("").await.expect_err("refused");
    assert_eq!(error.code, ErrorCode::OutputUnreachable, "{error}");
    let sent = server.sent.load(Ordering::SeqCst);
    assert!(sent < 4 * (MAX_TOKEN_ANSWER_BYTES as u64 + BUFFERED_BYTES), "{sent} bytes");
}

#[rstest]
#[case(MAX_STORE_ANSWER_BYTES, true)]
#[case(MAX_STORE_ANSWER_BYTES + 1, false)]
#[tokio::test]
async fn an_answer_may_have_so_many_bytes(#[case] bytes: usize, #[case] is_accepted: bool) {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_bytes(vec![b' '; bytes]);
    Mock::given(method("PUT")).respond_with(answer).mount(&server).await;
    let put = bucket_at(&server.uri()).put_bytes("a", "film".into()).await;
    let refused = Err(cut_at("s3://bkt/a", MAX_STORE_ANSWER_BYTES));
    assert_eq!(put, if is_accepted { Ok(()) } else { refused });
}

#[tokio::test]
async fn a_listing_without_end_is_refused_at_its_bound() {
    let server = MockServer::start().await;
    let entry = |number: u32| {
        let name = "n".repeat(60_000);
        format!(
            "<Contents><Key>a/{number}{name}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>\"e\"</ETag><Size>1</Size></Contents>"
        )
    };
    let entries: String = (0..100).map(entry).collect();
    let page = format!(
        "<ListBucketResult><Name>bkt</Name><IsTruncated>true</IsTruncated>\
         <NextContinuationToken>more</NextContinuationToken>{entries}</ListBucketResult>"
    );
    let answer = ResponseTemplate::new(200).set_body_string(page);
    Mock::given(method("GET")).respond_with(answer).mount(&server).await;
    let bucket = bucket_at(&server.uri());
    let first = bucket.list_first("a/", 150).await.expect("as many as were asked for");
    assert_eq!(first.len(), 150);
    let error = bucket.list("a/").await.expect_err("refused");
    assert_eq!(error.detail, "s3://bkt/a/: more than 1000000 objects are listed");
    let pages = server.received_requests().await.expect("recorded").len();
    assert!(pages <= 2 + MAX_LISTING_BYTES / 6_000_000 + 1, "{pages} pages");
}

#[tokio::test]
async fn an_object_without_end_is_refused_at_its_size() {
    let server =
        EndlessServer::start("206 Partial Content\r\ncontent-range: bytes 0-6/7\r\netag: \"e\"", true).await;
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("input");
    let limits = FetchLimits {
        max_bytes: 1 << 40,
        idle_timeout: Duration::from_secs(20),
        max_redirects: 0,
        rate: ANY_RATE,
    };
    let fetched = fetch_object(&bucket_at(&server.endpoint), "a", &to, &limits, &|_, _| ()).await;
    let error = fetched.expect_err("refused");
    assert_eq!(error.code, ErrorCode::InputUnreachable, "{error}");
    assert!(std::fs::metadata(&to).expect("a file").len() <= 7);
}
