//! What holds of buckets that are folders alone: where objects lie, and that no key leads out of the bucket.

use std::{fs, path::Path, time::Duration};

use borealis_storage::{Bucket, Storages};
use bytes::Bytes;
use model::{ErrorCode, Storage, StorageType};
use rstest::{fixture, rstest};
use tempfile::TempDir;

use super::{client, open, storage};

struct Folder {
    dir: TempDir,
    storages: Storages,
    storage: Storage,
}

#[fixture]
fn folder() -> Folder {
    let dir = tempfile::tempdir().expect("a folder");
    let storages = Storages::new(dir.path().join("storage"), client());
    Folder { storages, storage: storage(StorageType::File, "bkt"), dir }
}

impl Folder {
    fn bucket(&self) -> Bucket {
        self.storages.open(&self.storage).expect("the bucket opens")
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.dir.path().join("storage").join(path)
    }

    fn staged_files(&self) -> usize {
        fs::read_dir(self.path("bkt/.writing")).map_or(0, Iterator::count)
    }
}

#[rstest]
#[tokio::test]
async fn objects_are_plain_files_below_the_root(folder: Folder) {
    folder.bucket().put_bytes("media/é a.mp4", Bytes::from_static(b"film")).await.expect("put");
    assert_eq!(fs::read(folder.path("bkt/media/é a.mp4")).expect("a file"), b"film");
    let local = folder.storages.local_path(&folder.storage, "media/é a.mp4").expect("a path");
    assert_eq!(fs::read(local).expect("a file"), b"film");
    assert_eq!(folder.staged_files(), 0);
}

#[rstest]
#[tokio::test]
async fn a_removed_bucket_is_made_again(folder: Folder) {
    let bucket = folder.bucket();
    assert!(folder.path("bkt").is_dir());
    fs::remove_dir_all(folder.path("bkt")).expect("removed");
    bucket.put_bytes("a.mp4", Bytes::from_static(b"film")).await.expect("put");
    assert_eq!(bucket.list("").await.expect("listed"), ["a.mp4"]);
}

#[rstest]
#[tokio::test]
async fn a_delete_removes_the_folders_that_it_leaves_empty(folder: Folder) {
    let bucket = folder.bucket();
    for key in ["a/b/c/1.ts", "a/b/2.ts"] {
        bucket.put_bytes(key, Bytes::from_static(b"film")).await.expect("put");
    }
    bucket.delete("a/b/c/1.ts").await.expect("deleted");
    assert!(folder.path("bkt/a/b").is_dir() && !folder.path("bkt/a/b/c").exists());
    bucket.delete("a/b/2.ts").await.expect("deleted");
    assert!(folder.path("bkt").is_dir() && !folder.path("bkt/a").exists());
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_a_delete_removes_is_made_again_for_a_concurrent_put(folder: Folder) {
    let put_and_delete = |key: &'static str| {
        let bucket = folder.bucket();
        tokio::spawn(async move {
            for _ in 0..100 {
                bucket.put_bytes(key, Bytes::from_static(b"film")).await.expect("put");
                bucket.delete(key).await.expect("deleted");
            }
        })
    };
    let (one, other) = (put_and_delete("a/b/1.ts"), put_and_delete("a/b/2.ts"));
    one.await.expect("no panic");
    other.await.expect("no panic");
    assert!(!folder.path("bkt/a").exists());
}

#[rstest]
#[case::a_link_to_a_folder("link/a.mp4")]
#[case::a_link_to_a_file("file.mp4")]
#[case::a_link_to_nothing("nothing")]
#[case::a_link_to_nothing_as_a_folder("nothing/a.mp4")]
#[tokio::test]
async fn no_symbolic_link_leads_out_of_the_bucket(folder: Folder, #[case] key: &str) {
    let bucket = folder.bucket();
    let outside = folder.dir.path().join("outside");
    fs::create_dir(&outside).expect("a folder");
    fs::write(outside.join("a.mp4"), b"secret").expect("a file");
    let link = |to: &Path, name: &str| {
        std::os::unix::fs::symlink(to, folder.path("bkt").join(name)).expect("a link")
    };
    link(&outside, "link");
    link(&outside.join("a.mp4"), "file.mp4");
    link(&outside.join("later"), "nothing");

    let put = bucket.put_bytes(key, Bytes::from_static(b"x")).await.expect_err("refused");
    assert_eq!((put.code, put.retry), (ErrorCode::OutputRefused, false));
    assert!(put.detail.contains("a symbolic link leads"), "{put}");
    assert!(bucket.read(key).await.is_err());
    assert!(bucket.delete(key).await.is_err());
    assert_eq!(folder.storages.local_path(&folder.storage, key), None);
    assert_eq!(bucket.list("").await.expect("listed"), [""; 0]);
    assert!(bucket.list("link/").await.is_err());
    assert_eq!(fs::read(outside.join("a.mp4")).expect("untouched"), b"secret");
    assert!(!outside.join("later").exists());
}

#[rstest]
#[tokio::test]
async fn a_symbolic_link_within_the_bucket_is_followed(folder: Folder) {
    let bucket = folder.bucket();
    bucket.put_bytes("real/a.mp4", Bytes::from_static(b"film")).await.expect("put");
    std::os::unix::fs::symlink(folder.path("bkt/real"), folder.path("bkt/link")).expect("a link");
    assert_eq!(bucket.read("link/a.mp4").await.expect("read"), "film");
}

#[rstest]
#[tokio::test]
async fn the_staging_folder_is_not_the_customers(folder: Folder) {
    let bucket = folder.bucket();
    let error = bucket.put_bytes(".writing/a", Bytes::from_static(b"x")).await.expect_err("refused");
    assert_eq!(error.code, ErrorCode::OutputRefused);
    assert_eq!(folder.storages.local_path(&folder.storage, ".writing/a"), None);
    fs::create_dir_all(folder.path("bkt/.writing")).expect("a folder");
    fs::write(folder.path("bkt/.writing/leftover"), b"x").expect("a file");
    assert_eq!(bucket.list("").await.expect("listed"), [""; 0]);

    assert_eq!(folder.storages.sweep_unfinished(Duration::from_secs(3600)).expect("swept"), 0);
    assert_eq!(folder.storages.sweep_unfinished(Duration::ZERO).expect("swept"), 1);
    assert_eq!(folder.staged_files(), 0);
}

#[rstest]
#[tokio::test]
async fn a_put_that_fails_leaves_nothing(folder: Folder) {
    let bucket = folder.bucket();
    bucket.put_bytes("a.mp4", Bytes::from_static(b"film")).await.expect("put");
    for key in ["a.mp4/b.mp4", &"n".repeat(256)] {
        let error = bucket.put_bytes(key, Bytes::from_static(b"x")).await.expect_err("refused");
        assert_eq!((error.code, error.retry), (ErrorCode::OutputRefused, false), "{error}");
    }
    bucket.put_bytes("folder/b.mp4", Bytes::from_static(b"x")).await.expect("put");
    let error = bucket.put_bytes("folder", Bytes::from_static(b"x")).await.expect_err("refused");
    assert_eq!((error.code, error.retry), (ErrorCode::OutputRefused, false), "{error}");
    assert_eq!(error.detail, "file://bkt/folder: is a directory");
    assert_eq!(bucket.list("").await.expect("listed"), ["a.mp4", "folder/b.mp4"]);
    assert_eq!(folder.staged_files(), 0);
}

#[rstest]
#[tokio::test]
async fn a_put_that_is_dropped_leaves_nothing(folder: Folder) {
    let bucket = folder.bucket();
    let source = folder.dir.path().join("source");
    fs::write(&source, vec![7; 8 << 20]).expect("a file");
    let (sender, mut sent) = tokio::sync::mpsc::unbounded_channel();
    let progress = |bytes| sender.send(bytes).expect("received");
    {
        let mut put = std::pin::pin!(bucket.put_file("a.mp4", open(&source), &progress));
        tokio::select! {
            done = &mut put => panic!("it was to be dropped half-way: {done:?}"),
            _ = sent.recv() => {}
        }
    }
    assert_eq!(bucket.list("").await.expect("listed"), [""; 0]);
    assert_eq!(folder.staged_files(), 0);
}

#[rstest]
#[case("..")]
#[case("")]
#[case("a/b")]
#[case(".writing")]
#[tokio::test]
async fn a_bucket_is_one_folder(folder: Folder, #[case] bucket: &str) {
    let error = folder.storages.open(&storage(StorageType::File, bucket)).err().expect("refused");
    assert_eq!((error.code, error.retry), (ErrorCode::BadParam, false));
    assert_eq!(folder.storages.local_path(&storage(StorageType::File, bucket), "a"), None);
}
