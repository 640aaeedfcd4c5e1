//! Time stamps: audio and video stay in sync, frames come at a constant rate, and segments begin with key frames.

use std::fs;

use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    bench::{Bench, Transcoded},
    measure::ProbedPacket,
};

/// Whether frames follow each other at a constant interval in seconds, to the resolution of the container's timescale.
fn is_even(packets: &[ProbedPacket], frame: f64) -> bool {
    let mut times: Vec<f64> = packets.iter().map(|packet| packet.pts).collect();
    times.sort_by(f64::total_cmp);
    times.windows(2).all(|pair| (pair[1] - pair[0] - frame).abs() < 0.0015)
}

/// The seconds at which bright frames begin.
fn find_flashes(bench: &Bench, output: &Transcoded) -> Vec<f64> {
    let frame = 1.0 / output.plan.videos[0].frame_rate.as_f64();
    let lumas = bench.lumas(&output.main());
    let mut flashes: Vec<f64> = Vec::new();
    for (number, _) in lumas.iter().enumerate().filter(|(_, luma)| **luma > 120.0) {
        let now = number as f64 * frame;
        if flashes.last().is_none_or(|last| now - last > 0.5) {
            flashes.push(now);
        }
    }
    flashes
}

#[rstest]
#[case::mp4(json!({"format": "mp4"}))]
#[case::hls(json!({"format": "hls", "seg_time": 2}))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_of_30_then_15_then_30(#[case] template: Value) {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip(
        "a.mkv",
        "-f lavfi -i color=black:s=64x64:r=30:d=6,geq=lum='if(between(T,0.99,1.01)+between(T,4.99,5.01),235,16)':\
         cb=128:cr=128,select='not(between(t,2,4)*mod(n,2))' \
         -f lavfi -i aevalsrc='if(between(t,1,1.1)+between(t,5,5.1),sin(880*PI*t),0)':s=48000:d=6 \
         -fps_mode vfr -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac",
    );
    let output = bench.must_transcode(&input, template).await;
    let (flashes, beeps) = (find_flashes(&bench, &output), bench.onsets(&output.main()));
    let [flash, beep] = [&flashes, &beeps].map(|times| *times.last().expect("one"));
    assert_eq!((flashes.len(), beeps.len()), (2, 2), "{flashes:?} {beeps:?}");
    assert!((flash - beep).abs() <= 1.0 / 30.0, "{flash} {beep}");
    assert!((flash - 5.0).abs() <= 1.0 / 30.0, "{flash}");
    assert!(is_even(&bench.packets(&output.main(), "v:0"), 1.0 / 30.0));
}

/// Outputs begin with their first frame, so that only the distance of flash and beep tells of the input's offset.
#[rstest]
#[case::negative("-output_ts_offset -0.5 -avoid_negative_ts disabled", "a.mkv")]
#[case::late("-output_ts_offset 0.083", "a.mkv")]
#[case::late_by_edit_list("-output_ts_offset 0.083", "a.mp4")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_time_stamp_that_is_not_0(#[case] offset: &str, #[case] name: &str) {
    let Some(mut bench) = Bench::find().await else { return };
    // unlike `ultrafast` it has B-frames
    bench.media.settings.plan.x264_preset = "veryfast".to_owned();
    let plain = bench.clip(
        "plain.mp4",
        "-f lavfi -i testsrc2=s=64x64:r=25:d=4,lutyuv=y=val/4,geq=lum='if(between(T,1.99,2.01),235,lum(X,Y))':\
         cb=128:cr=128 -f lavfi -i aevalsrc='if(between(t,2,2.1),sin(880*PI*t),0)':s=48000:d=4 \
         -c:v libx264 -bf 3 -g 25 -pix_fmt yuv420p -c:a aac",
    );
    let input = bench.clip(name, &format!("-i {} -c copy {offset}", plain.display()));
    for kind in ["ts", "fmp4"] {
        let template = json!({"format": "hls", "seg_type": kind, "seg_time": 1});
        let output = bench.must_transcode(&input, template).await;
        let (flashes, beeps) = (find_flashes(&bench, &output), bench.onsets(&output.main()));
        assert_eq!((flashes.len(), beeps.len()), (1, 1), "{flashes:?} {beeps:?}");
        assert!((flashes[0] - beeps[0]).abs() <= 0.04, "{flashes:?} {beeps:?}");
        for (stream, rendition) in [("v:0", "64p"), ("a:0", "audio")] {
            check_segments(&bench, &output, rendition, stream);
        }
    }
}

/// Priming: audio encoders put silence before 0, which is decoded and discarded. It must move neither the audio nor the
/// video.
#[rstest]
#[case::aac("a.mkv", "-c:a aac", 0.0)]
#[case::opus("a.mkv", "-c:a libopus", 0.0)]
#[case::mp3("a.mkv", "-c:a libmp3lame", 0.0)]
#[case::aac_by_edit_list("a.mp4", "-c:a aac", 0.0)]
#[case::opus_by_edit_list("a.mp4", "-c:a libopus", 0.0)]
#[case::mp3_by_edit_list("a.mp4", "-c:a libmp3lame", 0.0)]
#[case::video_later("a.mkv", "-c:a aac", 0.2)]
#[case::video_later_by_edit_list("a.mp4", "-c:a aac", 0.2)]
#[case::audio_later("a.mkv", "-c:a aac", -0.2)]
#[case::audio_later_by_edit_list("a.mp4", "-c:a aac", -0.2)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audio_that_is_decoded_before_0(#[case] name: &str, #[case] encoded: &str, #[case] later: f64) {
    let Some(bench) = Bench::find().await else { return };
    let (video_start, audio_start) = (f64::max(later, 0.0), f64::max(-later, 0.0));
    let input = bench.clip(
        name,
        &format!(
            "-itsoffset {video_start} -f lavfi -i color=black:s=64x64:r=25:d=4,geq=lum='if(between(T,1.99,2.01),235,16)':\
             cb=128:cr=128 -itsoffset {audio_start} -f lavfi -i aevalsrc='if(between(t,2,2.1),sin(880*PI*t),0)':s=48000:d=4 \
             -c:v libx264 -preset ultrafast -pix_fmt yuv420p {encoded}"
        ),
    );
    let never = tokio_util::sync::CancellationToken::new();
    let source = bench.media.probe(&input, &never).await.expect("media");
    let starts = [source.video.expect("a video stream").start, source.audios[0].start];
    // to the millisecond, but for an audio frame of priming
    assert!((starts[0] - video_start).abs() < 0.002 && (starts[1] - audio_start).abs() < 0.026, "{starts:?}");
    for template in [json!({"format": "mp4"}), json!({"format": "hls", "seg_type": "fmp4", "seg_time": 1})] {
        let output = bench.must_transcode(&input, template).await;
        let (flashes, beeps) = (find_flashes(&bench, &output), bench.onsets(&output.main()));
        let [flash, beep] = [&flashes, &beeps].map(|times| *times.first().expect("one"));
        assert!((flash - 2.0 - video_start).abs() < 0.001, "{flash}");
        assert!((beep - 2.0 - audio_start).abs() < 0.012, "{beep}");
        let frames = 100 + (25.0 * later.abs()).round() as usize;
        assert!(
            bench.lumas(&output.main()).len().abs_diff(frames) <= 1,
            "{}",
            bench.lumas(&output.main()).len()
        );
    }
}

/// The video begins after the audio, which is stereo before flash and beep, and mono with them.
#[rstest]
#[case::mp4(json!({"format": "mp4"}))]
#[case::hls(json!({"format": "hls", "seg_time": 1}))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audio_that_changes_and_begins_first(#[case] template: Value) {
    let Some(bench) = Bench::find().await else { return };
    let encoded = "-pix_fmt yuv420p -c:v libx264 -preset ultrafast -c:a ac3";
    let first = format!(
        "-itsoffset 0.4 -f lavfi -i color=black:s=64x64:r=25:d=1.6 -f lavfi -i aevalsrc=0|0:s=48000:d=2 {encoded}"
    );
    let second = format!(
        "-f lavfi -i color=black:s=64x64:r=25:d=2,geq=lum='if(between(T,0.99,1.01),235,16)':cb=128:cr=128 \
         -f lavfi -i aevalsrc='if(between(t,1,1.1),sin(880*PI*t),0)':s=48000:d=2 {encoded} -output_ts_offset 2"
    );
    let parts = [bench.clip("first.ts", &first), bench.clip("second.ts", &second)];
    let input = bench.work.path().join("joined.ts");
    fs::write(&input, parts.map(|part| fs::read(part).expect("readable")).concat()).expect("written");
    let output = bench.must_transcode(&input, template).await;
    let (flashes, beeps) = (find_flashes(&bench, &output), bench.onsets(&output.main()));
    assert_eq!((flashes.len(), beeps.len()), (1, 1), "{flashes:?} {beeps:?}");
    assert!((flashes[0] - 3.0).abs() <= 0.04 && (beeps[0] - 3.0).abs() <= 0.04, "{flashes:?} {beeps:?}");
}

/// A stream copy begins with a key frame; an edit list hides what is before the cut.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_cut_between_key_frames() {
    let Some(bench) = Bench::find().await else { return };
    let plain = bench.clip(
        "plain.mp4",
        "-f lavfi -i color=black:s=64x64:r=25:d=4,geq=lum='if(between(T,1.99,2.01),235,16)':cb=128:cr=128 \
         -f lavfi -i aevalsrc='if(between(t,2,2.1),sin(880*PI*t),0)':s=48000:d=4 -c:v libx264 -bf 3 -g 50 \
         -pix_fmt yuv420p -c:a aac",
    );
    let input = bench.clip("a.mp4", &format!("-ss 0.6 -i {} -c copy", plain.display()));
    let output = bench.must_transcode(&input, json!({"format": "mp4"})).await;
    let (flashes, beeps) = (find_flashes(&bench, &output), bench.onsets(&output.main()));
    assert!((flashes[0] - 1.4).abs() < 0.001 && (beeps[0] - 1.4).abs() < 0.025, "{flashes:?} {beeps:?}");
}

/// No segment comes twice, no decoding time is negative, and decoding times grow.
fn check_segments(bench: &Bench, output: &Transcoded, rendition: &str, stream: &str) {
    let playlist = output.playlist(rendition);
    let mut contents: Vec<Vec<u8>> = playlist.paths().map(|path| fs::read(path).expect("readable")).collect();
    let count = contents.len();
    contents.sort();
    contents.dedup();
    assert_eq!(contents.len(), count, "{rendition}");
    let packets = bench.packets(&playlist.whole(), stream);
    // the decoding time in a `tfdt` is unsigned, and FFmpeg counts from the first presentation time
    let counts_from_pts =
        output.plan.segmenting.is_some_and(|segmenting| segmenting.segment_type == model::SegmentType::Fmp4);
    assert!(counts_from_pts || packets[0].dts >= 0.0, "{:?}", packets[0]);
    assert!(packets.windows(2).all(|pair| pair[0].dts < pair[1].dts), "{packets:?}");
    if stream == "v:0" {
        assert!(packets.iter().any(|packet| packet.pts > packet.dts + 0.03), "no B-frames");
        assert!(is_even(&packets, 0.04), "{packets:?}");
    }
}

#[rstest]
#[case::ts("ts")]
#[case::fmp4("fmp4")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sparse_keyframes_and_segments_of_8_seconds(#[case] kind: &str) {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip(
        "a.mp4",
        "-f lavfi -i testsrc2=s=64x64:r=10:d=20 -c:v libx264 -preset ultrafast -g 1000 -keyint_min 1000 -pix_fmt yuv420p",
    );
    let template = json!({"format": "hls", "seg_type": kind, "seg_time": 8});
    let output = bench.must_transcode(&input, template).await;
    let playlist = output.playlist("64p");
    let lengths: Vec<f64> = playlist.segments.iter().map(|(_, seconds)| *seconds).collect();
    assert_eq!(lengths.len(), 3);
    assert!(lengths.iter().all(|seconds| seconds.round() <= playlist.target_duration as f64), "{lengths:?}");
    assert_eq!(playlist.target_duration, 8);
    for (number, path) in playlist.paths().enumerate() {
        let single = playlist.joined([path]);
        assert!(bench.packets(&single, "v:0")[0].is_key, "{number}");
        let frames = if number < 2 { 80 } else { 40 };
        assert_eq!(bench.lumas(&single).len(), frames, "{number}");
    }
}

/// The luma of a frame is its number.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_of_50_under_a_cap_of_30() {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip(
        "a.mp4",
        "-f lavfi -i color=black:s=64x64:r=50:d=2,geq=lum='16+2*N':cb=128:cr=128 -c:v libx264 -preset ultrafast \
         -qp 1 -pix_fmt yuv420p",
    );
    let streams = json!([{"resolution": "64p", "framerate": 30, "quality": 10}]);
    let template = json!({"format": "hls", "seg_time": 1, "adaptive_streams": streams});
    let output = bench.must_transcode(&input, template).await;
    let master = output.text("main.m3u8");
    assert!(master.contains("FRAME-RATE=25.000"), "{master}");
    assert!(is_even(&bench.packets(&output.main(), "v:0"), 0.04));
    let numbers: Vec<f64> = bench.lumas(&output.main()).iter().map(|luma| (luma - 16.0) / 2.0).collect();
    assert_eq!(numbers.len(), 50);
    assert!(numbers.windows(2).all(|pair| (pair[1] - pair[0] - 2.0).abs() < 0.9), "{numbers:?}");
}
