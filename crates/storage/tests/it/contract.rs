//! The contract of every kind of storage: a new kind is one test at the end.

use std::{
    fs::File,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use borealis_storage::{
    Bucket, Storages,
    fetch::{FetchLimits, fetch_object},
    testing::ObjectStoreServer,
};
use bytes::Bytes;
use model::{ErrorCode, ObjectSettings, Secret, Storage, StorageType};
use rstest::rstest;
use tempfile::TempDir;

use super::{ANY_RATE, client, open, storage, vendors::Vendor};

/// An empty bucket.
#[derive(Clone)]
struct TestBucket {
    storages: Storages,
    storage: Storage,
    folder: Arc<TempDir>,
    /// The longest key, where the test's server takes less than the vendor does.
    max_key_bytes: usize,
}

impl TestBucket {
    fn of(storage: Storage) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a folder"));
        let storages = Storages::new(folder.path().join("storage"), client());
        Self { storages, storage, folder, max_key_bytes: usize::MAX }
    }

    fn file() -> Self {
        Self::of(storage(StorageType::File, "bkt"))
    }

    fn open(&self) -> Bucket {
        self.storages.open(&self.storage).expect("the bucket opens")
    }

    /// Opens it as a changed storage; none for a folder, which has no credentials.
    fn open_as(&self, change: impl Fn(&mut Storage)) -> Option<Bucket> {
        if self.storage.kind == StorageType::File {
            return None;
        }
        let mut storage = self.storage.clone();
        change(&mut storage);
        self.storages.open(&storage).map(Some).expect("the bucket opens")
    }

    /// A local file of this content, outside of the bucket.
    fn local(&self, content: &[u8]) -> std::path::PathBuf {
        let path = self.folder.path().join("local");
        std::fs::write(&path, content).expect("a local file");
        path
    }

    /// Whether this kind can have a key: opendal cuts white space off the front of a path, Azure makes
    /// slashes of backslashes.
    fn allows_key(&self, key: &str) -> bool {
        match self.storage.kind {
            StorageType::File => true,
            StorageType::Azblob => !key.starts_with(' ') && !key.contains('\\'),
            _ => !key.starts_with(' '),
        }
    }
}

/// Keys that break encoding, Unicode normalisation or temporary names in some implementation.
fn odd_keys() -> Vec<String> {
    let mut keys: Vec<String> = [
        "plain.mp4",
        "with space/a b.mp4",
        " leading/ space.mp4",
        "é 中 :%d#?&' .mp4",
        "a+b%2Bc%2F.mp4",
        "quote\"s'and`s.mp4",
        "question?mark=1&x#y.mp4",
        "back\\slash.mp4",
        "~tilde/*star/[bracket]/{brace}.mp4",
        "dots/..a/b../...mp4",
        "UPPER/upper.MP4",
        "emoji 🎬.mp4",
        "e\u{301} is not é.mp4",
    ]
    .map(str::to_owned)
    .into();
    keys.push(format!("{}/{}.mp4", "d".repeat(240), "n".repeat(236)));
    keys.push(format!("long/{}.mp4", "n".repeat(243)));
    keys.push(format!("long/{}.mp4", "中".repeat(80)));
    let part = "p".repeat(225);
    keys.push(format!("{part}/{part}/{part}/{}.mp4", "n".repeat(218)));
    keys
}

async fn reads_what_was_put(test: TestBucket) {
    let bucket = test.open();
    let content: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    let sent = AtomicU64::new(0);
    let progress = |bytes| assert!(sent.swap(bytes, Ordering::Relaxed) < bytes, "progress grows");
    let size = bucket.put_file("a/b.mp4", open(&test.local(&content)), &progress).await.expect("put");
    assert_eq!(size, 3_000_000);
    assert_eq!(sent.into_inner(), 3_000_000);
    assert_eq!(bucket.size("a/b.mp4").await, Ok(Some(3_000_000)));
    assert_eq!(bucket.read("a/b.mp4").await.expect("read"), content);

    bucket.put_bytes("a/b.mp4", Bytes::from_static(b"other")).await.expect("overwritten");
    assert_eq!(bucket.read("a/b.mp4").await.expect("read"), "other");
    assert_eq!(bucket.put_file("empty", open(&test.local(b"")), &|_| ()).await, Ok(0));
    assert_eq!(bucket.size("empty").await, Ok(Some(0)));
    assert_eq!(bucket.list("").await.expect("listed"), ["a/b.mp4", "empty"]);
}

async fn keys_are_taken_to_the_letter(test: TestBucket) {
    let bucket = test.open();
    let (mut keys, others): (Vec<_>, Vec<_>) = odd_keys()
        .into_iter()
        .filter(|key| key.len() <= test.max_key_bytes)
        .partition(|key| test.allows_key(key));
    for key in others {
        let error = bucket.put_bytes(&key, Bytes::new()).await.expect_err("refused");
        assert_eq!((error.code, error.retry), (ErrorCode::OutputRefused, false), "{error}");
    }
    for key in &keys {
        bucket.put_bytes(key, Bytes::from(key.clone())).await.expect(key);
    }
    for key in &keys {
        assert_eq!(bucket.read(key).await.expect(key), key.as_bytes(), "{key}");
        assert_eq!(bucket.size(key).await, Ok(Some(key.len() as u64)), "{key}");
    }
    keys.sort();
    assert_eq!(bucket.list("").await.expect("listed"), keys);
    for key in &keys {
        bucket.delete(key).await.expect(key);
    }
    assert!(bucket.list("").await.expect("listed").is_empty());
}

async fn lists_by_prefix(test: TestBucket) {
    let bucket = test.open();
    for key in ["cat.m3u8", "cat.hls/1.ts", "cat.hls/720p/2.ts", "cat.hlsx/3.ts", "dog.mp4"] {
        bucket.put_bytes(key, Bytes::from_static(b"x")).await.expect(key);
    }
    for (prefix, keys) in [
        ("cat.hls/", &["cat.hls/1.ts", "cat.hls/720p/2.ts"][..]),
        ("cat.hls", &["cat.hls/1.ts", "cat.hls/720p/2.ts", "cat.hlsx/3.ts"]),
        ("cat.hls/7", &["cat.hls/720p/2.ts"]),
        ("do", &["dog.mp4"]),
        ("elephant", &[]),
        ("no/such/folder/", &[]),
    ] {
        assert_eq!(bucket.list(prefix).await.expect(prefix), keys, "{prefix}");
    }
}

async fn a_missing_object_is_not_found(test: TestBucket) {
    let bucket = test.open();
    bucket.put_bytes("folder/a", Bytes::from_static(b"x")).await.expect("put");
    for key in ["no", "no/such/thing.mp4"] {
        assert_eq!(bucket.size(key).await, Ok(None));
        assert_eq!(bucket.delete(key).await, Ok(()));
        let error = bucket.read(key).await.expect_err("missing");
        assert_eq!((error.code, error.retry), (ErrorCode::NotFound, false));
        assert!(error.detail.contains(key), "{error}");
    }
    assert_eq!(bucket.size("folder").await, Ok(None), "a folder is no object");
    bucket.delete("folder/a").await.expect("deleted");
    assert_eq!(bucket.size("folder/a").await, Ok(None));

    let unreadable = File::options().write(true).open(test.local(b"written")).expect("a file");
    let error = bucket.put_file("a", unreadable, &|_| ()).await.expect_err("it cannot be read");
    assert_eq!((error.code, error.retry), (ErrorCode::Internal, true));
    assert!(bucket.list("").await.expect("listed").is_empty());
}

/// The size of an object of several parts, the last of them shorter.
const MULTIPART_BYTES: usize = (20 << 20) + 123;

/// Bytes of which no two parts are the same.
fn multipart_content() -> Vec<u8> {
    let mut content: Vec<u8> = (0..MULTIPART_BYTES.div_ceil(8) as u64).flat_map(u64::to_le_bytes).collect();
    content.truncate(MULTIPART_BYTES);
    content
}

async fn parts_make_the_whole_object(test: TestBucket) {
    let bucket = test.open();
    let content = multipart_content();
    assert_eq!(
        bucket.put_file("é a.mp4", open(&test.local(&content)), &|_| ()).await,
        Ok(MULTIPART_BYTES as u64)
    );
    assert!(super::fetch(&bucket, "é a.mp4").await == content, "what was put is not what is read");
    assert_eq!(bucket.list("").await.expect("listed"), ["é a.mp4"]);
}

async fn objects_can_be_inputs(test: TestBucket) {
    let bucket = test.open();
    let content: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    bucket.put_bytes("a b+é.mp4", Bytes::from(content.clone())).await.expect("put");
    let to = test.folder.path().join("input");
    let limits = FetchLimits {
        max_bytes: 3_000_000,
        idle_timeout: Duration::from_secs(20),
        rate: ANY_RATE,
        max_redirects: 0,
    };
    assert_eq!(fetch_object(&bucket, "a b+é.mp4", &to, &limits, &|_, _| ()).await, Ok(3_000_000));
    assert!(std::fs::read(&to).expect("a file") == content);
    let missing = fetch_object(&bucket, "no.mp4", &to, &limits, &|_, _| ()).await.expect_err("missing");
    assert_eq!((missing.code, missing.retry), (ErrorCode::InputUnreachable, false), "{missing}");
}

async fn wrong_credentials_are_refused(test: TestBucket) {
    test.open().put_bytes("a.mp4", Bytes::from_static(b"film")).await.expect("put");
    // of the same length, so that it is still base64, which Azure needs
    let with_other_secret = |storage: &mut Storage| {
        let secret = storage.storage_sk.expose();
        let first = if secret.starts_with('A') { "B" } else { "A" };
        storage.storage_sk = Secret::new(format!("{first}{}", &secret[1..]));
    };
    let Some(bucket) = test.open_as(with_other_secret) else { return };
    let put = bucket.put_bytes("b.mp4", Bytes::from_static(b"x")).await.expect_err("refused");
    assert_eq!((put.code, put.retry), (ErrorCode::OutputRefused, false), "{put}");
    assert!(!put.detail.contains(test.storage.storage_sk.expose()), "{put}");
    assert_eq!(bucket.read("a.mp4").await.expect_err("refused").code, ErrorCode::OutputRefused);
    assert_eq!(bucket.list("").await.expect_err("refused").code, ErrorCode::OutputRefused);
    assert_eq!(bucket.delete("a.mp4").await.expect_err("refused").code, ErrorCode::OutputRefused);
    assert_eq!(test.open().list("").await.expect("listed"), ["a.mp4"]);
}

async fn a_missing_bucket_is_an_error(test: TestBucket) {
    let Some(bucket) = test.open_as(|storage| "nowhere".clone_into(&mut storage.bucket)) else { return };
    let put = bucket.put_bytes("b.mp4", Bytes::from_static(b"x")).await.expect_err("no bucket");
    assert_eq!((put.code, put.retry), (ErrorCode::OutputMissing, false), "{put}");
    assert_eq!(bucket.list("").await.expect_err("no bucket").code, ErrorCode::OutputMissing);
}

async fn keys_that_lead_elsewhere_are_refused(test: TestBucket) {
    let bucket = test.open();
    for key in ["", "/a", "a/", "a//b", "../a", "a/../../b", "a/./b", "a\0b", "a\n"] {
        let put = bucket.put_bytes(key, Bytes::from_static(b"x")).await.expect_err(key);
        assert_eq!((put.code, put.retry), (ErrorCode::OutputRefused, false), "{key}");
        assert_eq!(bucket.read(key).await.expect_err(key).code, ErrorCode::OutputRefused, "{key}");
        assert!(bucket.delete(key).await.is_err(), "{key}");
        assert!(bucket.size(key).await.is_err(), "{key}");
    }
    assert!(bucket.list("../").await.is_err());
    assert!(bucket.list("").await.expect("listed").is_empty());
}

async fn concurrent_puts_do_not_mix(test: TestBucket) {
    let bucket = test.open();
    let put = |number: u32| {
        let bucket = bucket.clone();
        async move {
            let content = Bytes::from(number.to_string().repeat(1000));
            bucket.put_bytes(&format!("many/{}/{number}.ts", number % 7), content).await
        }
    };
    for done in futures::future::join_all((0..200).map(put)).await {
        done.expect("put");
    }
    let keys = bucket.list("many/").await.expect("listed");
    assert_eq!(keys.len(), 200);
    for key in keys {
        let number = key.rsplit('/').next().and_then(|name| name.strip_suffix(".ts")).expect("a number");
        assert_eq!(bucket.read(&key).await.expect("read"), number.repeat(1000));
    }
}

async fn the_last_of_concurrent_puts_wins_whole(test: TestBucket) {
    let bucket = test.open();
    let puts = (0..20_u8).map(|writer| {
        let bucket = bucket.clone();
        async move { bucket.put_bytes("same.mp4", Bytes::from(vec![writer; 100_000])).await }
    });
    for done in futures::future::join_all(puts).await {
        done.expect("put");
    }
    let content = bucket.read("same.mp4").await.expect("read");
    assert_eq!(content.len(), 100_000);
    assert!(content.iter().all(|byte| *byte == content[0]), "two writers are mixed");
}

/// Makes a test of every rule for folders, and functions that check every rule, each in a bucket of its own.
macro_rules! contract {
    ($($rule:ident),+ $(,)?) => {
        const RULES: &[&str] = &[$(stringify!($rule)),+];

        /// A bucket's name for a rule.
        fn bucket_of(rule: &str) -> String {
            rule.replace('_', "-")
        }

        async fn check_every_rule(new_bucket: impl Fn(&str) -> TestBucket) {
            check_rules_except(&[], new_bucket).await;
        }

        async fn check_rules_except(exceptions: &[&str], new_bucket: impl Fn(&str) -> TestBucket) {
            $(
                if !exceptions.contains(&stringify!($rule)) {
                    println!("{}", stringify!($rule));
                    $rule(new_bucket(&bucket_of(stringify!($rule)))).await;
                }
            )+
        }

        mod file {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                super::$rule(TestBucket::file()).await;
            })+
        }
    };
}

contract! {
    reads_what_was_put,
    keys_are_taken_to_the_letter,
    lists_by_prefix,
    a_missing_object_is_not_found,
    parts_make_the_whole_object,
    objects_can_be_inputs,
    wrong_credentials_are_refused,
    a_missing_bucket_is_an_error,
    keys_that_lead_elsewhere_are_refused,
    concurrent_puts_do_not_mix,
    the_last_of_concurrent_puts_wins_whole,
}

fn buckets() -> Vec<String> {
    RULES.iter().map(|rule| bucket_of(rule)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moto_keeps_every_rule() {
    let buckets = buckets();
    let buckets: Vec<&str> = buckets.iter().map(String::as_str).collect();
    let server = ObjectStoreServer::s3(&client(), &buckets).await;
    check_every_rule(|bucket| TestBucket::of(server.storage(storage(StorageType::S3, bucket)))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rclone_keeps_every_rule() {
    let buckets = buckets();
    let buckets: Vec<&str> = buckets.iter().map(String::as_str).collect();
    let server = ObjectStoreServer::rclone(&buckets);
    check_every_rule(|bucket| TestBucket::of(server.storage(storage(StorageType::S3, bucket)))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3s_keeps_every_rule() {
    let buckets = buckets();
    let buckets: Vec<&str> = buckets.iter().map(String::as_str).collect();
    let server = ObjectStoreServer::s3s(&buckets);
    // s3s keeps a file beside each object that has the whole key in its name
    let new_bucket = |bucket: &str| TestBucket {
        max_key_bytes: 100,
        ..TestBucket::of(server.storage(storage(StorageType::S3, bucket)))
    };
    // s3s answers 500 when a folder is requested as an object, and creates missing buckets
    check_rules_except(&["a_missing_object_is_not_found", "a_missing_bucket_is_an_error"], new_bucket).await;
}

/// These servers check the vendors' own signatures.
#[rstest]
#[case::oss(StorageType::Oss)]
#[case::cos(StorageType::Cos)]
#[case::obs(StorageType::Obs)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vendors_keep_every_rule(#[case] kind: StorageType) {
    let vendor = Vendor::start(kind).await;
    check_every_rule(|bucket| TestBucket::of(vendor.storage(bucket, ObjectSettings::default()))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn azblob_keeps_every_rule() {
    let buckets = buckets();
    let buckets: Vec<&str> = buckets.iter().map(String::as_str).collect();
    let server = ObjectStoreServer::azblob(&client(), &buckets).await;
    check_every_rule(|bucket| TestBucket::of(server.storage(storage(StorageType::Azblob, bucket)))).await;
}
