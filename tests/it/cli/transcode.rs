//! Subcommands that wait for the end of tasks.

use std::path::Path;

use crate::program::{RunningProgram, Server, borealis, run};

/// A clip of a second that FFmpeg makes.
fn clip(folder: &Path) -> String {
    let tools = media::Programs::find(std::env::var_os("BOREALIS_TOOLS").as_deref().map(Path::new))
        .expect("the tools");
    let file = folder.join("clip.mp4");
    let status = std::process::Command::new(tools.ffmpeg)
        .args([
            "-nostdin",
            "-loglevel",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=320x240:rate=25:duration=1",
        ])
        .args(["-f", "lavfi", "-i", "sine=duration=1", "-c:v", "libx264", "-preset", "ultrafast"])
        .args(["-pix_fmt", "yuv420p", "-c:a", "aac"])
        .arg(&file)
        .status()
        .expect("FFmpeg runs");
    assert!(status.success());
    file.to_str().expect("a text").to_owned()
}

#[tokio::test]
async fn the_demo_shows_the_whole_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let clip = clip(folder.path());
    let mut demo = borealis(&["demo", &clip]);
    demo.env("TMPDIR", folder.path());
    let shown = run(demo).await.expect_success();

    let outputs: Vec<&Path> =
        shown.lines().filter_map(|line| line.strip_prefix("output: ")).map(Path::new).collect();
    let extensions: Vec<&str> = outputs
        .iter()
        .map(|path| path.extension().and_then(|extension| extension.to_str()).expect("one"))
        .collect();
    assert_eq!(extensions, ["mp4", "m3u8", "mpd", "flv"]);
    for path in outputs {
        assert!(path.is_file(), "{}", path.display());
    }
    assert_eq!(shown.lines().filter(|line| line.ends_with("signature verified")).count(), 4);
    for template in ["mp4-720p", "hls-h264", "dash-h264", "flv-720p"] {
        let end = shown.lines().find(|line| line.starts_with(template) && line.ends_with("100 %  succeeded"));
        assert!(end.is_some(), "{template}: {shown}");
    }
}

#[tokio::test]
async fn the_demo_says_why_it_cannot() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = folder.path().join("text.mp4");
    std::fs::write(&text, "this is no video").expect("written");
    let mut demo = borealis(&["demo", text.to_str().expect("a text")]);
    demo.env("TMPDIR", folder.path());
    let output = run(demo).await.expect_failure();
    assert!(output.contains("failed: Invalid input file"), "{output}");
}

#[tokio::test]
async fn an_interrupted_demo_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut demo = borealis(&["demo"]);
    demo.env("TMPDIR", folder.path());
    let mut running = RunningProgram::start(demo);
    while !running.next_line().await.starts_with("input ") {}
    assert_eq!(running.stop().await.0, Some(1));
    assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 0);
}

#[tokio::test]
async fn waiting_ends_with_the_tasks_outcome() {
    let folder = tempfile::tempdir().expect("a folder");
    let clip = clip(folder.path());
    let server = Server::start(&[]).await;
    let (storage, _) = server.add_storage("media", "").await;
    let files = wiremock::MockServer::start().await;
    for (path, body) in
        [("/clip.mp4", std::fs::read(&clip).expect("readable")), ("/text.mp4", b"no video".to_vec())]
    {
        wiremock::Mock::given(wiremock::matchers::path(path))
            .respond_with(wiremock::ResponseTemplate::new(200).set_body_bytes(body))
            .mount(&files)
            .await;
    }
    let create = |input: &str, output: &str| {
        let input = format!("{}{input}", files.uri());
        server.command(&[
            "task",
            "create",
            "--wait",
            "--template",
            "mp4-720p",
            "--storage",
            &storage,
            &input,
            "--to",
            output,
        ])
    };

    let good = run(create("/clip.mp4", "clip.mp4")).await;
    assert!(good.stderr.contains("100 %  succeeded"), "{good:?}");
    assert_eq!(good.expect_success(), "file://media/clip.mp4\n");

    let bad = run(create("/text.mp4", "text.mp4")).await;
    assert_eq!(bad.stdout, "");
    let output = bad.expect_failure();
    assert!(output.contains("failed: Invalid input file") && output.contains("(code 1003)"), "{output}");
    server.stop().await;
}
