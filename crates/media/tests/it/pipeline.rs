//! Real clips through all four steps, with real tools; and outputs with something broken in them,
//! which must not pass.
//!
//! The clips lie in `BOREALIS_TEST_MEDIA`, the tools in `BOREALIS_TOOLS`. Without them nothing is
//! tested, which fails when `CI` is set.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use borealis_media::{
    Measured, Media, MediaError, MediaInput, MediaSettings, Plan, PlanRequest, PlanSettings, Programs,
    ResourceLimits, RunObserver, RunOutput, Source, ToolLimits, plan,
};
use model::{ErrorCode, Template};
use rstest::rstest;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const FORMATS: [&str; 5] = [
    r#"{"template_name":"t","format":"mp4"}"#,
    r#"{"template_name":"t","format":"flv"}"#,
    r#"{"template_name":"t","format":"hls","seg_time":2}"#,
    r#"{"template_name":"t","format":"hls","seg_type":"fmp4","seg_time":2}"#,
    r#"{"template_name":"t","format":"dash","seg_time":2}"#,
];
const MP4: &str = FORMATS[0];
const HLS: &str = FORMATS[2];
const FRAGMENTS: &str = FORMATS[3];
const DASH: &str = FORMATS[4];

/// Media work with real tools, on a corpus.
struct Bench {
    corpus: PathBuf,
    media: Media,
}

/// What came of a clip.
struct Made {
    work: TempDir,
    source: Source,
    plan: Plan,
    output: RunOutput,
}

impl Bench {
    /// None when there is nothing to test on, or nothing to test with.
    async fn find(settings: MediaSettings) -> Option<Self> {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let folder = |name: &str, usual: &str| {
            std::env::var_os(name).map_or_else(|| workspace.join(usual), PathBuf::from)
        };
        let corpus = folder("BOREALIS_TEST_MEDIA", "../shared/media").join("real");
        let tools = Programs::find(Some(&folder("BOREALIS_TOOLS", ".tools"))).ok();
        let Some(tools) = tools.filter(|_| corpus.is_dir()) else {
            println!("skipped: no clips in {}, or no tools", corpus.display());
            assert!(std::env::var_os("CI").is_none(), "the corpus or the tools are absent");
            return None;
        };
        let media = Media::new(tools, settings).await.expect("media work");
        Some(Self { corpus, media })
    }

    async fn make(&self, clip: &str, template: &str) -> Result<Made, MediaError> {
        let (work, cancel) = (tempfile::tempdir().expect("a folder"), CancellationToken::new());
        let input = self.corpus.join(clip);
        let source = self.media.probe(&input, &cancel).await?;
        let template: Template = serde_json::from_str(template).expect("a template");
        let plan = plan(&PlanRequest::new(&template, &source, &self.media.settings.plan))?;
        let shares = Mutex::new(vec![0.0]);
        let on_progress = |share: f64| shares.lock().expect("not poisoned").push(share);
        let observer = RunObserver { on_progress: &on_progress, ..RunObserver::default() };
        let output = self.media.run(&plan, MediaInput::File(&input), work.path(), observer, &cancel).await?;
        let shares = shares.into_inner().expect("not poisoned");
        assert!(shares.windows(2).all(|pair| pair[0] <= pair[1]), "{shares:?}");
        assert!((shares[shares.len() - 1] - 1.0).abs() < f64::EPSILON, "{shares:?}");
        Ok(Made { work, source, plan, output })
    }

    async fn verify(&self, made: &Made) -> Result<Measured, MediaError> {
        self.media.verify(&made.plan, &made.source, &made.output, &CancellationToken::new()).await
    }
}

fn quick() -> MediaSettings {
    MediaSettings {
        plan: PlanSettings { x264_preset: "ultrafast".to_owned(), ..PlanSettings::default() },
        ..MediaSettings::default()
    }
}

#[rstest]
#[case::turned_by_its_matrix("iphone6_rot90_gps.mov", "320x568", 48000, 4.01)]
#[case::turned_and_mirrored("rotate90_and_mirror.mp4", "720x1080", 48000, 1.11)]
#[case::without_sound("theora_noaudio.ogv", "400x300", 0, 5.33)]
#[case::sound_alone("audio_only_flac24.mka", "", 48000, 2.75)]
#[case::ntsc("av1_aac_mono.mp4", "1080x720", 48000, 1.09)]
#[case::eight_languages("multi_audio_8_srt_languages.mkv", "1024x576", 48000, 2.03)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clips_become_outputs_that_are_agreed_to(
    #[case] clip: &str,
    #[case] largest: &str,
    #[case] sample_rate: u32,
    #[case] seconds: f64,
) {
    let Some(bench) = Bench::find(quick()).await else { return };
    for template in FORMATS {
        let made = bench.make(clip, template).await.unwrap_or_else(|error| panic!("{clip}: {error}"));
        let measured = match bench.verify(&made).await {
            Ok(measured) => measured,
            Err(error) => panic!("{clip} as {template}: {error}\n{}", error.log),
        };
        assert_eq!(measured.audio_samplerate, sample_rate, "{clip} as {template}");
        assert!((measured.duration - seconds).abs() < 0.1, "{clip} as {template}: {}", measured.duration);
        assert!(measured.size >= measured.media_size && measured.media_size > 0);
        if template == MP4 {
            assert_eq!(measured.resolution, largest, "{clip}");
        }
        drop(made.work);
    }
}

/// Something that goes wrong after the encoder: it changes the files of an output.
type Harm = fn(&Path);

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

fn damage_a_picture(dir: &Path) {
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

fn lie_about_a_length(dir: &Path) {
    rewrite(dir, "files/144p/playlist.m3u8", "#EXTINF:2.000", "#EXTINF:1.900");
}

fn forget_the_end(dir: &Path) {
    rewrite(dir, "files/audio/playlist.m3u8", "#EXT-X-ENDLIST", "");
}

fn lie_about_the_time(dir: &Path) {
    rewrite(dir, "main.mpd", "<S t=\"0\"", "<S t=\"1000\"");
}

fn put_sound_and_picture_together(dir: &Path) {
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
#[case(HLS, damage_a_picture, "144p")]
#[case(HLS, lie_about_the_size, "what is said of the size of `144p` is not true")]
#[case(HLS, lie_about_a_length, "listed with another length")]
#[case(HLS, forget_the_end, "is not marked as complete")]
#[case(FRAGMENTS, lose_a_segment, "is listed and is not there")]
#[case(FRAGMENTS, cut_off_a_segment, "144p")]
#[case(FRAGMENTS, take_a_segment_twice, "`144p` is not in decoding order")]
#[case(FRAGMENTS, damage_a_picture, "144p")]
#[case(DASH, lose_a_segment, "is listed and is not there")]
#[case(DASH, damage_a_picture, "144p")]
#[case(DASH, lie_about_the_time, "the timeline of `144p` goes on at 1000 where it was at 0")]
#[case(DASH, put_sound_and_picture_together, "in one adaptation set")]
#[case(DASH, break_the_manifest, "the manifest cannot be read")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn harmed_outputs_are_refused(#[case] template: &str, #[case] harm: Harm, #[case] words: &str) {
    let Some(bench) = Bench::find(quick()).await else { return };
    let made = bench.make("h264_mp3_bogus_length.avi", template).await.expect("made");
    bench.verify(&made).await.expect("right before it is harmed");
    harm(&made.output.dir);
    let error = bench.verify(&made).await.expect_err("refused");
    assert_eq!(error.code, ErrorCode::EncodingFailed);
    assert!(error.detail.contains(words), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_at_the_end_is_refused() {
    let Some(bench) = Bench::find(quick()).await else { return };
    let made = bench.make("h264_mp3_bogus_length.avi", MP4).await.expect("made");
    bench.verify(&made).await.expect("right before it is harmed");
    let main = made.output.dir.join("main.mp4");
    let bytes = fs::read(&main).expect("read");
    let ftyp = u32::from_be_bytes(bytes[..4].try_into().expect("4 bytes")) as usize;
    // an empty `mdat` before `moov` is where a progressive file would have its pictures
    let harmed = [&bytes[..ftyp], &[0, 0, 0, 8], b"mdat", &bytes[ftyp..]].concat();
    fs::write(&main, harmed).expect("written");
    let error = bench.verify(&made).await.expect_err("refused");
    assert_eq!(error.detail, "`main.mp4` does not have its `moov` before its `mdat`");
}

/// Processes that have a path below a folder among their arguments.
fn processes_in(folder: &Path) -> usize {
    let needle = folder.as_os_str().as_encoded_bytes();
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    processes
        .filter(|process| {
            let words = fs::read(process.path().join("cmdline")).unwrap_or_default();
            words.windows(needle.len()).any(|window| window == needle)
        })
        .count()
}

#[rstest]
#[case(MP4)]
#[case(HLS)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_run_leaves_no_process(#[case] template: &str) {
    let Some(bench) = Bench::find(MediaSettings {
        plan: PlanSettings { x264_preset: "placebo".to_owned(), ..PlanSettings::default() },
        ..quick()
    })
    .await
    else {
        return;
    };
    let (work, cancel) = (tempfile::tempdir().expect("a folder"), CancellationToken::new());
    let input = bench.corpus.join("android_4k60_rot90.mp4");
    let source = bench.media.probe(&input, &cancel).await.expect("media");
    let template: Template = serde_json::from_str(template).expect("a template");
    let plan = plan(&PlanRequest::new(&template, &source, &bench.media.settings.plan)).expect("a plan");
    let run = bench.media.run(&plan, MediaInput::File(&input), work.path(), RunObserver::default(), &cancel);
    let cancelled = async {
        while processes_in(work.path()) == 0 {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(run, cancelled);
    assert_eq!(outcome.expect_err("cancelled").code, ErrorCode::Cancelled);
    assert_eq!(processes_in(work.path()), 0);
}

/// Files of 20 kB at most.
fn small_files() -> ToolLimits {
    let resources = ResourceLimits { file_bytes: 20_000, ..ResourceLimits::default() };
    ToolLimits { resources, ..ToolLimits::default() }
}

/// A child that gets no further is given up soon.
fn impatient(seconds: u64) -> ToolLimits {
    ToolLimits { stall_timeout: Duration::from_secs(seconds), ..ToolLimits::default() }
}

#[rstest]
#[case::file(MP4, small_files(), "an output file got too large")]
#[case::segments(HLS, small_files(), "an output file got too large")]
#[case::time(HLS, ToolLimits { run_time: Duration::ZERO, ..ToolLimits::default() }, "it took longer than 0 s")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_end_a_run(#[case] template: &str, #[case] tools: ToolLimits, #[case] words: &str) {
    let Some(bench) = Bench::find(MediaSettings { tools, ..quick() }).await else { return };
    let error = bench.make("h264_mp3_bogus_length.avi", template).await.map(|_| ()).expect_err("over");
    assert_eq!((error.code, error.detail.as_str()), (ErrorCode::EncodingOverLimit, words), "{}", error.log);
}

#[rstest]
#[case(MP4)]
#[case(HLS)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_input_that_cannot_be_read_any_more_is_to_blame(#[case] template: &str) {
    let Some(bench) = Bench::find(quick()).await else { return };
    let made = bench.make("h264_mp3_bogus_length.avi", template).await.expect("made");
    let input = made.work.path().join("input");
    fs::write(&input, "no longer what it was").expect("written");
    let never = CancellationToken::new();
    let again = bench
        .media
        .run(&made.plan, MediaInput::File(&input), made.work.path(), RunObserver::default(), &never)
        .await;
    assert_eq!(again.expect_err("refused").code, ErrorCode::InvalidInput);
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
async fn a_broken_packager_ends_the_run(#[case] line: &str, #[case] code: ErrorCode, #[case] words: &str) {
    let settings = MediaSettings { tools: impatient(1), ..quick() };
    let Some(mut bench) = Bench::find(settings).await else { return };
    let folder = tempfile::tempdir().expect("a folder");
    bench.media.tools.programs.packager = program(folder.path(), line);
    let error = bench.make("audio_only_flac24.mka", HLS).await.map(|_| ()).expect_err("broken");
    assert_eq!((error.code, error.detail.as_str()), (code, words), "{}", error.log);
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
async fn a_broken_ffmpeg_ends_the_run(#[case] line: &str, #[case] code: ErrorCode, #[case] words: &str) {
    let settings = MediaSettings { tools: impatient(2), ..quick() };
    let Some(mut bench) = Bench::find(settings).await else { return };
    let (folder, never) = (tempfile::tempdir().expect("a folder"), CancellationToken::new());
    let made = bench.make("audio_only_flac24.mka", HLS).await.expect("made");
    bench.media.tools.programs.ffmpeg = program(folder.path(), line);
    let input = bench.corpus.join("audio_only_flac24.mka");
    let again = bench
        .media
        .run(&made.plan, MediaInput::File(&input), made.work.path(), RunObserver::default(), &never)
        .await;
    let error = again.expect_err("broken");
    assert_eq!(error.code, code, "{}", error.log);
    assert!(error.detail.starts_with(words), "{error}");
}
