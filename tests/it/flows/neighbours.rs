//! What others keep where an output goes: it stays.

use std::fs;

use serde_json::{Value, json};

use super::{media_files::clip, receiver::Receiver, session::Session};

async fn session_with_clip() -> (Session, Vec<u8>) {
    let folder = tempfile::tempdir().expect("a folder");
    let clip = fs::read(clip(folder.path(), 2)).expect("readable");
    (Session::start(&[], [("clip.mp4", clip.clone())].into()).await, clip)
}

#[tokio::test]
async fn a_second_run_removes_only_what_the_first_has_made() {
    let (session, _) = session_with_clip().await;
    let mut receiver = Receiver::start(200).await;
    let storage = session.add_storage(json!({"notify": receiver.url})).await;
    let template = json!({"template_name": "small", "format": "hls", "resolution": "72p", "seg_time": 1});
    session.post("add_template", template).await;
    let task = session.create_task(&storage.id, "small", &session.url("clip.mp4"), "cat.m3u8").await;
    assert_eq!(receiver.next().await.body()["msg"], "succeeded");

    let object = |path: &str| session.object(&format!("file://media/cat.hls/{path}"));
    let of_others = ["mine.mp4", "72p/notes.txt", "other.hls/72p/seg_00001.ts", "try-1/cat.m3u8"];
    let of_an_output = ["72p/seg_99999.ts", "try-0123abcd/72p/seg_00001.ts", "144p/init.mp4"];
    for path in of_others.iter().chain(&of_an_output) {
        fs::create_dir_all(object(path).parent().expect("a folder")).expect("made");
        fs::write(object(path), "left").expect("written");
    }
    session.post(&format!("retry_task?task_id={task}"), Value::Null).await;
    assert_eq!(receiver.next().await.body()["msg"], "succeeded");
    let there = |paths: &[&str]| paths.iter().filter(|path| object(path).exists()).count();
    assert_eq!((there(&of_others), there(&of_an_output)), (of_others.len(), 0));
    session.server.stop().await;
}

/// The input has another name on the web than in the storage.
#[tokio::test]
async fn an_input_is_not_replaced_by_its_own_output() {
    let (session, clip) = session_with_clip().await;
    let mut receiver = Receiver::start(200).await;
    let storage = session.add_storage(json!({"notify": receiver.url})).await;
    let source = session.object("file://media/clip.mp4");
    fs::write(&source, &clip).expect("written");
    session.create_task(&storage.id, "mp4-720p", &session.url("clip.mp4"), "clip.mp4").await;
    let entry = receiver.next().await.body()["data"][0].take();
    assert_eq!((&entry["status"], &entry["error_code"]), (&json!("failed"), &json!(1001)), "{entry}");
    let expected = format!(
        "BadParam: output: `file://media/clip.mp4` would take the place of the input `{}`",
        session.url("clip.mp4")
    );
    assert_eq!(entry["error_msg"], expected);
    assert!(fs::read(&source).expect("there") == clip);

    // another object of that name is replaced, as always
    fs::write(&source, [&clip[..], b"."].concat()).expect("written");
    session.create_task(&storage.id, "mp4-720p", &session.url("clip.mp4"), "clip.mp4").await;
    assert_eq!(receiver.next().await.body()["msg"], "succeeded");
    session.server.stop().await;
}
