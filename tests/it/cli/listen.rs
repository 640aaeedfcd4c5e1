//! `borealis listen`.

use std::net::{Ipv4Addr, TcpListener};

use serde_json::Value;

use crate::program::{Server, Staying, borealis, run};

/// A port that is free now.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

#[tokio::test]
async fn a_callback_is_verified_printed_and_failed_as_asked() {
    let server = Server::start(&["--no-worker"]).await;
    let port = free_port().to_string();
    let (storage, secret) = server.add_storage("media", &format!("http://127.0.0.1:{port}/")).await;
    let mut command =
        borealis(&["listen", "--port", &port, "--fail-first", "1", "--status", "503", "--body"]);
    command.env("BOREALIS_NOTIFY_SECRET", secret);
    let mut listener = Staying::start(command);
    listener.says("listening on").await;

    let create = [
        "task",
        "create",
        "--template",
        "mp4-720p",
        "--storage",
        &storage,
        "http://127.0.0.1:9/a.mp4",
        "--to",
        "a.mp4",
    ];
    let task = server.ask(&create).await.printed().trim_end().to_owned();
    server.ask(&["task", "cancel", &task]).await.printed();

    for (attempt, answer) in [(1, 503), (2, 200)] {
        let head = listener.prints().await;
        assert!(
            head.ends_with(&format!("attempt {attempt}, signature verified, answered {answer}")),
            "{head}"
        );
        let summary = listener.prints().await;
        assert!(summary.starts_with(&format!("  {task} failed 1401 Cancelled")), "{summary}");
        let mut body = String::new();
        while serde_json::from_str::<Value>(&body).is_err() {
            body += &listener.prints().await;
        }
    }
    assert_eq!(listener.stop().await, (Some(0), String::new()));

    let callbacks = server.data(&["callback", "list", "--task", &task]).await;
    let id = callbacks["list"][0]["callback_id"].as_str().expect("an id");
    let shown = server.ask(&["callback", "show", id]).await.printed();
    assert!(shown.contains("127.0.0.1") && shown.contains("503"), "{shown}");
    server.stop().await;
}

#[tokio::test]
async fn a_secret_that_cannot_sign_is_a_wrong_command_line() {
    let said = run(borealis(&["listen", "--secret", "secret"])).await;
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.stderr.contains("whsec_"), "{said:?}");
}
