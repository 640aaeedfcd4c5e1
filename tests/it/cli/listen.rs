//! `borealis listen`.

use std::net::{Ipv4Addr, TcpListener};

use serde_json::Value;

use crate::program::{RunningProgram, Server, borealis, run};

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
    let mut listener = RunningProgram::start(command);
    listener.wait_for_error_line("listening on").await;

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
    let task = server.run_command(&create).await.expect_success().trim_end().to_owned();
    server.run_command(&["task", "cancel", &task]).await.expect_success();

    for (attempt, answer) in [(1, 503), (2, 200)] {
        let head = listener.next_line().await;
        assert!(
            head.ends_with(&format!("attempt {attempt}, signature verified, answered {answer}")),
            "{head}"
        );
        let summary = listener.next_line().await;
        assert!(summary.starts_with(&format!("  {task} failed 1401 Cancelled")), "{summary}");
        let mut body = String::new();
        while serde_json::from_str::<Value>(&body).is_err() {
            body += &listener.next_line().await;
        }
    }
    assert_eq!(listener.stop().await, (Some(0), String::new()));

    let callbacks = server.run_json_command(&["callback", "list", "--task", &task]).await;
    let id = callbacks["list"][0]["callback_id"].as_str().expect("an id");
    let shown = server.run_command(&["callback", "show", id]).await.expect_success();
    assert!(shown.contains("127.0.0.1") && shown.contains("503"), "{shown}");
    server.stop().await;
}

#[tokio::test]
async fn a_secret_that_cannot_sign_is_a_wrong_command_line() {
    let output = run(borealis(&["listen", "--secret", "secret"])).await;
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("whsec_"), "{output:?}");
}
