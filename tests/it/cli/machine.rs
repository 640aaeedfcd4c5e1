//! Subcommands about this machine: settings, doctor, first start.

use std::process::Stdio;

use rstest::rstest;
use serde_json::Value;

use crate::program::{RunningProgram, borealis, borealis_started_by, run};

#[tokio::test]
async fn a_wrong_setting_is_named_with_its_value_and_what_would_do() {
    let mut command = borealis(&["config", "check"]);
    command.env("BOREALIS_LISTEN", "everywhere");
    let output = run(command).await.expect_failure();
    for part in ["server.listen", "everywhere", "BOREALIS_LISTEN", "127.0.0.1:8080"] {
        assert!(output.contains(part), "{part} is not in: {output}");
    }
}

#[tokio::test]
async fn what_config_shows_is_right_and_without_secrets() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut show = borealis(&["config", "show"]);
    show.current_dir(folder.path())
        .env("BOREALIS_ACCESS_KEY", "me")
        .env("BOREALIS_SECRET_KEY", "hidden-word");
    let shown = run(show).await.expect_success();
    assert!(shown.contains("[server]") && !shown.contains("hidden-word"), "{shown}");
    run(borealis(&["config", "check"])).await.expect_success();
}

#[tokio::test]
async fn the_doctor_finds_this_machine_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("a text");
    let output = run(borealis(&["doctor", "--data-dir", data])).await.expect_success();
    for about in ["settings", "ffmpeg", "ffprobe", "packager", "codecs", "sandbox", "disk", "database"] {
        assert!(
            output.lines().any(|line| line.split_whitespace().nth(1) == Some(about)),
            "{about}: {output}"
        );
    }
    assert!(!output.contains("FAIL"), "{output}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 0, "a doctor leaves nothing behind");
}

#[tokio::test]
async fn the_doctor_says_what_keeps_a_server_from_working() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("a text");
    let output = run(borealis(&["doctor", "--data-dir", data, "--tools", data])).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stdout.contains("FAIL  tools     ffmpeg"), "{output:?}");
    assert_eq!(output.stderr, "error: one thing keeps the server from working\n");
}

#[tokio::test]
async fn a_server_whose_log_nobody_reads_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("a text");
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data-dir", data, "--log-format", "json"];
    let mut server = RunningProgram::start(borealis(&serve));
    let line: Value = serde_json::from_str(&server.wait_for_error_line("listening").await).expect("JSON");
    server.close_stderr();
    let mut add = borealis(&[
        "storage",
        "list",
        "--server",
        &format!("http://{}", line["address"].as_str().expect("an address")),
    ]);
    add.env("BOREALIS_ACCESS_KEY", "nobody").env("BOREALIS_SECRET_KEY", "nobody");
    let output = run(add).await.expect_failure();
    assert!(output.contains("key"), "{output}");
    assert_eq!(server.stop().await.0, Some(0));
}

#[tokio::test]
async fn the_first_key_is_printed_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("a text");
    let start = || {
        RunningProgram::start(borealis(&[
            "serve",
            "--no-worker",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            data,
        ]))
    };
    let mut first = start();
    first.wait_for_error_line("listening").await;
    let (code, printed) = first.stop().await;
    assert_eq!(code, Some(0));
    assert!(
        printed.contains("BOREALIS_ACCESS_KEY=") && printed.contains("BOREALIS_SECRET_KEY="),
        "{printed}"
    );

    let mut second = start();
    second.wait_for_error_line("listening").await;
    assert_eq!(second.stop().await, (Some(0), String::new()));
}

/// A pipe that nobody reads, one that nobody could have read, and one that was closed before it started.
#[rstest]
#[case::broken(|| { let (_, closed) = std::io::pipe().expect("a pipe"); closed.into() }, &[])]
#[case::nowhere(Stdio::null, &[])]
#[case::closed(Stdio::null, &["sh", "-c", "exec \"$@\" >&-", "sh"])]
#[tokio::test]
async fn where_the_first_key_cannot_be_printed_one_is_made_by_hand(
    #[case] stdout: fn() -> Stdio,
    #[case] starter: &[&str],
) {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("a text");
    let serve =
        ["serve", "--no-worker", "--listen", "127.0.0.1:0", "--data-dir", data, "--log-format", "json"];
    let mut server = RunningProgram::start_with_stdout(borealis_started_by(starter, &serve), stdout());
    let output = server.wait_for_error_line("could not be printed").await;
    assert!(output.contains("borealis key create --role admin"), "{output}");
    let line: Value = serde_json::from_str(&server.wait_for_error_line("listening").await).expect("JSON");
    let url = format!("http://{}", line["address"].as_str().expect("an address"));

    let create = ["key", "create", "--role", "admin", "--output", "json", "--data-dir", data];
    let created: Value = serde_json::from_str(&run(borealis(&create)).await.expect_success()).expect("JSON");
    let mut list = borealis(&["key", "list", "--output", "json", "--data-dir", data]);
    let listed: Value = serde_json::from_str(&run(list).await.expect_success()).expect("JSON");
    assert_eq!(listed["num"], 1, "a key that nobody saw: {listed}");
    list = borealis(&["storage", "list", "--server", &url]);
    for (name, field) in [("BOREALIS_ACCESS_KEY", "access_key"), ("BOREALIS_SECRET_KEY", "secret_key")] {
        list.env(name, created[field].as_str().expect("a text"));
    }
    run(list).await.expect_success();
    assert_eq!(server.stop().await.0, Some(0));
}

/// A process that was killed may hold its port for a moment more.
#[tokio::test]
async fn a_port_that_is_in_use_is_waited_for() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().display().to_string();
    let args = ["serve", "--no-worker", "--listen", &address, "--data-dir", &data];
    let mut server = RunningProgram::start(borealis(&args));
    let line = server.wait_for_error_line("the port is in use").await;
    assert!(line.contains(&address), "{line}");
    drop(taken);
    server.wait_for_error_line("listening").await;
    server.stop().await;
}
