//! Large objects to real servers: in parts, in bounded memory, and nothing left of what was given up.

use std::{fs, io::Write as _, path::Path};

use borealis_storage::{Bucket, Storages, testing::Server};
use model::StorageType;
use reqwest::{Method, Request};
use tempfile::TempDir;

use super::{client, storage};

/// More than a part, and not a whole number of them.
const SIZE: usize = (20 << 20) + 123;

struct Bound {
    server: Server,
    bucket: Bucket,
    folder: TempDir,
}

impl Bound {
    async fn to(kind: StorageType) -> Self {
        let server = match kind {
            StorageType::S3 => Server::s3(&client(), &["bkt"]).await,
            _ => Server::azblob(&client(), &["bkt"]).await,
        };
        let folder = tempfile::tempdir().expect("a folder");
        let bucket = Storages::new(folder.path().join("storage"), client())
            .open(&server.storage(storage(kind, "bkt")))
            .expect("the bucket opens");
        Self { server, bucket, folder }
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

async fn holds(bucket: &Bucket, key: &str, local: &Path) {
    let content = bucket.read(key).await.expect("read");
    assert!(content == fs::read(local).expect("a file"), "what was put is not what is read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_make_the_object_they_came_from() {
    for kind in [StorageType::S3, StorageType::Azblob] {
        let bound = Bound::to(kind).await;
        let local = bound.local(SIZE);
        assert_eq!(bound.bucket.put_file("é a.mp4", &local, &|_| ()).await, Ok(SIZE as u64));
        holds(&bound.bucket, "é a.mp4", &local).await;
    }
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
    let url = bound.bucket.sign(key, std::time::Duration::from_secs(60)).await.expect("signed");
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
        let signed = bound.bucket.sign(key, std::time::Duration::from_secs(valid)).await.expect("signed");
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
