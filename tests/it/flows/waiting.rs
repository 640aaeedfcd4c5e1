//! Tasks that wait say for what, and an input that holds a slot for nothing is given up.

use std::collections::HashMap;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{receiver::Receiver, session::Session};

/// The task as soon as its message is like this.
async fn until_message(session: &Session, id: &str, is_it: impl Fn(&str) -> bool) -> Value {
    loop {
        let task = session.task(id).await;
        if is_it(task["message"].as_str().expect("a text")) {
            return task;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn between_two_tries_a_task_says_what_happened_and_when_it_goes_on() {
    let session = Session::start(&[], HashMap::new()).await;
    let storage = session.add_storage(json!({})).await;
    let port = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound").port();
    let input = format!("http://127.0.0.1:{port}/clip.mp4?signature=hidden-word");
    let id = session.create_task(&storage.id, "mp4-720p", &input, "out.mp4").await;

    let task = until_message(&session, &id, |message| message.contains("tried again")).await;
    assert_eq!((&task["status"], &task["code"]), (&json!("pending"), &json!(0)), "{task}");
    let message = task["message"].as_str().expect("a text");
    assert!(message.starts_with("Input unreachable: http://127.0.0.1:"), "{message}");
    assert!(
        message.contains("; it is tried again at 20") && message.ends_with("Z (try 2 of 3)"),
        "{message}"
    );
    assert!(!message.contains("hidden-word"), "{message}");
    session.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_waits_for_room_on_the_disk_says_so_and_the_server_is_not_ready() {
    let mut session = Session::start(
        &["--set", "media.min_free_disk=1000000TiB", "--set", "worker.poll_interval=20ms"],
        HashMap::new(),
    )
    .await;
    let storage = session.add_storage(json!({})).await;
    let id = session.create_task(&storage.id, "mp4-720p", "http://127.0.0.1/clip.mp4", "out.mp4").await;
    let why = "no task is begun, because the disk of the data directory is nearly full";
    let task = until_message(&session, &id, |message| message.contains(why)).await;
    assert_eq!(task["status"], "pending");
    let (status, text) = session.get_unsigned("readyz").await;
    assert_eq!(status, 503, "{text}");
    assert!(text.contains(why), "{text}");
    session.server.wait_for_log("no task is claimed").await;
    // some rounds later it was said once
    for _ in 0..20 {
        session.task(&id).await;
    }
    assert_eq!(session.server.log().matches("no task is claimed").count(), 1, "{}", session.server.log());
    session.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_input_that_trickles_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let input = format!("http://{}/clip.mp4", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut connection, _)) = listener.accept().await {
            while connection.read_u8().await.expect("a request") != b'\n'
                || connection.read_u8().await.expect("a request") != b'\r'
            {}
            connection
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n0")
                .await
                .expect("a client");
            open.push(connection);
        }
    });
    let flags = ["--set", "media.input_rate_window=300ms", "--set", "worker.tries=1"];
    let session = Session::start(&flags, HashMap::new()).await;
    let mut receiver = Receiver::start(200).await;
    let storage = session.add_storage(json!({"notify": receiver.url})).await;
    session.create_task(&storage.id, "mp4-720p", &input, "out.mp4").await;
    let entry = receiver.next().await.body()["data"][0].clone();
    assert_eq!(entry["error_code"], 1101, "{entry}");
    let text = entry["error_msg"].as_str().expect("a text");
    assert!(text.contains("bytes a second") && text.ends_with("at least 2048 are required"), "{text}");
    session.server.stop().await;
}
