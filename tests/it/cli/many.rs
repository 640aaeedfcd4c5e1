//! Subcommands about many things at once, and files of templates.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::program::{ACCESS_KEY, SECRET_KEY, Server, borealis, run};

async fn idle_server() -> Server {
    Server::start(&["--no-worker"]).await
}

#[tokio::test]
async fn templates_go_out_to_files_and_come_back() {
    let server = idle_server().await;
    let file = |name: &str| server.data.path().join(name).to_str().expect("a text").to_owned();
    let (yaml, json) = (file("small.yaml"), file("small.json"));
    std::fs::write(&yaml, "template_name: small\nformat: hls\nadaptive_streams:\n  - resolution: 360p\n")
        .expect("written");
    server.run_command(&["template", "add", &yaml]).await.expect_success();
    server.run_command(&["template", "export", "small", "--to", &json]).await.expect_success();
    let exported = std::fs::read_to_string(&json).expect("written");
    let exported: serde_json::Value = serde_json::from_str(&exported).expect("JSON");
    assert_eq!(
        exported,
        json!({"template_name": "small", "format": "hls", "adaptive_streams": [{"resolution": "360p"}]})
    );

    let again = server.run_command(&["template", "export", "small"]).await.expect_success();
    std::fs::write(&yaml, again.replace("360p", "480p")).expect("written");
    server.run_command(&["template", "update", &yaml, &yaml]).await.expect_success();
    let shown = server.run_json_command(&["template", "show", "small"]).await;
    assert_eq!(shown["adaptive_streams"], json!([{"resolution": "480p"}]));

    // what is built in can be taken as a beginning
    let built_in = server.run_command(&["template", "export", "hls-h264"]).await.expect_success();
    std::fs::write(&yaml, built_in.replace("hls-h264", "mine")).expect("written");
    server.run_command(&["template", "add", &yaml]).await.expect_success();
    std::fs::write(&yaml, "format: [").expect("written");
    let wrong = server.run_command(&["template", "add", &yaml]).await.expect_failure();
    assert!(wrong.contains("small.yaml is not YAML: "), "{wrong}");
    server.stop().await;
}

#[tokio::test]
async fn many_inputs_become_tasks_or_a_batch() {
    let server = idle_server().await;
    let (storage, _) = server.add_storage("media", "").await;
    let list = server.data.path().join("list");
    std::fs::write(&list, "# films\nhttps://8.8.8.8/a.mov\nhttps://8.8.8.8/b.mov\tother/b.mp4\n")
        .expect("written");
    let list = list.to_str().expect("a text").to_owned();
    let same = ["--template", "mp4-720p", "--storage", &storage, "--list", &list];

    let one_more = ["https://8.8.8.8/c.mov?x=1", "--to", "out/{n}-{name}"];
    let created =
        server.run_command(&[&["task", "create"], &same[..], &one_more].concat()).await.expect_success();
    let ids: Vec<&str> = created.lines().collect();
    let mut outputs = Vec::new();
    for id in &ids {
        outputs.push(
            server.run_json_command(&["task", "show", id]).await["output"]
                .as_str()
                .expect("a text")
                .to_owned(),
        );
    }
    assert_eq!(outputs, ["file://media/out/1-c.mp4", "file://media/out/2-a.mp4", "file://media/other/b.mp4"]);
    server.run_command(&[&["task", "cancel"], &ids[..]].concat()).await.expect_success();
    let cancelled = server
        .run_json_command(&["task", "list", "--status", "cancelled", "--since", "1h", "--skip", "1"])
        .await;
    assert_eq!((&cancelled["total"], &cancelled["num"]), (&json!(3), &json!(2)));

    let batch = server.run_command(&[&["batch", "create"], &same[..]].concat()).await.expect_success();
    let shown = server.run_command(&["batch", "show", batch.trim()]).await.expect_success();
    assert!(shown.contains("file://media/a.mp4") && shown.ends_with("2 pending\n"), "{shown}");
    assert_eq!(server.run_json_command(&["task", "list", "--batch", batch.trim()]).await["total"], 2);

    let clash = [&["task", "create"], &same[..], &["--to", "same"]].concat();
    std::fs::write(server.data.path().join("list"), "https://8.8.8.8/a.mov\nhttps://8.8.8.8/b.mov\n")
        .expect("written");
    let refused = server.run_command(&clash).await.expect_failure();
    assert!(refused.contains("would both be written to `same`; put {n} into --to"), "{refused}");
    server.stop().await;
}

#[tokio::test]
async fn a_profile_signs_in_and_is_private() {
    let server = idle_server().await;
    let home = tempfile::tempdir().expect("a folder");
    let command = |args: &[&str]| {
        let mut command = borealis(args);
        command.env("XDG_CONFIG_HOME", home.path()).env_remove("HOME");
        command
    };
    let login = |secret: &str| {
        let mut command = command(&["login", "--server", &server.url, "--profile", "work"]);
        command.env("BOREALIS_ACCESS_KEY", ACCESS_KEY).env("BOREALIS_SECRET_KEY", secret);
        command
    };
    let wrong = run(login("another")).await.expect_failure();
    assert!(wrong.contains("code 1002"), "{wrong}");
    let file = home.path().join("borealis/profiles.toml");
    assert!(!file.exists(), "a key that is wrong is not kept");

    let output = run(login(SECRET_KEY)).await.expect_success();
    assert!(output.contains("`work`") && !output.contains(SECRET_KEY), "{output}");
    let mode = std::fs::metadata(&file).expect("written").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    run(command(&["task", "list", "--profile", "work"])).await.expect_success();
    let unknown = run(command(&["task", "list", "--profile", "home"])).await.expect_failure();
    assert!(unknown.starts_with("error: there is no profile `home`"), "{unknown}");
    let none = run(command(&["task", "list"])).await.expect_failure();
    assert!(none.contains("run `borealis login`"), "{none}");

    std::fs::write(&file, "[work]\nsecret_key = \"hidden-word").expect("written");
    let broken = run(command(&["task", "list", "--profile", "work"])).await.expect_failure();
    assert!(broken.contains("is not a file of profiles") && !broken.contains("hidden-word"), "{broken}");
    server.stop().await;
}

#[tokio::test]
async fn the_manual_has_a_page_for_each_subcommand() {
    let folder = tempfile::tempdir().expect("a folder");
    run(borealis(&["man", folder.path().to_str().expect("a text")])).await.expect_success();
    for page in ["borealis.1", "borealis-serve.1", "borealis-task.1", "borealis-task-create.1"] {
        let text = std::fs::read_to_string(folder.path().join(page)).expect(page);
        assert!(text.contains(".SH SYNOPSIS"), "{page}: {text}");
    }
}
