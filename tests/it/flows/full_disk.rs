//! A disk that gets full while a task runs: the task's error says so, nothing of the task stays, and the
//! next one succeeds.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use model::TaskId;
use rstest::rstest;
use serde_json::json;

use super::{
    media_files::{clip, tools},
    receiver::Receiver,
    session::Session,
};
use crate::program::Server;

/// Noise, which no encoder makes much smaller, in a file of exactly this many MiB.
fn noise(folder: &Path, mebibytes: usize) -> Vec<u8> {
    let file = folder.join("noise.mp4");
    let source = "nullsrc=s=640x360:r=25:d=4,noise=alls=100:allf=t";
    let status = Command::new(tools().ffmpeg)
        .args(["-nostdin", "-y", "-v", "error", "-f", "lavfi", "-i", source])
        .args(["-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-qp", "20"])
        .arg(&file)
        .status();
    assert!(status.expect("FFmpeg runs").success());
    let mut bytes = fs::read(file).expect("a file");
    let free = (mebibytes << 20).checked_sub(bytes.len()).expect("room for more");
    bytes.extend(u32::try_from(free).expect("little").to_be_bytes());
    bytes.extend(b"free");
    bytes.resize(mebibytes << 20, 0);
    bytes
}

#[rstest]
#[case::one_file("mp4", 62, "0B", "the server's disk is full")]
#[case::segments("hls", 62, "0B", "the server's disk is full")]
#[case::input("mp4", 80, "0B", "the server's disk is full: it has no room for the input")]
#[case::watched("mp4", 46, "46MiB", "the server's disk is nearly full")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_fills_the_disk_fails_alone(
    #[case] format: &str,
    #[case] mebibytes: usize,
    #[case] min_free: &str,
    #[case] words: &str,
) {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can make a small disk");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let files = HashMap::from([
        ("large.mp4", noise(folder.path(), mebibytes)),
        ("small.mp4", fs::read(clip(folder.path(), 1)).expect("a file")),
    ]);
    let min_free = format!("media.min_free_disk={min_free}");
    let session = Session::with(
        Server::start_on_a_small_disk("64m", &["--set", &min_free, "--set", "worker.tries=1"]).await,
        files,
    )
    .await;
    let mut receiver = Receiver::start(200).await;
    let storage = session.add_storage(json!({"notify": receiver.url})).await;
    session.post("add_template", json!({"template_name": "large", "format": format, "quality": 10})).await;
    let large = session.create_task(&storage.id, "large", &session.url("large.mp4"), "large").await;
    let body = receiver.next().await.body();
    let entry = &body["data"][0];
    assert_eq!((&entry["task_id"], &entry["error_code"]), (&json!(large), &json!(1302)), "{body}");
    assert_eq!(entry["error_msg"], format!("Encoding over the limit: {words}"));

    let small = session.create_task(&storage.id, "large", &session.url("small.mp4"), "small").await;
    let body = receiver.next().await.body();
    assert_eq!(
        (&body["data"][0]["task_id"], &body["data"][0]["status"]),
        (&json!(small), &json!("succeeded"))
    );

    let stored = session.server.data.path().join("storage/media");
    let objects = files_below(&stored);
    let large = stored.join("large").display().to_string();
    assert!(!objects.iter().any(|object| object.display().to_string().starts_with(&large)), "{objects:?}");
    // only the server sees the disk
    let root = format!("/proc/{}/root", session.server.pid().as_raw_nonzero());
    let work = format!("{root}{}", session.server.data.path().join("work").display());
    let workers = names(Path::new(&work));
    let remaining: Vec<_> = workers.iter().flat_map(|worker| names(&Path::new(&work).join(worker))).collect();
    assert!(!remaining.iter().any(|name| name.parse::<TaskId>().is_ok()), "{remaining:?}");
    session.server.stop().await;
}

/// What takes the room may go: others' uploads expire, and their tasks end.
#[rstest]
#[case::input("mp4", 80, "0B")]
#[case::encoding("mp4", 62, "0B")]
#[case::watched("mp4", 46, "46MiB")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_finds_the_disk_full_is_tried_again(
    #[case] format: &str,
    #[case] mebibytes: usize,
    #[case] min_free: &str,
) {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can make a small disk");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let files = HashMap::from([("large.mp4", noise(folder.path(), mebibytes))]);
    let min_free = format!("media.min_free_disk={min_free}");
    let server = Server::start_on_a_small_disk("64m", &["--set", &min_free]).await;
    let mut session = Session::with(server, files).await;
    let storage = session.add_storage(json!({})).await;
    session.post("add_template", json!({"template_name": "large", "format": format, "quality": 10})).await;
    session.create_task(&storage.id, "large", &session.url("large.mp4"), "large").await;
    let line = session.server.wait_for_log("task failed").await;
    assert!(line.contains("task failed; it is tried again") && line.contains("disk is"), "{line}");
    session.server.stop().await;
}

/// The files below a folder; empty folders do not count.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let below = |name| {
        let path = folder.join(name);
        if path.is_dir() { files_below(&path) } else { vec![path] }
    };
    names(folder).into_iter().flat_map(below).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect()
}
