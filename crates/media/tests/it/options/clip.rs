//! A clip of an input (`start`, `duration`): cut at a frame, and audio and video stay in sync.

use std::path::{Path, PathBuf};

use model::ErrorCode;
use rstest::rstest;
use serde_json::{Value, json};

use crate::bench::Bench;

/// Twelve seconds; the luma of a frame is its number, and from 7 s on there is a tone of a second.
fn numbered_frames(bench: &Bench, name: &str) -> PathBuf {
    bench.clip(
        name,
        "-f lavfi -i color=black:s=64x64:r=20:d=12,geq=lum='16+N/2':cb=128:cr=128 \
         -f lavfi -i sine=440:r=48000:d=12,volume='10*between(t,7,8)':eval=frame \
         -c:v libx264 -qp 1 -g 50 -pix_fmt yuv420p -c:a aac -b:a 128k",
    )
}

/// The numbers of the first and the last frame of a file, and how many there are.
fn frames(bench: &Bench, file: &Path) -> (u32, u32, usize) {
    let lumas = bench.bytes(file, "-map 0:v:0 -vf extractplanes=y -f rawvideo");
    let number = |frame: &[u8]| {
        let mean = frame.iter().map(|luma| f64::from(*luma)).sum::<f64>() / frame.len() as f64;
        ((mean - 16.0) * 2.0).round() as u32
    };
    let frames: Vec<_> = lumas.chunks_exact(64 * 64).map(number).collect();
    (frames[0], frames[frames.len() - 1], frames.len())
}

/// The second at which the tone begins.
fn onset(bench: &Bench, file: &Path) -> f64 {
    let samples = bench.bytes(file, "-map 0:a:0 -ac 1 -ar 48000 -f s16le");
    let loud = |pair: &[u8]| i16::from_le_bytes([pair[0], pair[1]]).unsigned_abs() > 1500;
    samples.chunks_exact(2).position(loud).expect("a tone") as f64 / 48_000.0
}

#[rstest]
#[case::index("a.mp4", json!({"format": "mp4"}))]
#[case::no_index("a.ts", json!({"format": "mp4"}))]
#[case::steps("a.mkv", json!({"format": "mp4"}))]
#[case::segments("a.mp4", json!({"format": "hls", "seg_time": 1}))]
#[case::fragments("a.mp4", json!({"format": "hls", "seg_time": 1, "seg_type": "fmp4"}))]
#[case::flv("a.mp4", json!({"format": "flv"}))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_piece_begins_and_ends_at_its_frames(#[case] name: &str, #[case] template: Value) {
    let Some(bench) = Bench::find().await else { return };
    let input = numbered_frames(&bench, name);
    let output =
        bench.must_transcode_with(&input, template.clone(), json!({"start": 6.3, "duration": 2.5})).await;
    let (first, last, count) = frames(&bench, &output.main());
    assert!((126..=127).contains(&first) && (174..=176).contains(&last), "{first} to {last}");
    assert_eq!(count, 50);
    let onset = onset(&bench, &output.main());
    // within a video frame: where the audio of a file begins first, FFmpeg counts from there
    assert!((onset - 0.7).abs() < 0.05, "{onset}");
    assert!((output.measured.duration - 2.5).abs() < 0.05, "{}", output.measured.duration);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_piece_ends_with_its_input() {
    let Some(bench) = Bench::find().await else { return };
    let input = numbered_frames(&bench, "a.mp4");
    let mp4 = json!({"format": "mp4"});
    let last = bench.must_transcode_with(&input, mp4.clone(), json!({"start": 11, "duration": 60})).await;
    assert!((last.measured.duration - 1.0).abs() < 0.05);
    let first = bench.must_transcode_with(&input, mp4.clone(), json!({"duration": 0.2})).await;
    assert_eq!(frames(&bench, &first.dir.join("main.mp4")).2, 4);
    let beyond = bench.transcode(&input, mp4, json!({"start": 12.5})).await.expect_err("beyond");
    assert_eq!(beyond.code, ErrorCode::NothingToTranscode);
    assert!(
        beyond.detail.starts_with("extra_options.start is 12.5 s, and the duration of the input 12"),
        "{beyond}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lies_outside_the_piece_is_not_in_it() {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip(
        "a.mp4",
        "-f lavfi -i color=black:s=64x64:r=20:d=6 -f lavfi -i sine=440:d=2 -c:v libx264 -pix_fmt yuv420p -c:a aac",
    );
    let output = bench.must_transcode_with(&input, json!({"format": "hls"}), json!({"start": 3})).await;
    assert_eq!((output.plan.audios.len(), output.measured.audio_samplerate), (0, 0));
    assert!((output.measured.duration - 3.0).abs() < 0.05, "{}", output.measured.duration);
}
