//! Object stores that are busy, break off, are silent or lie: what is retried, and what the error says.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use borealis_storage::{Bucket, RetryBudget, Storages};
use bytes::Bytes;
use model::{ErrorCode, Secret, Storage, StorageType};
use rstest::rstest;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{any, method, path, query_param},
};

use super::{
    client, open,
    scripted::{ScriptedAnswer, ScriptedServer},
    storage,
};

/// Enough for a few retries.
const RETRY_BUDGET: RetryBudget =
    RetryBudget { total: Duration::from_secs(20), idle: Duration::from_secs(20) };

fn bucket_at(endpoint: &str, retry_budget: RetryBudget) -> Bucket {
    let storage = Storage {
        endpoint: endpoint.to_owned(),
        storage_ak: Secret::new("ak"),
        storage_sk: Secret::new("planted-secret"),
        ..storage(StorageType::S3, "bkt")
    };
    let storages = Storages::new("/nowhere".into(), client()).with_retry_budget(retry_budget);
    storages.open(&storage).expect("the bucket opens")
}

fn error_response(status: u16, code: &str) -> ResponseTemplate {
    let text = format!("<Error><Code>{code}</Code><Message>words</Message><RequestId>4F</RequestId></Error>");
    ResponseTemplate::new(status).set_body_string(text)
}

async fn answering(first: ResponseTemplate, times: u64) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("PUT")).respond_with(first).up_to_n_times(times).mount(&server).await;
    Mock::given(method("PUT")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    server
}

#[rstest]
#[case(503, "SlowDown")]
#[case(500, "InternalError")]
#[case(429, "")]
#[case(400, "RequestTimeout")]
#[case(409, "OperationAborted")]
#[tokio::test]
async fn a_transient_error_is_retried(#[case] status: u16, #[case] code: &str) {
    let server = answering(error_response(status, code), 3).await;
    bucket_at(&server.uri(), RETRY_BUDGET).put_bytes("a.mp4", "film".into()).await.expect("put at last");
    let requests = server.received_requests().await.expect("recorded");
    assert_eq!(requests.len(), 4);
    assert!(requests.iter().all(|request| request.body == b"film"), "the whole body each time");
}

#[rstest]
#[case(403, "AccessDenied", ErrorCode::OutputRefused)]
#[case(403, "RequestTimeTooSkewed", ErrorCode::OutputRefused)]
#[case(404, "NoSuchBucket", ErrorCode::OutputMissing)]
#[case(400, "InvalidRequest", ErrorCode::OutputRefused)]
#[case(301, "PermanentRedirect", ErrorCode::OutputRefused)]
#[tokio::test]
async fn a_permanent_error_is_not_retried(
    #[case] status: u16,
    #[case] code: &str,
    #[case] task_code: ErrorCode,
) {
    let server = answering(error_response(status, code), 9).await;
    let error =
        bucket_at(&server.uri(), RETRY_BUDGET).put_bytes("a.mp4", "film".into()).await.expect_err("refused");
    assert_eq!((error.code, error.retry), (task_code, false), "{error}");
    assert!(error.detail.contains(&format!("the object store answered {status} {code}: words")), "{error}");
    assert!(error.detail.ends_with("(request 4F)") && !error.detail.contains("planted"), "{error}");
    assert_eq!(server.received_requests().await.expect("recorded").len(), 1);
}

#[tokio::test]
async fn the_retry_budget_ends() {
    let server = answering(error_response(503, "SlowDown"), 1000).await;
    let retry_budget = RetryBudget { total: Duration::from_secs(2), ..RETRY_BUDGET };
    let started = Instant::now();
    let error =
        bucket_at(&server.uri(), retry_budget).put_bytes("a.mp4", "film".into()).await.expect_err("busy");
    assert_eq!((error.code, error.retry), (ErrorCode::OutputUnreachable, true), "{error}");
    assert!(started.elapsed() < Duration::from_secs(15));
    assert!(server.received_requests().await.expect("recorded").len() > 2);
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_middle_is_retried() {
    let cut = ScriptedAnswer::new("200 OK", &["content-length: 10"], b"half");
    let whole = ScriptedAnswer::new("200 OK", &["content-length: 0", "connection: close"], b"");
    let server = ScriptedServer::start(vec![cut, whole]).await;
    let endpoint = format!("http://{}", server.url.authority());
    bucket_at(&endpoint, RETRY_BUDGET).put_bytes("a.mp4", "film".into()).await.expect("put at last");
    assert_eq!(server.heads().len(), 2);
}

#[tokio::test]
async fn silence_is_an_error() {
    let silent_answer = ScriptedAnswer::new("", &[], b"").then_silence();
    let server = ScriptedServer::start(vec![silent_answer]).await;
    let endpoint = format!("http://{}", server.url.authority());
    let retry_budget = RetryBudget { total: Duration::ZERO, idle: Duration::from_millis(200) };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let silent = format!("http://{}", listener.local_addr().expect("an address"));
    for endpoint in [endpoint, silent] {
        let error = bucket_at(&endpoint, retry_budget)
            .put_bytes("a.mp4", "film".into())
            .await
            .expect_err("no answer");
        assert_eq!((error.code, error.retry), (ErrorCode::OutputUnreachable, true), "{error}");
    }
}

#[tokio::test]
async fn a_part_that_is_refused_aborts_the_upload() {
    let server = MockServer::start().await;
    let created = "<InitiateMultipartUploadResult><UploadId>up</UploadId></InitiateMultipartUploadResult>";
    let created = ResponseTemplate::new(200).set_body_string(created);
    Mock::given(method("POST")).and(query_param("uploads", "")).respond_with(created).mount(&server).await;
    Mock::given(method("PUT")).respond_with(error_response(403, "AccessDenied")).mount(&server).await;
    Mock::given(method("DELETE"))
        .and(path("/bkt/a.mp4"))
        .and(query_param("uploadId", "up"))
        .respond_with(ResponseTemplate::new(204))
        .expect(1)
        .mount(&server)
        .await;
    let folder = tempfile::tempdir().expect("a folder");
    let local = folder.path().join("local");
    std::fs::write(&local, vec![7; 40 << 20]).expect("a file");
    let error = bucket_at(&server.uri(), RETRY_BUDGET)
        .put_file("a.mp4", open(&local), &|_| ())
        .await
        .expect_err("refused");
    assert_eq!(error.code, ErrorCode::OutputRefused, "{error}");
}

#[tokio::test]
async fn an_upload_whose_completion_was_not_answered_is_complete() {
    let server = MockServer::start().await;
    let created = "<InitiateMultipartUploadResult><UploadId>up</UploadId></InitiateMultipartUploadResult>";
    let created = ResponseTemplate::new(200).set_body_string(created);
    Mock::given(method("POST")).and(query_param("uploads", "")).respond_with(created).mount(&server).await;
    let part = ResponseTemplate::new(200).insert_header("etag", "\"part\"");
    Mock::given(method("PUT")).respond_with(part).mount(&server).await;
    let unknown = error_response(404, "NoSuchUpload");
    Mock::given(method("POST")).and(query_param("uploadId", "up")).respond_with(unknown).mount(&server).await;
    let found = ResponseTemplate::new(200).insert_header("content-length", "20971520");
    Mock::given(method("HEAD")).respond_with(found).mount(&server).await;
    let folder = tempfile::tempdir().expect("a folder");
    let local = folder.path().join("local");
    std::fs::write(&local, vec![7; 20 << 20]).expect("a file");
    let bucket = bucket_at(&server.uri(), RETRY_BUDGET);
    assert_eq!(bucket.put_file("a.mp4", open(&local), &|_| ()).await, Ok(20 << 20));
}

#[rstest]
#[case("http://127.0.0.2:9")]
#[case("http://[::ffff:10.0.0.1]:9")]
#[case("http://169.254.169.254")]
#[case("http://user:pass@127.0.0.1:9")]
#[case("ftp://127.0.0.1")]
#[case("http://127.0.0.1/?x")]
fn an_endpoint_is_checked_before_anything_connects(#[case] endpoint: &str) {
    let storage = Storage {
        endpoint: endpoint.to_owned(),
        storage_ak: Secret::new("ak"),
        storage_sk: Secret::new("planted-secret"),
        ..storage(StorageType::S3, "bkt")
    };
    let error = Storages::new("/nowhere".into(), client()).open(&storage).err().expect("refused");
    assert_eq!(error.code, ErrorCode::BadParam);
    assert!(error.detail.starts_with("endpoint: ") && !error.detail.contains("pass@"), "{error}");
}

/// Pages without a key that each name a next one: only a bound ends that.
#[tokio::test]
async fn a_listing_without_an_end_is_given_up() {
    let server = MockServer::start().await;
    let page = "<ListBucketResult><IsTruncated>true</IsTruncated>\
        <NextContinuationToken>more</NextContinuationToken></ListBucketResult>";
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_string(page))
        .mount(&server)
        .await;
    let bucket = bucket_at(&server.uri(), RETRY_BUDGET);
    for error in [
        bucket.list("a/").await.expect_err("it has no end"),
        bucket.list_first("a/", 1).await.expect_err("it has no end"),
    ] {
        assert_eq!(
            (error.code, error.detail.as_str(), error.retry),
            (ErrorCode::OutputRefused, "s3://bkt/a/: the listing does not end within 2000 pages", false)
        );
    }
}

#[rstest]
#[case::put(true)]
#[case::delete(false)]
#[tokio::test]
async fn what_the_write_guard_forbids_is_not_sent(#[case] is_put: bool) {
    // it allows the first request, and neither its retry nor any other one
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(error_response(503, "SlowDown")).mount(&server).await;
    let left = AtomicUsize::new(1);
    let guard =
        move || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
    let storage = Storage {
        endpoint: server.uri(),
        storage_ak: Secret::new("ak"),
        storage_sk: Secret::new("sk"),
        ..storage(StorageType::S3, "bkt")
    };
    let storages = Storages::new("/nowhere".into(), client()).with_write_guard(Arc::new(guard));
    let bucket = storages.open(&storage).expect("the bucket opens");
    for _ in 0..2 {
        let written = match is_put {
            true => bucket.put_bytes("a.ts", Bytes::from_static(b"segment")).await,
            false => bucket.delete("a.ts").await,
        };
        let error = written.expect_err("forbidden");
        assert!(error.detail.ends_with("whoever writes here may not do so any more"), "{error}");
    }
    assert_eq!(server.received_requests().await.expect("recorded").len(), 1);
}

#[tokio::test]
async fn the_write_guard_holds_in_a_folder_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let storages = Storages::new(folder.path().to_owned(), client());
    let file = storage(StorageType::File, "bkt");
    storages.open(&file).expect("opened").put_bytes("a.ts", "1".into()).await.expect("put");
    let forbidden = storages.with_write_guard(Arc::new(|| false)).open(&file).expect("opened");
    forbidden.put_bytes("a.ts", "2".into()).await.expect_err("forbidden");
    forbidden.put_bytes("b.ts", "2".into()).await.expect_err("forbidden");
    forbidden.delete("a.ts").await.expect_err("forbidden");
    assert_eq!(forbidden.list("").await.expect("listed"), ["a.ts"]);
    assert_eq!(forbidden.read("a.ts").await.expect("read"), "1");
}
