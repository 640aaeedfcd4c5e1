//! Large objects to real servers: in parts, in bounded memory, and no parts left of an aborted upload.

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
    testing::ObjectStoreServer,
};
use model::{ObjectSettings, Storage, StorageType};
use reqwest::{Method, Request};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{ANY_RATE, client, open, storage};

/// An empty bucket on a server.
struct ServerBucket {
    server: ObjectStoreServer,
    storages: Storages,
    bucket: Bucket,
    folder: TempDir,
}

impl ServerBucket {
    async fn start(kind: StorageType) -> Self {
        let server = match kind {
            StorageType::S3 => ObjectStoreServer::s3(&client(), &["bkt"]).await,
            _ => ObjectStoreServer::azblob(&client(), &["bkt"]).await,
        };
        Self::on(server, kind)
    }

    fn on(server: ObjectStoreServer, kind: StorageType) -> Self {
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

/// The peak resident memory of this process so far, in bytes.
fn peak_memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") << 10
}

/// The server is a process of its own, so that the memory measured is the client's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_object_is_sent_and_fetched_in_bounded_memory() {
    const SIZE: usize = 300 << 20;
    let server = ObjectStoreServer::rclone(&["bkt"]);
    let target = ServerBucket::on(server, StorageType::S3);
    let local = target.local(SIZE);
    let before = peak_memory();
    assert_eq!(target.bucket.put_file("large.mp4", open(&local), &|_| ()).await, Ok(SIZE as u64));
    let to = target.folder.path().join("fetched");
    let limits = FetchLimits {
        max_bytes: SIZE as u64,
        idle_timeout: Duration::from_secs(20),
        rate: ANY_RATE,
        max_redirects: 0,
    };
    assert_eq!(fetch_object(&target.bucket, "large.mp4", &to, &limits, &|_, _| ()).await, Ok(SIZE as u64));
    let grown = peak_memory() - before;
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

/// A proxy that passes bytes on to a server, but closes the first connection in the middle of a large body.
async fn start_cutting_proxy(to: &str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let to = to.trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        let is_cut = Arc::new(AtomicBool::new(false));
        while let Ok((mut client, _)) = listener.accept().await {
            let (to, is_cut) = (to.clone(), Arc::clone(&is_cut));
            tokio::spawn(async move {
                let mut server = tokio::net::TcpStream::connect(to).await.expect("connected");
                let (mut from_server, mut to_server) = server.split();
                let (mut from_client, mut to_client) = client.split();
                let sending = async {
                    let (mut passed, mut buffer) = (0, vec![0; 64 << 10]);
                    loop {
                        let read = from_client.read(&mut buffer).await.unwrap_or(0);
                        passed += read;
                        if read == 0 || (passed > 3 << 20 && !is_cut.swap(true, Ordering::Relaxed)) {
                            return;
                        }
                        if to_server.write_all(&buffer[..read]).await.is_err() {
                            return;
                        }
                    }
                };
                tokio::select! {
                    () = sending => {}
                    _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
                }
            });
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_connection_closed_in_the_middle_of_a_part_only_that_part_is_sent_again() {
    let mut server = ObjectStoreServer::rclone(&["bkt"]);
    server.endpoint = start_cutting_proxy(&server.endpoint).await;
    let target = ServerBucket::on(server, StorageType::S3);
    let local = target.local(40 << 20);
    let reports = Arc::new(Mutex::new(Vec::new()));
    let reported = Arc::clone(&reports);
    let storages = target.storages.with_wait_reporter(Arc::new(move |reason| {
        reported.lock().expect("no panic").push(reason.to_owned())
    }));
    let storage = target.server.storage(storage(StorageType::S3, "bkt"));
    let bucket = storages.open(&storage).expect("the bucket opens");
    assert_eq!(bucket.put_file("cut.mp4", open(&local), &|_| ()).await, Ok(40 << 20));
    assert!(super::fetch(&bucket, "cut.mp4").await == fs::read(&local).expect("a file"));
    let reports = reports.lock().expect("no panic");
    // there is no waiting, only the report of its end, when the closed connection came from the pool
    let is_expected = |reason: &String| reason.is_empty() || reason.starts_with("waiting for s3://bkt/: ");
    assert!(reports.iter().all(is_expected), "{reports:?}");
    assert_eq!(reports.last().map(String::as_str), Some(""), "{reports:?}");
}

/// The server checks every request's signature, those that are signed a second time too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_with_server_side_encryption_is_sent_in_parts() {
    let target = ServerBucket::start(StorageType::S3).await;
    let encrypted = Storage {
        objects: ObjectSettings { encryption: "AES256".to_owned(), ..ObjectSettings::default() },
        ..target.server.storage(storage(StorageType::S3, "bkt"))
    };
    let bucket = target.storages.open(&encrypted).expect("the bucket opens");
    let local = target.local(20 << 20);
    assert_eq!(bucket.put_file("a b+é.mp4", open(&local), &|_| ()).await, Ok(20 << 20));
    assert!(super::fetch(&bucket, "a b+é.mp4").await == fs::read(&local).expect("a file"));
    let url = bucket.presign("a b+é.mp4", Duration::from_secs(60)).await.expect("signed").expect("a URL");
    target.server.disable_authentication(&client()).await;
    let answer = client().send(Request::new(Method::HEAD, url.parse().expect("a URL"))).await;
    assert_eq!(answer.expect("an answer").response.headers()["x-amz-server-side-encryption"], "AES256");
}

/// S3's list of multipart uploads that are neither complete nor aborted.
async fn unfinished_uploads(server: &ObjectStoreServer) -> String {
    server.disable_authentication(&client()).await;
    let url = format!("{}/bkt?uploads", server.endpoint).parse().expect("a URL");
    let answer = client().send(Request::new(Method::GET, url)).await.expect("an answer").response;
    answer.text().await.expect("text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_is_dropped_leaves_no_parts() {
    let target = ServerBucket::start(StorageType::S3).await;
    let local = target.local(64 << 20);
    let (sender, mut sent) = tokio::sync::mpsc::unbounded_channel();
    let progress = |bytes: u64| sender.send(bytes).expect("received");
    {
        let mut put = std::pin::pin!(target.bucket.put_file("a.mp4", open(&local), &progress));
        loop {
            tokio::select! {
                done = &mut put => panic!("it was to be dropped half-way: {done:?}"),
                // by then a first part was sent, so there is an upload
                bytes = sent.recv() => if bytes.expect("progress") > 40 << 20 { break },
            }
        }
    }
    // the upload is aborted in the background
    loop {
        let uploads = unfinished_uploads(&target.server).await;
        assert!(uploads.contains("ListMultipartUploadsResult"), "{uploads}");
        if !uploads.contains("a.mp4") {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(target.bucket.list("").await.expect("listed"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_url_is_signed_as_s3_wants_it_and_opens_the_object() {
    let target = ServerBucket::start(StorageType::S3).await;
    let key = "a b/é+%!'()*.mp4";
    target.bucket.put_bytes(key, "film".into()).await.expect("put");
    let url = target.bucket.presign(key, Duration::from_secs(60)).await.expect("signed");
    let url = url.expect("a URL");
    let (_, signature) = url.split_once("&X-Amz-Signature=").expect("a signature");
    assert_eq!(signature, target.server.signature_by_botocore(&url));
    target.server.disable_authentication(&client()).await;
    let answer = client().send(Request::new(Method::GET, url.parse().expect("a URL"))).await;
    assert_eq!(answer.expect("an answer").response.text().await.expect("text"), "film");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_url_of_azure_opens_its_object_alone_and_only_to_read() {
    let target = ServerBucket::start(StorageType::Azblob).await;
    let key = "a b/é+%!'()*.mp4";
    for key in [key, "other.mp4"] {
        target.bucket.put_bytes(key, "film".into()).await.expect("put");
    }
    let sign = async |valid| {
        let signed = target.bucket.presign(key, Duration::from_secs(valid)).await.expect("signed");
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
    assert_eq!(status(Method::GET, &sign(0).await).await, 403, "it has expired");
}
