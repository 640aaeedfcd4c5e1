//! Objects as inputs: whole, resumed, limited, and never mixed of two versions.

use std::{path::PathBuf, time::Duration};

use borealis_storage::{
    Bucket, RetryBudget, StorageError, Storages,
    fetch::{FetchLimits, fetch_object},
};
use bytes::Bytes;
use model::{ErrorCode, Secret, Storage, StorageType};
use rstest::rstest;
use tempfile::TempDir;

use super::{
    ANY_RATE, client,
    scripted::{ScriptedAnswer, ScriptedServer},
    storage,
};

const LIMITS: FetchLimits = FetchLimits {
    max_bytes: 10_000_000,
    idle_timeout: Duration::from_secs(20),
    rate: ANY_RATE,
    max_redirects: 5,
};

fn content() -> Vec<u8> {
    (0..300_000_u32).map(|i| (i % 249) as u8).collect()
}

struct FetchedObject {
    result: Result<u64, StorageError>,
    content: Vec<u8>,
}

async fn fetched(bucket: &Bucket, limits: &FetchLimits) -> FetchedObject {
    let folder = TempDir::new().expect("a folder");
    let to: PathBuf = folder.path().join("input");
    let result = fetch_object(bucket, "film.mp4", &to, limits, &|_, _| ()).await;
    FetchedObject { result, content: std::fs::read(&to).unwrap_or_default() }
}

fn bucket_on(server: &ScriptedServer) -> Bucket {
    let storage = Storage {
        endpoint: format!("http://{}", server.url.authority()),
        storage_ak: Secret::new("ak"),
        storage_sk: Secret::new("sk"),
        ..storage(StorageType::S3, "bkt")
    };
    let retry_budget = RetryBudget { total: Duration::from_secs(3), idle: Duration::from_secs(20) };
    let storages = Storages::new("/nowhere".into(), client()).with_retry_budget(retry_budget);
    storages.open(&storage).expect("the bucket opens")
}

/// The answer to HEAD, with an ETag.
fn head_answer(tag: &str) -> ScriptedAnswer {
    let length = format!("content-length: {}", content().len());
    ScriptedAnswer::new("200 OK", &[&length, &format!("etag: \"{tag}\""), "connection: close"], b"")
}

/// The answer to a GET of a range, of which only the first `sent` bytes are sent.
fn range_answer(from: usize, sent: usize) -> ScriptedAnswer {
    let (content, total) = (content(), content().len());
    let range = format!("content-range: bytes {from}-{}/{total}", total - 1);
    let length = format!("content-length: {}", total - from);
    let headers = [&*range, &length, "etag: \"one\"", "connection: close"];
    ScriptedAnswer::new("206 Partial Content", &headers, &content[from..from + sent])
}

#[tokio::test]
async fn an_object_is_fetched_whole() {
    let folder = TempDir::new().expect("a folder");
    let storages = Storages::new(folder.path().join("storage"), client());
    let bucket = storages.open(&storage(StorageType::File, "bkt")).expect("the bucket opens");
    for content in [content(), Vec::new()] {
        bucket.put_bytes("film.mp4", Bytes::from(content.clone())).await.expect("put");
        let fetched = fetched(&bucket, &LIMITS).await;
        assert_eq!(fetched.result, Ok(content.len() as u64));
        assert!(fetched.content == content);
    }
}

#[tokio::test]
async fn a_broken_connection_is_resumed() {
    let rest = content().len() - 100_000;
    let server = ScriptedServer::start(vec![
        head_answer("one"),
        range_answer(0, 100_000),
        head_answer("one"),
        range_answer(100_000, rest),
        head_answer("one"),
    ])
    .await;
    let fetched = fetched(&bucket_on(&server), &LIMITS).await;
    assert_eq!(fetched.result, Ok(300_000));
    assert!(fetched.content == content());
    let heads = server.heads();
    assert!(
        heads[1].contains("if-match: \"one\"") && heads[1].contains("range: bytes=0-299999"),
        "{}",
        heads[1]
    );
    assert!(heads[3].contains("range: bytes=100000-299999"), "{}", heads[3]);
}

#[rstest]
#[case::if_match_fails(vec![
    head_answer("one"),
    ScriptedAnswer::new("412 Precondition Failed", &["content-length: 0", "connection: close"], b""),
])]
#[case::seen_before_it_is_resumed(vec![head_answer("one"), range_answer(0, 100_000), head_answer("two")])]
#[case::seen_at_the_end(vec![head_answer("one"), range_answer(0, 300_000), head_answer("two")])]
#[tokio::test]
async fn an_object_that_changes_is_an_error(#[case] script: Vec<ScriptedAnswer>) {
    let server = ScriptedServer::start(script).await;
    let error = fetched(&bucket_on(&server), &LIMITS).await.result.expect_err("changed");
    assert_eq!((error.code, error.retry), (ErrorCode::InputUnreachable, true), "{error}");
    assert_eq!(error.detail, "s3://bkt/film.mp4: changed while it was being fetched");
}

#[tokio::test]
async fn an_object_over_the_limit_is_not_read() {
    let server = ScriptedServer::start(vec![head_answer("one")]).await;
    let limits = FetchLimits { max_bytes: 299_999, ..LIMITS };
    let error = fetched(&bucket_on(&server), &limits).await.result.expect_err("too large");
    assert_eq!((error.code, error.retry), (ErrorCode::InputOverLimit, false), "{error}");
}

#[rstest]
#[case("404 Not Found", false)]
#[case("403 Forbidden", false)]
#[tokio::test]
async fn an_object_that_cannot_be_read_is_unreachable(#[case] status: &str, #[case] retry: bool) {
    let server = ScriptedServer::start(vec![ScriptedAnswer::new(status, &["content-length: 0"], b"")]).await;
    let error = fetched(&bucket_on(&server), &LIMITS).await.result.expect_err("refused");
    assert_eq!((error.code, error.retry), (ErrorCode::InputUnreachable, retry), "{error}");
}
