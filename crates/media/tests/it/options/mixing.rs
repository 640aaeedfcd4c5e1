//! Downmixing: the peak and the level of what comes out, as it is decoded.

use std::path::Path;

use rstest::rstest;
use serde_json::{Value, json};

use crate::bench::Bench;

/// Peak and RMS level of the first audio stream in dBFS, after these filters.
fn peak_and_level(bench: &Bench, file: &Path, filters: &str) -> (f64, f64) {
    let arguments = format!("-map 0:a:0 -af {filters}astats=measure_perchannel=none -f null");
    let report = bench.report(&[file], &arguments);
    let value = |name: &str| {
        let (_, rest) = report.rsplit_once(name).unwrap_or_else(|| panic!("{report}"));
        rest.split_whitespace().next().and_then(|value| value.parse().ok()).expect("a number")
    };
    (value("Peak level dB:"), value("RMS level dB:"))
}

/// The same sine in six channels, of which a downmix by the standard is 7.7 dB too high. FFmpeg's encoder adds 2 dB
/// to any sine in AAC of 64 kbit/s.
fn loud_surround(bench: &Bench, encoded: &str) -> std::path::PathBuf {
    let one = "sin(880*PI*t)";
    let all = [one; 6].join("|");
    bench.clip("loud.mkv", &format!("-f lavfi -i aevalsrc={all}:c=5.1:s=48000:d=3 {encoded}"))
}

#[rstest]
#[case::aac("-c:a aac -b:a 384k", json!({"format": "mp4"}))]
#[case::pcm("-c:a pcm_s16le", json!({"format": "mp4", "acodec": "opus"}))]
#[case::mono("-c:a ac3", json!({"format": "flv", "audio_channels": 1, "audio_bitrate": 128}))]
#[case::hls("-c:a flac", json!({"format": "hls"}))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_that_add_up_are_not_clipped(#[case] encoded: &str, #[case] template: Value) {
    let Some(bench) = Bench::find().await else { return };
    let input = loud_surround(&bench, encoded);
    let output = bench.must_transcode(&input, template).await;
    let (peak, level) = peak_and_level(&bench, &output.main(), "atrim=start=0.2:end=2.8,");
    assert!((-2.5..-0.5).contains(&peak), "{peak} dB");
    // a sine is 3 dB below its peak, and a clipped one less
    assert!((peak - level - 3.0).abs() < 0.7, "{peak} {level} dB");
    assert!((output.measured.duration - 3.0).abs() < 0.05, "{}", output.measured.duration);
}

/// What films have: speech in the centre channel, the rest around it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usual_audio_is_as_loud_as_the_standard_mixes_it() {
    let Some(bench) = Bench::find().await else { return };
    let noise = |level: f64, seed: u32| format!("{level}*(2*random({seed})-1)");
    let speech = "0.4*sin(440*PI*t)*abs(sin(8*PI*t))";
    let all = [&noise(0.1, 0), &noise(0.1, 1), speech, &noise(0.5, 2), &noise(0.05, 3), &noise(0.05, 4)];
    let all = all.join("|");
    let input = bench.clip("a.mkv", &format!("-f lavfi -i aevalsrc={all}:c=5.1:s=48000:d=3 -c:a pcm_f32le"));
    // ITU-R BS.775-3, table 2
    let standard = "pan=stereo|c0=c0+0.7071*c2+0.7071*c4|c1=c1+0.7071*c2+0.7071*c5,";
    let (_, expected) = peak_and_level(&bench, &input, standard);
    let output = bench.must_transcode(&input, json!({"format": "mp4", "audio_bitrate": 256})).await;
    let (peak, level) = peak_and_level(&bench, &output.dir.join("main.mp4"), "");
    assert!(peak < 0.0 && (level - expected).abs() < 0.2, "{peak} {level} dB instead of {expected} dB");
}
