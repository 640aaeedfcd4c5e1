//! Real clips of the corpus through all four steps; and what must not pass: damaged outputs, broken programs, an input
//! that changes, and what goes over a limit.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use borealis_media::{
    MediaError, MediaInput, MediaOptions, PlanRequest, ResourceLimits, RunObserver, RunOutput, ToolLimits,
    plan,
};
use model::{ErrorCode, Template};
use rstest::rstest;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, Encoded, fast_settings, presets, real_clips};

const FORMATS: [&str; 5] = [
    r#"{"format":"mp4"}"#,
    r#"{"format":"flv"}"#,
    r#"{"format":"hls","seg_time":2}"#,
    r#"{"format":"hls","seg_type":"fmp4","seg_time":2}"#,
    r#"{"format":"dash","seg_time":2}"#,
];
const MP4: &str = FORMATS[0];
const HLS: &str = FORMATS[2];
const FRAGMENTS: &str = FORMATS[3];
const DASH: &str = FORMATS[4];

const AVI: &str = "h264_mp3_bogus_length.avi";
const AUDIO_ONLY: &str = "audio_only_flac24.mka";

/// A bench with these settings, and the folder of the real clips.
async fn find(settings: MediaOptions) -> Option<(Bench, PathBuf)> {
    let clips = real_clips()?;
    Some((Bench::with(settings).await?, clips))
}

/// Probe, plan and run, with progress that grows up to 1.
async fn encode(bench: &Bench, clip: &Path, template: &str) -> Result<Encoded, MediaError> {
    let template: Value = serde_json::from_str(template).expect("JSON");
    let shares = Mutex::new(vec![0.0]);
    let on_progress = |share: f64| shares.lock().expect("not poisoned").push(share);
    let encoded = bench.encode(bench.work.path(), clip, template, json!({}), &on_progress).await?;
    let shares = shares.into_inner().expect("not poisoned");
    assert!(shares.windows(2).all(|pair| pair[0] <= pair[1]), "{shares:?}");
    assert!((shares[shares.len() - 1] - 1.0).abs() < f64::EPSILON, "{shares:?}");
    Ok(encoded)
}

/// Runs a plan that was run before on another input or with other programs.
async fn run_again(bench: &Bench, encoded: &Encoded, input: &Path) -> Result<RunOutput, MediaError> {
    let (input, observer, never) =
        (MediaInput::File(input), RunObserver::default(), CancellationToken::new());
    bench.media.run(&encoded.plan, input, bench.work.path(), observer, &never).await
}

#[rstest]
#[case::turned_by_its_matrix("iphone6_rot90_gps.mov", "320x568", 48000, 4.01)]
#[case::turned_and_mirrored("rotate90_and_mirror.mp4", "720x1080", 48000, 1.11)]
#[case::without_audio("theora_noaudio.ogv", "400x300", 0, 5.33)]
#[case::audio_alone("audio_only_flac24.mka", "", 48000, 2.75)]
#[case::ntsc("av1_aac_mono.mp4", "1080x720", 48000, 1.09)]
#[case::eight_languages("multi_audio_8_srt_languages.mkv", "1024x576", 48000, 2.03)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clips_become_outputs_that_are_agreed_to(
    #[case] clip: &str,
    #[case] largest: &str,
    #[case] sample_rate: u32,
    #[case] seconds: f64,
) {
    let Some((bench, clips)) = find(fast_settings()).await else { return };
    for template in FORMATS {
        let encoded = encode(&bench, &clips.join(clip), template).await;
        let encoded = encoded.unwrap_or_else(|error| panic!("{clip}: {error}"));
        let measured = match bench.verify(&encoded).await {
            Ok(measured) => measured,
            Err(error) => panic!("{clip} as {template}: {error}\n{}", error.log),
        };
        assert_eq!(measured.audio_samplerate, sample_rate, "{clip} as {template}");
        assert!((measured.duration - seconds).abs() < 0.1, "{clip} as {template}: {}", measured.duration);
        assert!(measured.size >= measured.media_size && measured.media_size > 0);
        if template == MP4 {
            assert_eq!(measured.resolution, largest, "{clip}");
        }
    }
}

/// Something that goes wrong after the encoder: it changes the files of an output.
type DamageOutput = fn(&Path);

fn files(dir: &Path, folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir.join("files").join(folder))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"seg")))
        .collect();
    files.sort();
    files
}

fn lose_a_segment(dir: &Path) {
    fs::remove_file(&files(dir, "144p")[1]).expect("removed");
}

fn empty_a_segment(dir: &Path) {
    fs::write(&files(dir, "144p")[0], "").expect("written");
}

fn cut_off_a_segment(dir: &Path) {
    let last = files(dir, "144p").pop().expect("a segment");
    let bytes = fs::read(&last).expect("read");
    fs::write(&last, &bytes[..bytes.len() / 2]).expect("written");
}

fn take_a_segment_twice(dir: &Path) {
    let segments = files(dir, "144p");
    fs::copy(&segments[0], &segments[1]).expect("copied");
}

fn damage_a_frame(dir: &Path) {
    let first = files(dir, "144p").remove(0);
    let mut bytes = fs::read(&first).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 600].fill(0x55);
    fs::write(&first, bytes).expect("written");
}

fn rewrite(dir: &Path, name: &str, from: &str, to: &str) {
    let text = fs::read_to_string(dir.join(name)).expect("read");
    assert!(text.contains(from), "{text}");
    fs::write(dir.join(name), text.replace(from, to)).expect("written");
}

fn lie_about_the_size(dir: &Path) {
    rewrite(dir, "main.m3u8", "RESOLUTION=256x144", "RESOLUTION=144x256");
}

fn lie_about_a_duration(dir: &Path) {
    rewrite(dir, "files/144p/playlist.m3u8", "#EXTINF:2.000", "#EXTINF:1.900");
}

fn forget_the_end(dir: &Path) {
    rewrite(dir, "files/audio/playlist.m3u8", "#EXT-X-ENDLIST", "");
}

fn lie_about_the_time(dir: &Path) {
    rewrite(dir, "main.mpd", "<S t=\"0\"", "<S t=\"1000\"");
}

fn merge_the_adaptation_sets(dir: &Path) {
    let text = fs::read_to_string(dir.join("main.mpd")).expect("read");
    let (before, rest) = text.split_once("</AdaptationSet>").expect("the first set");
    let (_, after) = rest.split_once("<Representation").expect("the second set");
    fs::write(dir.join("main.mpd"), format!("{before}<Representation{after}")).expect("written");
}

fn break_the_manifest(dir: &Path) {
    rewrite(dir, "main.mpd", "</MPD>", "");
}

#[rstest]
#[case(HLS, lose_a_segment, "is listed and is not there")]
#[case(HLS, empty_a_segment, "is listed and is empty")]
#[case(HLS, cut_off_a_segment, "144p")]
#[case(HLS, take_a_segment_twice, "`144p` is not in decoding order")]
#[case(HLS, damage_a_frame, "144p")]
#[case(HLS, lie_about_the_size, "the size of `144p` is listed wrongly")]
#[case(HLS, lie_about_a_duration, "is listed with another duration")]
#[case(HLS, forget_the_end, "is not marked as complete")]
#[case(FRAGMENTS, lose_a_segment, "is listed and is not there")]
#[case(FRAGMENTS, cut_off_a_segment, "144p")]
#[case(FRAGMENTS, take_a_segment_twice, "`144p` is not in decoding order")]
#[case(FRAGMENTS, damage_a_frame, "144p")]
#[case(DASH, lose_a_segment, "is listed and is not there")]
#[case(DASH, damage_a_frame, "144p")]
#[case(DASH, lie_about_the_time, "the timeline of `144p` goes on at 1000 where it was at 0")]
#[case(DASH, merge_the_adaptation_sets, "in one adaptation set")]
#[case(DASH, break_the_manifest, "the manifest cannot be read")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn harmed_outputs_are_refused(
    #[case] template: &str,
    #[case] damage: DamageOutput,
    #[case] detail: &str,
) {
    let Some((bench, clips)) = find(fast_settings()).await else { return };
    let encoded = encode(&bench, &clips.join(AVI), template).await.expect("encoded");
    bench.verify(&encoded).await.expect("valid before it is damaged");
    damage(&encoded.output.dir);
    let error = bench.verify(&encoded).await.expect_err("refused");
    assert_eq!(error.code, ErrorCode::EncodingFailed);
    assert!(error.detail.contains(detail), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_at_the_end_is_refused() {
    let Some((bench, clips)) = find(fast_settings()).await else { return };
    let encoded = encode(&bench, &clips.join(AVI), MP4).await.expect("encoded");
    bench.verify(&encoded).await.expect("valid before it is damaged");
    let main = encoded.output.dir.join("main.mp4");
    let bytes = fs::read(&main).expect("read");
    let ftyp = u32::from_be_bytes(bytes[..4].try_into().expect("4 bytes")) as usize;
    // an empty `mdat` in front of the `moov`
    let damaged = [&bytes[..ftyp], &[0, 0, 0, 8], b"mdat", &bytes[ftyp..]].concat();
    fs::write(&main, damaged).expect("written");
    let error = bench.verify(&encoded).await.expect_err("refused");
    assert_eq!(error.detail, "`main.mp4` does not have its `moov` before its `mdat`");
}

/// Processes that have a path below a folder among their arguments.
fn processes_in(folder: &Path) -> usize {
    let needle = folder.as_os_str().as_encoded_bytes();
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    processes
        .filter(|process| {
            let arguments = fs::read(process.path().join("cmdline")).unwrap_or_default();
            arguments.windows(needle.len()).any(|window| window == needle)
        })
        .count()
}

#[rstest]
#[case(MP4)]
#[case(HLS)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_run_leaves_no_process(#[case] template: &str) {
    let slow = MediaOptions { plan: presets("placebo"), ..fast_settings() };
    let Some((bench, clips)) = find(slow).await else { return };
    let (work, cancel) = (bench.work.path(), CancellationToken::new());
    let input = clips.join("android_4k60_rot90.mp4");
    let source = bench.media.probe(&input, &cancel).await.expect("media");
    let mut template: Value = serde_json::from_str(template).expect("JSON");
    template["template_name"] = "t".into();
    let template: Template = serde_json::from_value(template).expect("a template");
    let plan = plan(&PlanRequest::new(&template, &source, &bench.media.settings.plan)).expect("a plan");
    let run = bench.media.run(&plan, MediaInput::File(&input), work, RunObserver::default(), &cancel);
    let cancel_it = async {
        while processes_in(work) == 0 {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(run, cancel_it);
    assert_eq!(outcome.expect_err("cancelled").code, ErrorCode::Cancelled);
    assert_eq!(processes_in(work), 0);
}

/// Files of 20 kB at most.
fn small_files() -> ToolLimits {
    let resources = ResourceLimits { file_bytes: 20_000, ..ResourceLimits::default() };
    ToolLimits { resources, ..ToolLimits::default() }
}

/// A child that makes no progress is stopped after so many seconds.
fn stall_timeout(seconds: u64) -> ToolLimits {
    ToolLimits { stall_timeout: Duration::from_secs(seconds), ..ToolLimits::default() }
}

#[rstest]
#[case::file(MP4, small_files(), "an output file got too large")]
#[case::segments(HLS, small_files(), "an output file got too large")]
#[case::time(HLS, ToolLimits { run_time: Duration::ZERO, ..ToolLimits::default() }, "it took longer than 0 s")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_end_a_run(#[case] template: &str, #[case] tools: ToolLimits, #[case] detail: &str) {
    let Some((bench, clips)) = find(MediaOptions { tools, ..fast_settings() }).await else { return };
    let error = encode(&bench, &clips.join(AVI), template).await.map(|_| ()).expect_err("over");
    assert_eq!((error.code, error.detail.as_str()), (ErrorCode::EncodingOverLimit, detail), "{}", error.log);
}

#[rstest]
#[case(MP4)]
#[case(HLS)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_input_that_cannot_be_read_any_more_is_to_blame(#[case] template: &str) {
    let Some((bench, clips)) = find(fast_settings()).await else { return };
    let encoded = encode(&bench, &clips.join(AVI), template).await.expect("encoded");
    let input = bench.work.path().join("input");
    fs::write(&input, "no longer what it was").expect("written");
    assert_eq!(run_again(&bench, &encoded, &input).await.expect_err("refused").code, ErrorCode::InvalidInput);
}

/// A program that is a line of shell.
fn program(folder: &Path, line: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("program");
    fs::write(&path, format!("#!/bin/sh\n{line}\n")).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
    path
}

#[rstest]
#[case::packager_dies("exit 3", ErrorCode::EncodingFailed, "packager ended with an error")]
#[case::packager_says_why(
    "echo 'E1125 file.cc:1] No space left on device' >&2; exit 1",
    ErrorCode::EncodingOverLimit,
    "the server's disk is full"
)]
#[case::packager_stands_still("exec sleep 1000", ErrorCode::Internal, "packager got no further for 1 s")]
#[case::packager_has_no_end(
    "cat \"$(ls -d \"$PWD\"/pipes/* | head -1)\" \"$(ls -d \"$PWD\"/pipes/* | tail -1)\" > /dev/null; exec sleep 1000",
    ErrorCode::Internal,
    "packager got no further for 1 s"
)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_packager_ends_the_run(#[case] line: &str, #[case] code: ErrorCode, #[case] detail: &str) {
    let settings = MediaOptions { tools: stall_timeout(1), ..fast_settings() };
    let Some((mut bench, clips)) = find(settings).await else { return };
    let folder = tempfile::tempdir().expect("a folder");
    bench.media.tools.programs.packager = program(folder.path(), line);
    let error = encode(&bench, &clips.join(AUDIO_ONLY), HLS).await.map(|_| ()).expect_err("broken");
    assert_eq!((error.code, error.detail.as_str()), (code, detail), "{}", error.log);
}

#[rstest]
#[case::ffmpeg_dies("exit 3", ErrorCode::EncodingFailed, "ffmpeg ended with an error")]
#[case::ffmpeg_makes_nothing("exit 0", ErrorCode::EncodingFailed, "packager ended with an error")]
#[case::ffmpeg_is_killed(
    "kill -KILL $$",
    ErrorCode::EncodingOverLimit,
    "it was killed, most likely because memory ran out"
)]
#[case::ffmpeg_stands_still("exec sleep 1000", ErrorCode::EncodingOverLimit, "ffmpeg got no further for 2 s")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_ffmpeg_ends_the_run(#[case] line: &str, #[case] code: ErrorCode, #[case] detail: &str) {
    let settings = MediaOptions { tools: stall_timeout(2), ..fast_settings() };
    let Some((mut bench, clips)) = find(settings).await else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let input = clips.join(AUDIO_ONLY);
    let encoded = encode(&bench, &input, HLS).await.expect("encoded");
    bench.media.tools.programs.ffmpeg = program(folder.path(), line);
    let error = run_again(&bench, &encoded, &input).await.expect_err("broken");
    assert_eq!(error.code, code, "{}", error.log);
    assert!(error.detail.starts_with(detail), "{error}");
}
