//! More channels than are asked for: peaks of what comes out, as it is decoded.

use std::path::Path;

use rstest::rstest;
use serde_json::{Value, json};

use crate::bench::Bench;

/// Peak and level in dB of full scale of the first sound.
fn measured(bench: &Bench, file: &Path, before: &str) -> (f64, f64) {
    let words = format!("-map 0:a:0 -af {before}astats=measure_perchannel=none -f null");
    let said = bench.report(&[file], &words);
    let value = |name: &str| {
        let (_, rest) = said.rsplit_once(name).unwrap_or_else(|| panic!("{said}"));
        rest.split_whitespace().next().and_then(|value| value.parse().ok()).expect("a number")
    };
    (value("Peak level dB:"), value("RMS level dB:"))
}

/// Six times the same sine: what two speakers get of it is 7.7 dB too high. FFmpeg adds 2 dB to any sine in AAC of
/// 64 kbit/s.
fn loud(bench: &Bench, encoded: &str) -> std::path::PathBuf {
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
    let input = loud(&bench, encoded);
    let extension = template["format"].as_str().map(|format| if format == "hls" { "m3u8" } else { format });
    let made = bench.make(&input, template.clone(), json!({})).await.expect("made");
    let main = made.dir.join("main").with_extension(extension.expect("a format"));
    let (peak, level) = measured(&bench, &main, "atrim=start=0.2:end=2.8,");
    assert!((-2.5..-0.5).contains(&peak), "{peak} dB");
    // still a sine: one that is cut off is less than 3 dB below its peak
    assert!((peak - level - 3.0).abs() < 0.7, "{peak} {level} dB");
    assert!((made.measured.duration - 3.0).abs() < 0.05, "{}", made.measured.duration);
}

/// A film's usual mixture: speech in the middle, the rest around it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usual_sound_is_as_loud_as_the_standard_mixes_it() {
    let Some(bench) = Bench::find().await else { return };
    let noise = |level: f64, seed: u32| format!("{level}*(2*random({seed})-1)");
    let speech = "0.4*sin(440*PI*t)*abs(sin(8*PI*t))";
    let all = [&noise(0.1, 0), &noise(0.1, 1), speech, &noise(0.5, 2), &noise(0.05, 3), &noise(0.05, 4)];
    let all = all.join("|");
    let input = bench.clip("a.mkv", &format!("-f lavfi -i aevalsrc={all}:c=5.1:s=48000:d=3 -c:a pcm_f32le"));
    // ITU-R BS.775-3, table 2
    let standard = "pan=stereo|c0=c0+0.7071*c2+0.7071*c4|c1=c1+0.7071*c2+0.7071*c5,";
    let (_, wanted) = measured(&bench, &input, standard);
    let made =
        bench.make(&input, json!({"format": "mp4", "audio_bitrate": 256}), json!({})).await.expect("made");
    let (peak, level) = measured(&bench, &made.dir.join("main.mp4"), "");
    assert!(peak < 0.0 && (level - wanted).abs() < 0.2, "{peak} {level} dB instead of {wanted} dB");
}
