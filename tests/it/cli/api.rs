//! Subcommands that call a server.

use serde_json::{Value, json};

use crate::program::{Server, borealis, run};

/// A server that runs no tasks, so that they stay as they are.
async fn idle_server() -> Server {
    Server::start(&["--no-worker"]).await
}

#[tokio::test]
async fn storages_are_added_listed_and_deleted() {
    let server = idle_server().await;
    let (id, secret) = server.add_storage("media", "http://127.0.0.1:9/").await;
    assert!(secret.starts_with("whsec_"), "{secret}");

    let listed = server.run_command(&["storage", "list"]).await.expect_success();
    let row: Vec<&str> = listed.lines().nth(1).expect("a row").split_whitespace().collect();
    assert_eq!([row[0], row[1], row[2]], [&id, "file", "media"]);
    assert!(!listed.contains(&secret), "{listed}");

    let change = ["notify_attempts=7", "name=12", "notify=", "notify_policy=never"];
    server.run_command(&[&["storage", "update", &id], &change[..]].concat()).await.expect_failure();
    server.run_command(&[&["storage", "update", &id], &change[..3]].concat()).await.expect_success();
    let shown = server.run_json_command(&["storage", "show", &id]).await;
    assert_eq!((&shown["notify_attempts"], &shown["name"]), (&json!(7), &json!("12")));
    assert_eq!((&shown["notify"], &shown["bucket"]), (&json!(""), &json!("media")));
    let nothing = server.run_command(&["storage", "update", &id]).await.expect_failure();
    assert!(nothing.contains("give FIELD=VALUE"), "{nothing}");

    server.run_command(&["storage", "delete", &id]).await.expect_success();
    assert_eq!(server.run_json_command(&["storage", "list"]).await["num"], 0);
    server.stop().await;
}

#[tokio::test]
async fn templates_are_added_from_a_file() {
    let server = idle_server().await;
    assert!(server.run_command(&["template", "list"]).await.expect_success().contains("hls-h264"));

    let file = server.data.path().join("template.json");
    std::fs::write(&file, r#"{"template_name": "small", "format": "mp4", "resolution": "360p"}"#)
        .expect("written");
    let file = file.to_str().expect("a text");
    server.run_command(&["template", "add", file]).await.expect_success();
    assert_eq!(server.run_json_command(&["template", "show", "small"]).await["resolution"], "360p");

    let again = server.run_command(&["template", "add", file]).await.expect_failure();
    assert!(again.starts_with("error: Conflict: ") && again.contains("(code 1005, request "), "{again}");
    server.run_command(&["template", "delete", "small"]).await.expect_success();
    let gone = server.run_command(&["template", "show", "small"]).await.expect_failure();
    assert!(gone.contains("code 1004"), "{gone}");
    server.stop().await;
}

#[tokio::test]
async fn a_task_is_created_shown_cancelled_and_run_again() {
    let server = idle_server().await;
    let (storage, _) = server.add_storage("media", "").await;
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
        "--custom-info",
        "mine",
    ];
    let id = server.run_command(&create).await.expect_success().trim_end().to_owned();
    let task = server.run_json_command(&["task", "show", &id]).await;
    assert_eq!((&task["status"], &task["custom_info"]), (&"pending".into(), &"mine".into()));
    assert_eq!(task["output"], "file://media/a.mp4");

    server.run_command(&["task", "cancel", &id]).await.expect_success();
    let cancelled = server.run_command(&["task", "list", "--status", "cancelled"]).await.expect_success();
    assert!(cancelled.contains(&id) && cancelled.ends_with("1 of 1\n"), "{cancelled}");

    server.run_command(&["task", "retry", &id]).await.expect_success();
    assert_eq!(server.run_json_command(&["task", "list", "--status", "pending"]).await["total"], 1);
    server.run_command(&["task", "cancel", &id]).await.expect_success();
    let again = server.run_command(&["task", "cancel", &id]).await.expect_failure();
    assert!(again.contains("code 1005"), "{again}");
    server.stop().await;
}

#[tokio::test]
async fn a_key_is_made_listed_and_revoked_beside_the_server() {
    let server = idle_server().await;
    let folder = server.data.path().to_str().expect("a text").to_owned();
    let of_server = |words: &[&str]| {
        let same = ["--data-dir", &folder, "--output", "json"];
        let words = [&["key"], words, &same[..]].concat();
        let command = borealis(&words);
        async { serde_json::from_str::<Value>(&run(command).await.expect_success()).expect("JSON") }
    };
    let created = of_server(&["create", "--tenant", "other", "--role", "read"]).await;
    let text = |field: &str| created[field].as_str().expect("a text").to_owned();
    let (access_key, secret_key) = (text("access_key"), text("secret_key"));
    let as_new = |words: &[&str]| {
        let mut command = server.command(words);
        command.env("BOREALIS_ACCESS_KEY", &access_key).env("BOREALIS_SECRET_KEY", &secret_key);
        run(command)
    };
    as_new(&["task", "list"]).await.expect_success();
    let refused = as_new(&["storage", "add", "--bucket", "b"]).await.expect_failure();
    assert!(refused.contains("code 1006"), "{refused}");

    let listed = of_server(&["list"]).await;
    assert_eq!((&listed["num"], &listed["list"][0]["access_key"]), (&json!(2), &json!(access_key)));
    assert!(!listed.to_string().contains(&secret_key), "{listed}");
    assert_eq!(of_server(&["revoke", &access_key]).await, json!({"access_key": access_key}));
    let refused = as_new(&["task", "list"]).await.expect_failure();
    assert!(refused.contains("code 1002"), "{refused}");
    server.stop().await;
}

#[tokio::test]
async fn what_was_done_is_told_as_json() {
    let server = idle_server().await;
    let (storage, _) = server.add_storage("media", "").await;
    let create = ["create", "http://127.0.0.1:9/a.mp4", "--template", "mp4-720p", "--storage", &storage];
    let task = server.run_json_command(&[&["task"], &create[..]].concat()).await;
    let id = task["task_id"].as_str().expect("an id");
    for call in ["cancel", "retry", "cancel", "delete"] {
        assert_eq!(server.run_json_command(&["task", call, id]).await, json!({"task_id": id}), "{call}");
    }
    let batch = server.run_json_command(&[&["batch"], &create[..]].concat()).await;
    let id = batch["task_ids"][0].as_str().expect("an id");
    assert_eq!(server.run_json_command(&["task", "show", id]).await["status"], "pending");
    server.run_json_command(&["task", "cancel", id]).await;
    let done = server.run_json_command(&["storage", "delete", &storage]).await;
    assert_eq!(done, json!({"storage_id": storage}));
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_an_absent_one_is_asked_for() {
    let server = idle_server().await;
    let mut wrong = server.command(&["task", "list"]);
    wrong.env("BOREALIS_SECRET_KEY", "another");
    let refused = run(wrong).await.expect_failure();
    assert!(refused.starts_with("error: AuthFail: ") && refused.contains("code 1002"), "{refused}");

    let mut absent = server.command(&["task", "list"]);
    absent.env_remove("BOREALIS_SECRET_KEY");
    let output = run(absent).await.expect_failure();
    assert!(output.starts_with("error: BOREALIS_SECRET_KEY is not set"), "{output}");
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    // port 9 of loopback is nobody's
    let mut command = borealis(&["task", "list", "--server", "http://127.0.0.1:9"]);
    command.env("BOREALIS_ACCESS_KEY", "a").env("BOREALIS_SECRET_KEY", "b");
    let output = run(command).await.expect_failure();
    assert!(
        output.starts_with("error: http://127.0.0.1:9/ cannot be reached: connection refused"),
        "{output}"
    );
}

#[tokio::test]
async fn a_wrong_command_line_ends_with_2() {
    let output = run(borealis(&["task", "create", "--template", "mp4-720p"])).await;
    assert_eq!(output.code, Some(2), "{output:?}");
    let output = run(borealis(&["task", "show", "no-id"])).await;
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("is not a task id"), "{output:?}");
}
