//! An object store that is busy, drops connections or is slow while a task writes to it: the task waits,
//! says for whom and why, and succeeds; when the retry budget is used up it fails and leaves nothing.

use std::collections::HashMap;

use rstest::rstest;
use serde_json::{Value, json};
use storage::testing::ObjectStoreServer;

use super::{
    faulty_proxy::{FaultyProxy, WriteFault},
    media_files::clip,
    receiver::Receiver,
    session::Session,
};

fn storage_at(endpoint: &str, store: &ObjectStoreServer, notify: &str) -> Value {
    json!({
        "type": "s3", "bucket": "videos", "endpoint": endpoint, "notify": notify,
        "storage_ak": store.access_key, "storage_sk": store.secret_key,
    })
}

async fn session_with_clip(flags: &[&str]) -> Session {
    let folder = tempfile::tempdir().expect("a folder");
    let input = std::fs::read(clip(folder.path(), 2)).expect("readable");
    Session::start(flags, HashMap::from([("clip.mp4", input)])).await
}

#[rstest]
#[case(
    WriteFault::Busy,
    "waiting for s3://videos/: the object store answered 503 SlowDown: Reduce your rate (request 4F)"
)]
#[case(WriteFault::Drops, "waiting for s3://videos/: ")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_waits_for_its_store_and_says_why(#[case] fault: WriteFault, #[case] why: &str) {
    let store = ObjectStoreServer::rclone(&["videos"]);
    let (proxy, endpoint) = FaultyProxy::start(&store, fault, 0).await;
    let session = session_with_clip(&[]).await;
    let mut receiver = Receiver::start(200).await;
    let storage = session.add_storage(storage_at(&endpoint, &store, &receiver.url)).await;
    let id = session.create_task(&storage.id, "mp4-720p", &session.url("clip.mp4"), "cat.mp4").await;
    let waiting = loop {
        let task = session.task(&id).await;
        assert!(task["finished_time"] == 0, "{task}");
        if task["status"] != "pending" && task["message"] != "" {
            break task;
        }
    };
    assert!(waiting["message"].as_str().expect("text").starts_with(why), "{waiting}");
    assert_eq!((&waiting["status"], &waiting["code"]), (&json!("uploading"), &json!(0)), "{waiting}");
    proxy.set_fault(WriteFault::None);
    let callback = receiver.next().await.body();
    assert_eq!(callback["msg"], "succeeded", "{callback}");
    let task = session.task(&id).await;
    assert_eq!((&task["status"], &task["message"]), (&json!("succeeded"), &json!("")), "{task}");
    let log = session.server.log();
    assert!(log.contains("a request to the object store failed; it is retried"), "{log}");
    assert!(log.contains("the object store answers again"), "{log}");
    session.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_store_is_not_a_dead_one() {
    let store = ObjectStoreServer::rclone(&["videos"]);
    let (_proxy, endpoint) = FaultyProxy::start(&store, WriteFault::Slow, 0).await;
    let session = session_with_clip(&["--set", "storage.idle=2s"]).await;
    let mut receiver = Receiver::start(200).await;
    let storage = session.add_storage(storage_at(&endpoint, &store, &receiver.url)).await;
    session.create_task(&storage.id, "mp4-720p", &session.url("clip.mp4"), "cat.mp4").await;
    let callback = receiver.next().await.body();
    assert_eq!(callback["msg"], "succeeded", "{callback}");
    assert!(!session.server.log().contains("a request to the object store failed"));
    session.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_end_of_patience_a_task_fails_and_leaves_nothing() {
    let store = ObjectStoreServer::rclone(&["videos"]);
    let (_proxy, endpoint) = FaultyProxy::start(&store, WriteFault::Busy, 3).await;
    let session = session_with_clip(&["--set", "storage.patience=1s", "--set", "worker.tries=1"]).await;
    let mut receiver = Receiver::start(200).await;
    let storage = session.add_storage(storage_at(&endpoint, &store, &receiver.url)).await;
    let id = session.create_task(&storage.id, "hls-h264", &session.url("clip.mp4"), "cat").await;
    let callback = receiver.next().await.body();
    assert_eq!(callback["data"][0]["error_code"], 1201, "{callback}");
    let message = callback["data"][0]["error_msg"].as_str().expect("text");
    assert!(
        message.contains("the object store answered 503 SlowDown: Reduce your rate (request 4F)"),
        "{message}"
    );
    assert_eq!(session.task(&id).await["status"], "failed");
    let listed = session.get(&format!("list_object?storage_id={}", storage.id)).await;
    assert_eq!(listed["num"], 0, "{listed}");
    session.server.stop().await;
}

/// One bad bucket holds nobody up: its task gives the only slot to the next one while it waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_waits_for_its_store_gives_its_slot_to_another() {
    let store = ObjectStoreServer::rclone(&["videos"]);
    let (proxy, endpoint) = FaultyProxy::start(&store, WriteFault::Busy, 0).await;
    let session = session_with_clip(&["--set", "worker.capacity=1", "--set", "storage.patience=10m"]).await;
    let mut receiver = Receiver::start(200).await;
    let bad = session.add_storage(storage_at(&endpoint, &store, &receiver.url)).await;
    let good = session.add_storage(json!({"notify": receiver.url})).await;
    let input = session.url("clip.mp4");
    let waits = session.create_task(&bad.id, "mp4-720p", &input, "waits.mp4").await;
    let goes_on = session.create_task(&good.id, "mp4-720p", &input, "goes-on.mp4").await;

    let first = receiver.next().await.body();
    assert_eq!(
        (&first["data"][0]["task_id"], &first["msg"]),
        (&json!(goes_on), &json!("succeeded")),
        "{first}"
    );
    let task = session.task(&waits).await;
    assert_eq!(task["status"], "uploading", "{task}");
    proxy.set_fault(WriteFault::None);
    let second = receiver.next().await.body();
    assert_eq!(
        (&second["data"][0]["task_id"], &second["msg"]),
        (&json!(waits), &json!("succeeded")),
        "{second}"
    );
    session.server.stop().await;
}
