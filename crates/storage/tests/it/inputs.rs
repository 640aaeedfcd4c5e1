//! Objects as inputs: whole, resumed, limited, and never of two versions.

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
    client,
    scripted::{Answer, Scripted},
    storage,
};

const LIMITS: FetchLimits =
    FetchLimits { max_bytes: 10_000_000, idle_timeout: Duration::from_secs(20), max_redirects: 5 };

fn film() -> Vec<u8> {
    (0..300_000_u32).map(|i| (i % 249) as u8).collect()
}

struct Fetched {
    result: Result<u64, StorageError>,
    content: Vec<u8>,
}

async fn fetched(bucket: &Bucket, limits: &FetchLimits) -> Fetched {
    let folder = TempDir::new().expect("a folder");
    let to: PathBuf = folder.path().join("input");
    let result = fetch_object(bucket, "film.mp4", &to, limits, &|_, _| ()).await;
    Fetched { result, content: std::fs::read(&to).unwrap_or_default() }
}

fn scripted(server: &Scripted) -> Bucket {
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

/// The answer to HEAD.
fn about(tag: &str) -> Answer {
    let length = format!("content-length: {}", film().len());
    Answer::new("200 OK", &[&length, &format!("etag: \"{tag}\""), "connection: close"], b"")
}

/// The answer to a ranged GET, of which only the first bytes come.
fn part(from: usize, comes: usize) -> Answer {
    let (film, total) = (film(), film().len());
    let range = format!("content-range: bytes {from}-{}/{total}", total - 1);
    let length = format!("content-length: {}", total - from);
    let headers = [&*range, &length, "etag: \"one\"", "connection: close"];
    Answer::new("206 Partial Content", &headers, &film[from..from + comes])
}

#[tokio::test]
async fn an_object_comes_whole() {
    let folder = TempDir::new().expect("a folder");
    let storages = Storages::new(folder.path().join("storage"), client());
    let bucket = storages.open(&storage(StorageType::File, "bkt")).expect("the bucket opens");
    for content in [film(), Vec::new()] {
        bucket.put_bytes("film.mp4", Bytes::from(content.clone())).await.expect("put");
        let fetched = fetched(&bucket, &LIMITS).await;
        assert_eq!(fetched.result, Ok(content.len() as u64));
        assert!(fetched.content == content);
    }
}

#[tokio::test]
async fn what_broke_off_is_resumed() {
    let rest = film().len() - 100_000;
    let server = Scripted::start(vec![
        about("one"),
        part(0, 100_000),
        about("one"),
        part(100_000, rest),
        about("one"),
    ])
    .await;
    let fetched = fetched(&scripted(&server), &LIMITS).await;
    assert_eq!(fetched.result, Ok(300_000));
    assert!(fetched.content == film());
    let heads = server.heads();
    assert!(
        heads[1].contains("if-match: \"one\"") && heads[1].contains("range: bytes=0-299999"),
        "{}",
        heads[1]
    );
    assert!(heads[3].contains("range: bytes=100000-299999"), "{}", heads[3]);
}

#[rstest]
#[case::told_by_the_store(vec![
    about("one"),
    Answer::new("412 Precondition Failed", &["content-length: 0", "connection: close"], b""),
])]
#[case::seen_before_going_on(vec![about("one"), part(0, 100_000), about("two")])]
#[case::seen_at_the_end(vec![about("one"), part(0, 300_000), about("two")])]
#[tokio::test]
async fn an_object_that_changes_is_an_error(#[case] script: Vec<Answer>) {
    let server = Scripted::start(script).await;
    let error = fetched(&scripted(&server), &LIMITS).await.result.expect_err("changed");
    assert_eq!((error.code, error.retry), (ErrorCode::InputUnreachable, true), "{error}");
    assert_eq!(error.detail, "s3://bkt/film.mp4: changed while it was being fetched");
}

#[tokio::test]
async fn an_object_over_the_limit_is_not_read() {
    let server = Scripted::start(vec![about("one")]).await;
    let limits = FetchLimits { max_bytes: 299_999, ..LIMITS };
    let error = fetched(&scripted(&server), &limits).await.result.expect_err("too large");
    assert_eq!((error.code, error.retry), (ErrorCode::InputOverLimit, false), "{error}");
}

#[rstest]
#[case("404 Not Found", false)]
#[case("403 Forbidden", false)]
#[tokio::test]
async fn an_object_that_cannot_be_read_is_unreachable(#[case] status: &str, #[case] retry: bool) {
    let server = Scripted::start(vec![Answer::new(status, &["content-length: 0"], b"")]).await;
    let error = fetched(&scripted(&server), &LIMITS).await.result.expect_err("refused");
    assert_eq!((error.code, error.retry), (ErrorCode::InputUnreachable, retry), "{error}");
}
