//! Loudness by EBU R 128, measured in what comes out.

use std::path::Path;

use rstest::rstest;
use serde_json::json;

use crate::bench::Bench;

/// Integrated loudness in LUFS and true peak in dBTP.
fn loudness_and_peak(bench: &Bench, file: &Path) -> (f64, f64) {
    let report = bench.report(&[file], "-map 0:a -af ebur128=peak=true:framelog=quiet -f null");
    let value = |name: &str| {
        let (_, rest) = report.rsplit_once(name).unwrap_or_else(|| panic!("{report}"));
        rest.split_whitespace().next().and_then(|value| value.parse().ok()).expect("a number")
    };
    (value("I:"), value("Peak:"))
}

#[rstest]
#[case::loud("aevalsrc='0.9*sin(880*PI*t)|0.9*sin(660*PI*t)':s=48000:d=6", "mp4")]
#[case::quiet("anoisesrc=c=pink:a=0.02:s=44100:d=6", "mp4")]
#[case::quiet_with_clicks(
    "aevalsrc='0.02*sin(880*PI*t)+0.5*lt(mod(t,1),0.001)*sin(6000*PI*t)':s=48000:d=8",
    "hls"
)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_comes_out_as_loud_as_it_should(#[case] graph: &str, #[case] format: &str) {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip("a.mkv", &format!("-f lavfi -i {graph} -c:a flac"));
    let template = json!({"format": format, "loudness": "ebu-r128"});
    let output = bench.must_transcode(&input, template).await;
    let main = if format == "hls" { "files/audio/playlist.m3u8" } else { "main.mp4" };
    let (integrated, peak) = loudness_and_peak(&bench, &output.dir.join(main));
    assert!((integrated + 23.0).abs() < 1.0, "{integrated} LUFS");
    assert!(peak <= -1.0, "{peak} dBTP");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_stays_silent() {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip("a.mkv", "-f lavfi -i anullsrc=d=2 -c:a flac");
    let template = json!({"format": "mp4", "loudness": "ebu-r128"});
    let output = bench.must_transcode(&input, template).await;
    assert!(loudness_and_peak(&bench, &output.dir.join("main.mp4")).0 <= -69.0);
}
