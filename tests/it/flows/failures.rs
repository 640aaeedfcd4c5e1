//! Inputs that make a task fail: the task and its callback have the same code and message.

use std::collections::HashMap;

use rstest::rstest;
use serde_json::json;
use tokio::net::TcpListener;

use super::{receiver::Receiver, session::Session};

#[rstest]
#[case::text("text.mp4", 1003, "Invalid input file")]
#[case::empty("empty.mp4", 1003, "Invalid input file")]
#[case::absent("absent.mp4", 1101, "Input unreachable")]
#[case::playlist("playlist.mp4", 1102, "Input forbidden")]
#[case::concat("concat.mp4", 1102, "Input forbidden")]
#[case::sibling("sibling.mp4", 1102, "Input forbidden")]
#[case::manifest("manifest.mp4", 1102, "Input forbidden")]
#[tokio::test]
async fn a_bad_input_is_told_with_its_code(#[case] file: &str, #[case] code: u32, #[case] words: &str) {
    let canary = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let session = Session::start(&[], bad_inputs(canary.local_addr().expect("bound").port())).await;
    let mut receiver = Receiver::start(200).await;
    let storage = session.add_storage(json!({"notify": receiver.url})).await;
    let id = session.create_task(&storage.id, "hls-h264", &session.url(file), "out").await;

    let received = receiver.next().await;
    received.verify(&storage.secret);
    let body = received.body();
    assert_eq!(body["msg"], "failed", "{body}");
    let entry = &body["data"][0];
    assert_eq!(
        (&entry["task_id"], &entry["status"], &entry["error_code"]),
        (&json!(id), &json!("failed"), &json!(code)),
        "{body}"
    );
    let message = entry["error_msg"].as_str().expect("a text");
    assert!(message.starts_with(words), "{message}");
    assert_eq!(entry["custom_info"], "about out");
    assert!(entry.get("output").is_none(), "{body}");

    let task = session.task(&id).await;
    assert_eq!(
        (&task["status"], &task["code"], &task["message"]),
        (&json!("failed"), &json!(code), &json!(message))
    );
    let storage = session.server.data.path().join("storage/media");
    assert!(
        !storage.exists() || std::fs::read_dir(storage).expect("a folder").next().is_none(),
        "nothing partial"
    );
    session.server.stop().await;

    let connected = tokio::time::timeout(std::time::Duration::ZERO, canary.accept()).await;
    assert!(connected.is_err(), "something followed the playlist");
}

#[tokio::test]
async fn an_input_whose_server_is_gone_is_unreachable() {
    let session = Session::start(&["--set", "worker.tries=1"], HashMap::new()).await;
    let mut receiver = Receiver::start(200).await;
    let storage = session.add_storage(json!({"notify": receiver.url})).await;
    let port = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound").port();
    let input = format!("http://127.0.0.1:{port}/clip.mp4?signature=hidden-word");
    session.create_task(&storage.id, "mp4-720p", &input, "out.mp4").await;

    let body = receiver.next().await.body();
    assert_eq!(body["data"][0]["error_code"], 1101, "{body}");
    let message = body["data"][0]["error_msg"].as_str().expect("a text");
    assert!(!message.contains("hidden-word"), "{message}");
    session.server.stop().await;
}

fn bad_inputs(canary: u16) -> HashMap<&'static str, Vec<u8>> {
    let playlist = format!(
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1:{canary}/a.ts\n#EXT-X-ENDLIST\n"
    );
    let manifest =
        format!("<?xml version=\"1.0\"?>\n<MPD><BaseURL>http://127.0.0.1:{canary}/</BaseURL></MPD>\n");
    [
        ("text.mp4", b"this is no video, whatever its name says\n".to_vec()),
        ("empty.mp4", Vec::new()),
        ("playlist.mp4", playlist.into_bytes()),
        ("concat.mp4", b"ffconcat version 1.0\nfile text.mp4\n".to_vec()),
        ("sibling.mp4", b"#EXTM3U\n#EXTINF:2,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n".to_vec()),
        ("manifest.mp4", manifest.into_bytes()),
    ]
    .into()
}
