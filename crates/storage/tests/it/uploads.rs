//! Large objects to real servers: in parts, in bounded memory, and nothing left of what was given up.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use borealis_storage::{
    Bucket, Storages,
    fetch::{FetchLimits, fetch_object},
    testing::Server,
};
use model::{ObjectSettings, Storage, StorageType};
use reqwest::{Method, Request};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{client, storage};

struct Bound {
    server: Server,
    storages: Storages,
    bucket: Bucket,
    folder: TempDir,
}

impl Bound {
    async fn to(kind: StorageType) -> Self {
        let server = match kind {
            StorageType::S3 => Server::s3(&client(), &["bkt"]).await,
            _ => Server::azblob(&client(), &["bkt"]).await,
        };
        Self::of(server, kind)
    }

    fn of(server: Server, kind: StorageType) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let storages = Storages::new(folder.path().join("storage"), client());
        let bucket = storages.open(&server.storage(storage(kind, "bkt"))).expect("the bucket opens");
        Self { server, storages, bucket, folder }
    }

    /// A local file in which no two parts are the same.
    fn local(&self, size: usize) -> std::path::PathBuf {
        let path = self.folder.path().join("local");
        let mut file = std::io::BufWriter::new(fs::File::create(&path).expect("a file"));
        for number in 0..size.div_ceil(8) as u64 {
            file.write_all(&number.to_le_bytes()).expect("written");
        }
        file.into_inner().expect("flushed").set_len(size as u64).expect("cut");
        path
    }
}

/// The greatest resident memory of this process so far, in bytes.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") << 10
}

/// Against a server in a process of its own, so that the memory seen is ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_object_is_sent_and_fetched_in_bounded_memory() {
    const SIZE: usize = 300 << 20;
    let server = Server::rclone(&["bkt"]);
    let bound = Bound::of(server, StorageType::S3);
    let local = bound.local(SIZE);
    let before = peak();
    assert_eq!(bound.bucket.put_file("large.mp4", &local, &|_| ()).await, Ok(SIZE as u64));
    let to = bound.folder.path().join("fetched");
    let limits =
        FetchLimits { max_bytes: SIZE as u64, idle_timeout: Duration::from_secs(20), max_redirects: 0 };
    assert_eq!(fetch_object(&bound.bucket, "large.mp4", &to, &limits, &|_, _| ()).await, Ok(SIZE as u64));
    let grown = peak() - before;
    assert!(grown < 120 << 20, "memory grew by {} MiB", grown >> 20);
    assert!(same(&local, &to), "what was put is not what was fetched");
}

/// Whether two files are the same, without reading them whole.
fn same(one: &Path, other: &Path) -> bool {
    let open = |path: &Path| std::io::BufReader::new(fs::File::open(path).expect("a file"));
    let (mut one, mut other) = (open(one), open(other));
    let (mut left, mut right) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let read = one.read(&mut left).expect("read");
        if read == 0 {
            return other.read(&mut right).expect("read") == 0;
        }
        other.read_exact(&mut right[..read]).expect("as long");
        if left[..read] != right[..read] {
            return false;
        }
    }
}

/// Passes bytes on to a server, but breaks the first connection in the middle of a large body.
async fn cutting(to: &str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let here = format!("http://{}", listener.local_addr().expect("an address"));
    let to = to.trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        let cut = Arc::new(AtomicBool::new(false));
        while let Ok((mut near, _)) = listener.accept().await {
            let (to, cut) = (to.clone(), Arc::clone(&cut));
            tokio::spawn(async move {
                let mut far = tokio::net::TcpStream::connect(to).await.expect("connected");
                let (mut down, mut up) = far.split();
                let (mut from, mut back) = near.split();
                let sending = async {
                    let (mut passed, mut piece) = (0, vec![0; 64 << 10]);
                    loop {
                        let read = from.read(&mut piece).await.unwrap_or(0);
                        passed += read;
                        if read == 0 || (passed > 3 << 20 && !cut.swap(true, Ordering::Relaxed)) {
                            return;
                        }
                        if up.write_all(&piece[..read]).await.is_err() {
                            return;
                        }
                    }
                };
                tokio::select! {
                    () = sending => {}
                    _ = tokio::io::copy(&mut down, &mut back) => {}
                }
            });
        }
    });
    here
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_in_the_middle_of_a_part_costs_that_part_alone() {
    let mut server = Server::rclone(&["bkt"]);
    server.endpoint = cutting(&server.endpoint).await;
    let bound = Bound::of(server, StorageType::S3);
    let local = bound.local(40 << 20);
    let waited = Arc::new(Mutex::new(Vec::new()));
    let said = Arc::clone(&waited);
    let bucket = bound
        .storages
        .with_wait_reporter(Arc::new(move |why| said.lock().expect("no panic").push(why.to_owned())));
    let bucket =
        bucket.open(&bound.server.storage(storage(StorageType::S3, "bkt"))).expect("the bucket opens");
    assert_eq!(bucket.put_file("cut.mp4", &local, &|_| ()).await, Ok(40 << 20));
    assert!(bucket.read("cut.mp4").await.expect("read") == fs::read(&local).expect("a file"));
    let waited = waited.lock().expect("no panic");
    // one that was open before is replaced without waiting
    let is_told = |why: &String| why.is_empty() || why.starts_with("waiting for s3://bkt/: ");
    assert!(waited.iter().all(is_told), "{waited:?}");
    assert_eq!(waited.last().map(String::as_str), Some(""), "{waited:?}");
}

/// The server checks every request's signature, those that are signed a second time too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_the_store_encrypts_is_sent_in_parts() {
    let bound = Bound::to(StorageType::S3).await;
    let encrypted = Storage {
        objects: ObjectSettings { encryption: "AES256".to_owned(), ..ObjectSettings::default() },
        ..bound.server.storage(storage(StorageType::S3, "bkt"))
    };
    let bucket = bound.storages.open(&encrypted).expect("the bucket opens");
    let local = bound.local(20 << 20);
    assert_eq!(bucket.put_file("a b+é.mp4", &local, &|_| ()).await, Ok(20 << 20));
    assert!(bucket.read("a b+é.mp4").await.expect("read") == fs::read(&local).expect("a file"));
    let url = bucket.presign("a b+é.mp4", Duration::from_secs(60)).await.expect("signed").expect("a URL");
    bound.server.trust_everybody(&client()).await;
    let answer = client().send(Request::new(Method::HEAD, url.parse().expect("a URL"))).await;
    assert_eq!(answer.expect("an answer").response.headers()["x-amz-server-side-encryption"], "AES256");
}

/// Keys of the uploads that S3 has begun and not ended.
async fn unfinished_uploads(server: &Server) -> String {
    server.trust_everybody(&client()).await;
    let url = format!("{}/bkt?uploads", server.endpoint).parse().expect("a URL");
    let answer = client().send(Request::new(Method::GET, url)).await.expect("an answer").response;
    answer.text().await.expect("text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_is_given_up_leaves_no_parts() {
    let bound = Bound::to(StorageType::S3).await;
    let local = bound.local(64 << 20);
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let progress = |bytes: u64| tell.send(bytes).expect("heard");
    {
        let mut put = std::pin::pin!(bound.bucket.put_file("a.mp4", &local, &progress));
        loop {
            tokio::select! {
                done = &mut put => panic!("it was to be given up: {done:?}"),
                // by then a first part was sent, so there is an upload
                bytes = told.recv() => if bytes.expect("told") > 40 << 20 { break },
            }
        }
    }
    // taking back goes on in the background
    loop {
        let uploads = unfinished_uploads(&bound.server).await;
        assert!(uploads.contains("ListMultipartUploadsResult"), "{uploads}");
        if !uploads.contains("a.mp4") {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(bound.bucket.list("").await.expect("listed"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_url_is_signed_as_s3_wants_it_and_opens_the_object() {
    let bound = Bound::to(StorageType::S3).await;
    let key = "a b/é+%!'()*.mp4";
    bound.bucket.put_bytes(key, "film".into()).await.expect("put");
    let url = bound.bucket.presign(key, std::time::Duration::from_secs(60)).await.expect("signed");
    let url = url.expect("a URL");
    let (_, ours) = url.split_once("&X-Amz-Signature=").expect("a signature");
    assert_eq!(ours, bound.server.signature_by_botocore(&url));
    bound.server.trust_everybody(&client()).await;
    let answer = client().send(Request::new(Method::GET, url.parse().expect("a URL"))).await;
    assert_eq!(answer.expect("an answer").response.text().await.expect("text"), "film");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_url_of_azure_opens_its_object_alone_and_only_to_read() {
    let bound = Bound::to(StorageType::Azblob).await;
    let key = "a b/é+%!'()*.mp4";
    for key in [key, "other.mp4"] {
        bound.bucket.put_bytes(key, "film".into()).await.expect("put");
    }
    let sign = async |valid| {
        let signed = bound.bucket.presign(key, std::time::Duration::from_secs(valid)).await.expect("signed");
        signed.expect("a URL")
    };
    let status = async |method: Method, url: &str| {
        let answer = client().send(Request::new(method, url.parse().expect("a URL"))).await;
        answer.expect("an answer").response.status().as_u16()
    };
    let url = sign(60).await;
    assert_eq!(status(Method::GET, &url).await, 200);
    assert_eq!(status(Method::DELETE, &url).await, 403);
    let (head, query) = url.split_once('?').expect("a query");
    let (container, _) = head.split_once("/a%20b/").expect("a key");
    assert_eq!(status(Method::GET, &format!("{container}/other.mp4?{query}")).await, 403);
    assert_eq!(status(Method::GET, &sign(0).await).await, 403, "its time is over");
}
