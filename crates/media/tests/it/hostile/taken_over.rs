//! Media tools that an input has taken over, played by shell scripts: what they leave in the output folder in place
//! of an output is refused, and nothing that lies elsewhere is read, changed or waited for.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use borealis_media::{
    Media, MediaError, MediaInput, MediaOptions, Plan, PlanRequest, Programs, RunObserver, SandboxMode,
    Source, plan,
};
use model::{ErrorCode, Template};
use rstest::rstest;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, fast_settings};

/// All steps after the probe.
const MAX_DURATION: Duration = Duration::from_secs(60);

/// A right output, which lies outside of the work folder as a secret does: who follows a link to it finds nothing
/// wrong.
struct Outside {
    bench: Bench,
    source: Source,
    plan: Plan,
    /// The folder with the right output.
    dir: PathBuf,
}

impl Outside {
    async fn make(template: Value) -> Option<Self> {
        let bench = Bench::find().await?;
        let input = bench.clip(
            "input.mp4",
            "-f lavfi -i testsrc2=s=128x72:r=25:d=2 -f lavfi -i sine=d=2 -c:v libx264 -pix_fmt yuv420p -c:a aac",
        );
        let source = bench.media.probe(&input, &CancellationToken::new()).await.expect("media");
        let made = bench.must_transcode(&input, template.clone()).await;
        let mut template = template;
        template["template_name"] = "t".into();
        let template: Template = serde_json::from_value(template).expect("a template");
        let plan = plan(&PlanRequest::new(&template, &source, &bench.media.settings.plan)).expect("a plan");
        Some(Self { bench, source, plan, dir: made.dir })
    }

    /// Runs and verifies by tools that are these scripts; what stands for `OUTSIDE` in them is the right output.
    async fn run_with(&self, scripts: [Option<&str>; 2], sandbox: SandboxMode) -> Result<(), MediaError> {
        let work = tempfile::tempdir().expect("a folder");
        let real = &self.bench.media.tools.programs;
        let tool = |name: &str, script: Option<&str>, real: &Path| match script {
            Some(script) => {
                let path = work.path().join(name);
                let script = script.replace("OUTSIDE", &self.dir.display().to_string());
                fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
                path
            }
            None => real.to_owned(),
        };
        let programs = Programs {
            ffmpeg: tool("ffmpeg", scripts[0], &real.ffmpeg),
            packager: tool("packager", scripts[1], &real.packager),
            ffprobe: real.ffprobe.clone(),
        };
        let media = Media::new(programs, MediaOptions { sandbox, ..fast_settings() }).await.expect("tools");
        let task = work.path().join("task");
        fs::create_dir(&task).expect("made");
        // the script has an output to take for its own
        let input = match scripts[0] {
            Some(_) => self.dir.join("main.mp4"),
            None => self.bench.work.path().join("input.mp4"),
        };
        let never = CancellationToken::new();
        let steps = async {
            let observer = RunObserver::default();
            let output = media.run(&self.plan, MediaInput::File(&input), &task, observer, &never).await?;
            self.bench.media.verify(&self.plan, &self.source, &output, &never).await.map(drop)
        };
        tokio::time::timeout(MAX_DURATION, steps).await.expect("nothing waits for ever")
    }
}

/// FFmpeg that takes its own input for the output: it is one.
const FFMPEG: &str = r#"for word; do case "$word" in file:*/main.mp4) cp "${word#file:}" out/main.mp4.new;; esac; done
mv out/main.mp4.new out/main.mp4
cd out"#;

#[rstest]
#[case::link("ln -sf OUTSIDE/main.mp4 main.mp4")]
#[case::hard_link("ln -f OUTSIDE/main.mp4 main.mp4")]
#[case::link_to_itself("rm main.mp4; ln -s main.mp4 main.mp4")]
#[case::dangling("ln -sf nowhere main.mp4")]
#[case::pipe("rm main.mp4; mkfifo main.mp4")]
#[case::folder("rm main.mp4; mkdir main.mp4")]
#[case::device("rm main.mp4; mknod main.mp4 c 1 5 || ln -s /dev/zero main.mp4")]
#[case::beside("ln -s /etc/passwd passwd")]
#[case::beside_in_a_folder("mkdir files; ln -s OUTSIDE files/more")]
#[case::long_name("touch $(printf '%0255d' 0)")]
#[case::deep("mkdir -p $(printf 'd/%.0s' $(seq 200))")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_file_is_no_output(#[case] script: &str) {
    let Some(outside) = Outside::make(json!({"format": "mp4"})).await else { return };
    let before = fs::read(outside.dir.join("main.mp4")).expect("there");
    let script = format!("{FFMPEG}\n{script}\ntrue");
    let error = outside.run_with([Some(&script), None], SandboxMode::Off).await.expect_err("refused");
    assert_eq!(error.code, ErrorCode::EncodingFailed, "{error}");
    assert!(!error.detail.contains("root:"), "{error}");
    assert_eq!(fs::read(outside.dir.join("main.mp4")).expect("there"), before, "it was changed");
}

/// The scripts themselves do nothing wrong, with and without the sandbox.
#[rstest]
#[case(SandboxMode::Off)]
#[case(SandboxMode::Auto)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_an_output_is_agreed_to(#[case] sandbox: SandboxMode) {
    let Some(outside) = Outside::make(json!({"format": "mp4"})).await else { return };
    outside.run_with([Some(FFMPEG), None], sandbox).await.expect("right");
}

/// In the sandbox there is nothing to be linked, and the input is not to be changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_sandbox_nothing_else_is_within_reach() {
    let Some(outside) = Outside::make(json!({"format": "mp4"})).await else { return };
    let input = outside.dir.join("main.mp4");
    let before = fs::read(&input).expect("there");
    let script = format!(
        "{FFMPEG}\nfor change in 'echo > OUTSIDE/main.mp4' 'rm OUTSIDE/main.mp4' 'mv main.mp4 OUTSIDE/main.mp4' \
         'ln OUTSIDE/main.mp4 second' 'ln -s /etc/passwd link' 'mkfifo pipe' 'ls OUTSIDE/../../*.mp4 > list' \
         'cat /proc/1/environ > environ'; do sh -c \"$change\" 2> /dev/null && touch \"did $change\"; done; \
         rm -f list environ; true"
    );
    let outcome = outside.run_with([Some(&script), None], SandboxMode::Required).await;
    outcome.expect("nothing of that could be done, so that the output is right");
    assert_eq!(fs::read(&input).expect("there"), before);
}

/// A packager that reads its pipes and puts another's output in place of its own.
const PACKAGER: &str = "for pipe in pipes/*; do cat $pipe > /dev/null & done; wait
cp -r OUTSIDE/. out/; cd out";

#[rstest]
#[case::none("", None)]
#[case::folder_of_a_stream("rm -r files/72p; ln -s OUTSIDE/files/72p files/72p", Some("files/72p"))]
#[case::folder_of_all("rm -r files; ln -s OUTSIDE/files files", Some("files"))]
#[case::segment(
    "ln -sf OUTSIDE/files/72p/seg_00001.ts files/72p/seg_00001.ts",
    Some("files/72p/seg_00001.ts")
)]
#[case::playlist(
    "ln -sf OUTSIDE/files/audio/playlist.m3u8 files/audio/playlist.m3u8",
    Some("files/audio/playlist.m3u8")
)]
#[case::main("ln -sf OUTSIDE/main.m3u8 main.m3u8", Some("main.m3u8"))]
#[case::pipe(
    "rm files/audio/playlist.m3u8; mkfifo files/audio/playlist.m3u8",
    Some("files/audio/playlist.m3u8")
)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_folder_of_segments_is_another(#[case] script: &str, #[case] refused: Option<&str>) {
    let Some(outside) = Outside::make(json!({"format": "hls", "seg_time": 1})).await else { return };
    let before = fs::read(outside.dir.join("main.m3u8")).expect("there");
    let outcome =
        outside.run_with([None, Some(&format!("{PACKAGER}\n{script}\ntrue"))], SandboxMode::Off).await;
    assert_eq!(fs::read(outside.dir.join("main.m3u8")).expect("there"), before, "it was changed");
    let Some(refused) = refused else { return outcome.expect("right") };
    let error = outcome.expect_err("refused");
    assert_eq!(error.code, ErrorCode::EncodingFailed, "{error}");
    assert!(error.detail.contains(&format!("`{refused}`")), "{error}");
}
