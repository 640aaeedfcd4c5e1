//! What a receiver gets that does not answer 200, and one that does.

use std::time::Duration;

use rstest::rstest;
use serde_json::json;

use super::{
    media_files::clip,
    receiver::{ReceivedCallback, Receiver},
    session::Session,
};

#[rstest]
#[case(500)]
#[case(204)]
#[case(201)]
#[tokio::test]
async fn anything_but_200_is_tried_three_times_five_seconds_apart(#[case] status: u16) {
    let folder = tempfile::tempdir().expect("a folder");
    let input = std::fs::read(clip(folder.path(), 1)).expect("readable");
    let session = Session::start(&[], [("clip.mp4", input)].into()).await;
    let mut receiver = Receiver::start(status).await;
    let storage = session.add_storage(json!({"notify": receiver.url})).await;
    session.create_task(&storage.id, "mp4-720p", &session.url("clip.mp4"), "clip.mp4").await;

    let attempts: [ReceivedCallback; 3] =
        [receiver.next().await, receiver.next().await, receiver.next().await];
    for attempt in &attempts {
        attempt.verify(&storage.secret);
        assert_eq!(attempt.bytes, attempts[0].bytes, "the same bytes");
        assert_eq!(attempt.header("webhook-id"), attempts[0].header("webhook-id"));
    }
    for pair in attempts.windows(2) {
        let apart = pair[1].at - pair[0].at;
        assert!(apart >= Duration::from_secs(5), "{apart:?}");
    }
    // after the last attempt nothing is owed any more
    let id = attempts[0].header("webhook-id").to_owned();
    let callback = loop {
        let callback = session.get(&format!("query_callback?callback_id={id}")).await;
        if callback["status"] != "owed" {
            break callback;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((&callback["status"], &callback["attempts"]), (&json!("exhausted"), &json!(3)), "{callback}");
    for (index, attempt) in callback["attempt_list"].as_array().expect("attempts").iter().enumerate() {
        assert_eq!(
            (&attempt["number"], &attempt["http_status"]),
            (&json!(index + 1), &json!(status)),
            "{callback}"
        );
    }
    session.server.stop().await;
    assert!(receiver.take_unexpected().is_none(), "three attempts, no more");
}

#[tokio::test]
async fn a_receiver_that_says_200_is_told_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let input = std::fs::read(clip(folder.path(), 1)).expect("readable");
    let session = Session::start(&[], [("clip.mp4", input)].into()).await;
    let mut receiver = Receiver::start(200).await;
    let storage = session.add_storage(json!({"notify": receiver.url, "notify_interval": 1})).await;
    let first = session.create_task(&storage.id, "mp4-720p", &session.url("clip.mp4"), "a.mp4").await;
    assert_eq!(receiver.next().await.body()["data"][0]["task_id"], first);

    // a second task's callback comes after whatever else the first might have caused
    let second = session.create_task(&storage.id, "mp4-720p", &session.url("clip.mp4"), "b.mp4").await;
    assert_eq!(receiver.next().await.body()["data"][0]["task_id"], second);
    // an attempt is recorded after its answer
    while session.get("list_callback?status=delivered").await["total"] != 2 {
        tokio::task::yield_now().await;
    }
    session.server.stop().await;
    assert!(receiver.take_unexpected().is_none());
}
