//! Copies: what comes out is packet for packet what went in.

use std::path::{Path, PathBuf};

use borealis_media::{MediaInput, PlanRequest, RunObserver, plan};
use model::ErrorCode;
use rstest::rstest;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, Transcoded, real_clips};

/// Eight seconds with B-frames and a closed GOP every two seconds.
const H264: &str = "-f lavfi -i testsrc2=s=256x144:r=25:d=8 -f lavfi -i sine=440:r=48000:d=8 -c:v libx264 -preset veryfast \
                    -pix_fmt yuv420p -g 50 -keyint_min 50 -sc_threshold 0 -ac 2 -c:a aac";
const H265: &str = "-f lavfi -i testsrc2=s=256x144:r=24000/1001:d=8 -f lavfi -i sine=440:r=48000:d=8 -c:v libx265 -preset ultrafast \
                    -pix_fmt yuv420p -x265-params log-level=error:keyint=48:open-gop=0 -ac 2 -c:a ac3";
const AV1: &str = "-f lavfi -i testsrc2=s=256x144:r=25:d=6 -f lavfi -i sine=440:r=48000:d=6 -c:v libsvtav1 -preset 12 \
                   -pix_fmt yuv420p -svtav1-params keyint=50 -ac 2 -c:a libopus";
const VP9: &str = "-f lavfi -i testsrc2=s=256x144:r=30:d=6 -f lavfi -i sine=440:r=48000:d=6 -c:v libvpx-vp9 -deadline realtime \
                   -cpu-used 8 -pix_fmt yuv420p -g 60 -ac 2 -c:a libopus";

/// What a stream holds, whatever its container: a hash of the decoded frames of the video (`v`), or the packets of the
/// audio (`a`). AAC is compared as ADTS: TS has it with these headers, other containers without.
fn content(bench: &Bench, file: &Path, kind: char) -> Vec<u8> {
    if kind == 'v' {
        return bench.bytes(file, "-map 0:v:0 -fps_mode passthrough -f hash");
    }
    let is_aac = bench.report(&[file], "-frames 1 -f null").contains("Audio: aac");
    let muxer = if is_aac { "adts" } else { "hash" };
    bench.bytes(file, &format!("-map 0:a:0 -c copy -f {muxer}"))
}

#[rstest]
#[case::mp4("a.mp4", H264, "mp4")]
#[case::mp4_of_mkv("a.mkv", H264, "mp4")]
#[case::mp4_of_ts("a.ts", H264, "mp4")]
#[case::mp4_of_flv("a.flv", H264, "mp4")]
#[case::flv("a.mp4", H264, "flv")]
#[case::flv_of_ts("a.ts", H264, "flv")]
#[case::h265("a.mkv", H265, "mp4")]
#[case::av1("a.mkv", AV1, "mp4")]
#[case::vp9("a.webm", VP9, "mp4")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_file_has_the_frames_of_its_source(
    #[case] name: &str,
    #[case] encoded: &str,
    #[case] format: &str,
) {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip(name, encoded);
    let output =
        bench.must_transcode(&input, json!({"format": format, "vcodec": "copy", "acodec": "copy"})).await;
    for kind in ['v', 'a'] {
        assert!(content(&bench, &output.main(), kind) == content(&bench, &input, kind), "{kind}");
    }
}

#[rstest]
#[case::video(json!({"format": "mp4", "vcodec": "copy", "acodec": "mp3"}), 'v')]
#[case::audio(json!({"format": "flv", "resolution": "72p", "acodec": "copy"}), 'a')]
#[case::video_alone(json!({"format": "mp4", "vcodec": "copy", "acodec": "none"}), 'v')]
#[case::audio_alone(json!({"format": "mp4", "vcodec": "none", "acodec": "copy"}), 'a')]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_is_copied_and_the_other_is_not(#[case] template: Value, #[case] kind: char) {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip("a.mkv", H264);
    let output = bench.must_transcode(&input, template).await;
    assert!(content(&bench, &output.main(), kind) == content(&bench, &input, kind));
}

/// A rotation by the display matrix, which only MP4 can say, and a variable frame rate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mp4_keeps_the_matrix_and_uneven_times() {
    let Some(bench) = Bench::find().await else { return };
    let upright = bench.clip(
        "upright.mp4",
        "-f lavfi -i testsrc2=s=256x144:r=30:d=12 -vf select='not(mod(n,7))+not(mod(n,3))' -fps_mode vfr \
         -c:v libx264 -preset veryfast -pix_fmt yuv420p",
    );
    let turned = bench.clip("turned.mp4", &format!("-display_rotation 90 -i {} -c copy", upright.display()));
    let template = json!({"format": "mp4", "vcodec": "copy"});
    let output = bench.must_transcode(&turned, template).await;
    assert_eq!(content(&bench, &output.main(), 'v'), content(&bench, &turned, 'v'));
    let report = bench.report(&[&output.main()], "-frames:v 1 -f null");
    assert!(report.contains("rotation of 90.00 degrees"), "{report}");
    let error = bench.must_refuse(&turned, json!({"format": "flv", "vcodec": "copy"})).await;
    assert_eq!(error.code, ErrorCode::NothingToTranscode);
}

/// AVI has no presentation times, which B-frames need.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_without_a_time_are_refused() {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip("a.avi", H264);
    let error = bench.must_refuse(&input, json!({"format": "mp4", "vcodec": "copy"})).await;
    assert_eq!(error.code, ErrorCode::NothingToTranscode, "{error}");
    assert!(error.detail.contains("another vcodec than `copy` would do"), "{error}");
}

/// A broadcast that goes from one programme to the next, each given by its audio.
#[rstest]
#[case::channels(["anullsrc=cl=5.1:r=48000:d=2 -c:a ac3", "anullsrc=cl=stereo:r=48000:d=2 -c:a ac3"], json!({"format": "hls"}))]
#[case::mono(["anullsrc=cl=mono:r=48000:d=2 -c:a aac", "anullsrc=cl=stereo:r=48000:d=2 -c:a aac"], json!({"format": "mp4"}))]
#[case::rate(["anullsrc=cl=stereo:r=44100:d=2 -c:a mp3", "anullsrc=cl=stereo:r=48000:d=2 -c:a mp3"], json!({"format": "mp4", "vcodec": "none"}))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audio_that_changes_on_the_way_is_refused(#[case] audios: [&str; 2], #[case] mut template: Value) {
    let Some(bench) = Bench::find().await else { return };
    let parts = [0, 1].map(|number| {
        let video = "-f lavfi -i testsrc2=s=256x144:r=25:d=2";
        let encoded = "-pix_fmt yuv420p -c:v libx264 -preset veryfast";
        let arguments =
            format!("{video} -f lavfi -i {} {encoded} -output_ts_offset {}", audios[number], 2 * number);
        std::fs::read(bench.clip(&format!("{number}.ts"), &arguments)).expect("readable")
    });
    let input = bench.work.path().join("joined.ts");
    std::fs::write(&input, parts.concat()).expect("written");
    template["acodec"] = json!("copy");
    let error = bench.must_refuse(&input, template).await;
    assert_eq!(error.code, ErrorCode::NothingToTranscode, "{error}");
    assert!(error.detail.contains("acodec `aac` would encode it"), "{error}");
    let out = bench.work.path().join("out");
    assert!(!out.exists(), "an output of it could be published");
}

/// Segments one after the other, as players read them; FFmpeg discards the priming of the audio as well.
#[rstest]
#[case::ts("a.mp4", H264, json!({"format": "hls", "seg_type": "ts"}))]
#[case::ts_of_ts("a.ts", H264, json!({"format": "hls", "seg_type": "ts"}))]
#[case::fmp4("a.mp4", H264, json!({"format": "hls"}))]
#[case::fmp4_of_mkv("a.mkv", H264, json!({"format": "hls", "also": "dash"}))]
#[case::dash_of_ts("a.ts", H264, json!({"format": "dash"}))]
#[case::dash_of_flv("a.flv", H264, json!({"format": "dash"}))]
#[case::h265("a.mkv", H265, json!({"format": "hls", "also": "dash"}))]
#[case::av1("a.mkv", AV1, json!({"format": "dash"}))]
#[case::av1_hls("a.mp4", AV1, json!({"format": "hls"}))]
#[case::vp9("a.webm", VP9, json!({"format": "hls", "also": "dash"}))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_have_the_frames_of_their_source(
    #[case] name: &str,
    #[case] encoded: &str,
    #[case] mut template: Value,
) {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip(name, encoded);
    for (field, value) in [("vcodec", json!("copy")), ("acodec", json!("copy")), ("seg_time", json!(3))] {
        template[field] = value;
    }
    let output = bench.must_transcode(&input, template).await;
    let video = joined(&bench, &output, &output.plan.videos[0].name);
    assert_eq!(content(&bench, &video, 'v'), content(&bench, &input, 'v'));
    let folder = output.dir.join("files").join(&output.plan.videos[0].name);
    let segments = std::fs::read_dir(folder).expect("a folder").filter_map(Result::ok);
    let segments = segments.filter(|entry| entry.file_name().to_string_lossy().starts_with("seg_")).count();
    assert_eq!(
        segments,
        if output.plan.duration > 7.0 { 3 } else { 2 },
        "every 4 s, the first key frame after 3 s and 6 s"
    );
    if let Some(listed) = i_frames(&output) {
        assert_eq!(listed.len(), key_frames(&bench, &input), "{listed:?}");
    }
}

/// The duration of each I-frame of the video, as its I-frame playlist lists them.
fn i_frames(output: &Transcoded) -> Option<Vec<String>> {
    let file = output.dir.join("files").join(&output.plan.videos[0].name).join("iframes.m3u8");
    let text = std::fs::read_to_string(file).ok()?;
    let seconds = text.lines().filter_map(|line| line.strip_prefix("#EXTINF:"));
    Some(seconds.map(|seconds| seconds.trim_end_matches(',').to_owned()).collect())
}

/// How many key frames the video of a file has.
fn key_frames(bench: &Bench, file: &Path) -> usize {
    let list = bench.bytes(file, "-map 0:v:0 -c copy -bsf:v noise=drop='not(key)' -f framecrc");
    String::from_utf8_lossy(&list).lines().filter(|line| !line.starts_with('#')).count()
}

/// Fragments have at least half a second: of key frames within that, only the first begins one.
#[rstest]
#[case::fmp4("fmp4", &["1.000", "0.800", "0.920", "0.280", "3.280", "1.720"])]
#[case::ts("ts", &["1.000", "0.200", "0.600", "0.920", "0.280", "3.280", "1.720"])]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uneven_groups_are_listed_with_their_lengths(#[case] segments: &str, #[case] listed: &[&str]) {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip(
        "a.mp4",
        "-f lavfi -i testsrc2=s=256x144:r=25:d=8 -c:v libx264 -preset veryfast -pix_fmt yuv420p -g 250 \
         -force_key_frames 1,1.2,1.8,2.7,3,6.25",
    );
    let template = json!({"format": "hls", "vcodec": "copy", "seg_type": segments, "seg_time": 3});
    let output = bench.must_transcode(&input, template).await;
    assert_eq!(i_frames(&output).expect("a playlist"), listed);
}

/// The initialization segment and the segments of a rendition as one file.
fn joined(bench: &Bench, output: &Transcoded, name: &str) -> PathBuf {
    let folder = output.dir.join("files").join(name);
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_none_or(|extension| extension != "m3u8"))
        .collect();
    // `init.mp4` goes before `seg_00001.m4s`
    names.sort();
    let file = bench.work.path().join(format!("joined_{name}"));
    let bytes: Vec<u8> = names.iter().flat_map(|name| std::fs::read(name).expect("read")).collect();
    std::fs::write(&file, bytes).expect("written");
    file
}

#[rstest]
#[case::video(json!({"format": "hls", "vcodec": "copy"}))]
#[case::audio(json!({"format": "dash", "resolution": "72p", "acodec": "copy"}))]
#[case::audio_in_ts(json!({"format": "hls", "seg_type": "ts", "resolution": "72p", "acodec": "copy"}))]
#[case::video_alone(json!({"format": "dash", "vcodec": "copy", "acodec": "none"}))]
#[case::audio_alone(json!({"format": "hls", "vcodec": "none", "acodec": "copy"}))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_of_which_one_is_copied(#[case] template: Value) {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip("a.ts", H264);
    let is_video = template["vcodec"] == "copy";
    let (name, kind) = if is_video { ("144p", 'v') } else { ("audio", 'a') };
    let output = bench.must_transcode(&input, template).await;
    let track = joined(&bench, &output, name);
    assert!(content(&bench, &track, kind) == content(&bench, &input, kind));
}

/// Segments begin with an IDR or its like; what has none where it is needed is refused before anything is encoded.
#[rstest]
#[case::open_groups(
    "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=25:open-gop=1:bframes=3",
    "is no random access point"
)]
#[case::recovery_points(
    "-c:v libx264 -preset veryfast -x264-params keyint=25:intra-refresh=1",
    "is no random access point"
)]
#[case::far("-c:v libx264 -preset veryfast -g 9999", "would last 24.0 s, more than 20 s")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_frames_that_are_no_start(#[case] encoder: &str, #[case] detail: &str) {
    let Some(bench) = Bench::find().await else { return };
    let source = "-f lavfi -i color=gray:s=128x72:r=5:d=24,noise=alls=20:allf=t -pix_fmt yuv420p";
    let input = bench.clip("a.mkv", &format!("{source} {encoder}"));
    let error = bench.must_refuse(&input, json!({"format": "hls", "vcodec": "copy"})).await;
    assert_eq!(error.code, ErrorCode::NothingToTranscode, "{error}");
    assert!(error.detail.contains(detail), "{error}");
    bench.must_transcode(&input, json!({"format": "mp4", "vcodec": "copy"})).await;
}

/// A copy would be as damaged as its source, while an encoder conceals what it can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_is_not_copied() {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip("a.mp4", H264);
    let mut bytes = std::fs::read(&input).expect("read");
    let damaged = bytes.len() / 8;
    bytes[damaged..damaged + 2000].fill(0xff);
    std::fs::write(&input, bytes).expect("written");
    let error = bench.must_refuse(&input, json!({"format": "mp4", "vcodec": "copy", "acodec": "none"})).await;
    assert_eq!(error.code, ErrorCode::InvalidInput, "{error} {}", error.log);
}

/// What has as many frames at the same times and is another video: no list of packets tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_video_is_no_copy() {
    let Some(bench) = Bench::find().await else { return };
    let (template, file) = (json!({"format": "mp4", "vcodec": "copy"}), "main.mp4");
    let encoder = "-t 2 -pix_fmt yuv420p -c:v libx264 -preset veryfast -bf 0 -x264-params cabac=0";
    let source = "-f lavfi -i testsrc2=s=256x144:r=25";
    let input = bench.clip("a.mp4", &format!("{source} {encoder}"));
    for (other, words) in [
        (format!("{source} -qp 40 {encoder}"), "has other parameter sets or headers than its source"),
        (format!("{source} -vf hflip {encoder}"), "does not have the frames of its source"),
    ] {
        let other = bench.clip("other.mp4", &other);
        let [right, wrong] = ["right", "wrong"].map(|name| bench.work.path().join(name));
        [&right, &wrong].into_iter().for_each(|work| std::fs::create_dir_all(work).expect("made"));
        let options = json!({});
        let wrong =
            bench.encode(&wrong, &other, template.clone(), options.clone(), &|_| {}).await.expect("encoded");
        let right = bench.encode(&right, &input, template.clone(), options, &|_| {}).await.expect("encoded");
        bench.verify(&right).await.expect("right");
        std::fs::copy(wrong.output.dir.join(file), right.output.dir.join(file)).expect("replaced");
        let error = bench.verify(&right).await.expect_err("another video");
        assert_eq!(error.code, ErrorCode::EncodingFailed, "{error}");
        assert!(error.detail.contains(words), "{error}");
    }
}

/// Every real clip, into every kind of output: it is copied, with its audio or with AAC, or refused before
/// anything is encoded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_clips_are_copied_or_refused() {
    let Some(bench) = Bench::find().await else { return };
    let Some(clips) = real_clips() else { return };
    let clips = std::fs::read_dir(clips).expect("the corpus").filter_map(Result::ok);
    let (never, mut copied) = (CancellationToken::new(), 0);
    for clip in clips.map(|entry| entry.path()) {
        let Ok(source) = bench.media.probe(&clip, &never).await else { continue };
        for (format, seg_type) in
            [("mp4", None), ("flv", None), ("hls", Some("ts")), ("hls", Some("fmp4")), ("dash", None)]
        {
            let plan_with = |acodec: &str| {
                let fields = json!({"template_name": "t", "format": format, "seg_type": seg_type, "vcodec": "copy", "acodec": acodec});
                let template = serde_json::from_value(fields).expect("a template");
                plan(&PlanRequest::new(&template, &source, &bench.media.settings.plan))
            };
            let Ok(plan) = plan_with("copy").or_else(|_| plan_with("aac")) else { continue };
            let verified = async {
                let (input, observer) = (MediaInput::File(&clip), RunObserver::default());
                let output = bench.media.run(&plan, input, bench.work.path(), observer, &never).await?;
                bench.media.verify(&plan, &source, &output, &never).await
            };
            match verified.await {
                Ok(_) => copied += 1,
                Err(error) => assert!(
                    matches!(error.code, ErrorCode::NothingToTranscode | ErrorCode::InvalidInput),
                    "{} into {format} {seg_type:?}: {error} {}",
                    clip.display(),
                    error.log
                ),
            }
        }
    }
    assert!(copied >= 60, "{copied} copied");
}
