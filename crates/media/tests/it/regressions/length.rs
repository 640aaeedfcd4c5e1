//! Outputs last as long as they should, from the first segment to the last.

use std::path::Path;

use rstest::rstest;
use serde_json::{Value, json};

use crate::{bench::Bench, measure::Playlist};

/// The times at which the segments of a playlist begin, by their packets.
fn begins(bench: &Bench, playlist: &Playlist, stream: &str) -> Vec<f64> {
    let packets = bench.packets(&playlist.whole(), stream);
    let mut end = 0;
    let ends = playlist.paths().map(|path| {
        end += path.metadata().expect("a segment").len();
        end
    });
    let mut begin = 0;
    ends.map(|end| {
        let within = packets.iter().filter(|packet| (begin..end).contains(&packet.at));
        let first = within.map(|packet| packet.shown).fold(f64::INFINITY, f64::min);
        begin = end;
        first
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_an_hour_at_24000_by_1001() {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip(
        "a.mov",
        "-f lavfi -i color=s=32x32:r=24000/1001:d=1800 -f lavfi -i sine=r=8000:d=1800 -c:v mpeg4 -c:a pcm_mulaw",
    );
    let template = json!({"format": "hls", "seg_time": 3, "audio_channels": 1});
    let made = bench.make(&input, template, json!({})).await.expect("made");
    let (picture, sound) = (made.playlist("32p"), made.playlist("audio"));
    let (shown, heard) = (begins(&bench, &picture, "v:0"), begins(&bench, &sound, "a:0"));
    assert_eq!((shown.len(), heard.len()), (600, 600));
    let mut listed = shown[0];
    for (number, pair) in shown.windows(2).enumerate() {
        let (said, lasts) = (picture.segments[number].1, pair[1] - pair[0]);
        assert!((said - lasts).abs() < 0.001, "segment {number}: {said} for {lasts}");
        listed += said;
        assert!((listed - pair[1]).abs() < 0.001, "after segment {number}: {listed} for {}", pair[1]);
    }
    let apart = shown.iter().zip(&heard).map(|(shown, heard)| (shown - heard).abs());
    let furthest = apart.fold(0.0, f64::max);
    assert!(furthest <= 1024.0 / 48_000.0, "{furthest}");
}

/// How long a stream of a file or of a playlist lasts, in seconds.
fn lasts(bench: &Bench, file: &Path, stream: &str) -> f64 {
    let packets = bench.packets(file, stream);
    let first = packets.iter().map(|packet| packet.shown).fold(f64::INFINITY, f64::min);
    let end = |packet: &crate::measure::Packet| packet.shown + packet.lasts;
    packets.iter().map(end).fold(0.0, f64::max) - first
}

#[rstest]
#[case::mp4(json!({"format": "mp4"}))]
#[case::hls(json!({"format": "hls"}))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_frame_and_a_minute_of_sound(#[case] template: Value) {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip(
        "a.mp4",
        "-f lavfi -i testsrc2=s=64x64:r=25:d=0.04 -f lavfi -i sine=r=16000:d=60 -pix_fmt yuv420p -c:v libx264 -c:a aac",
    );
    let made = bench.make(&input, template, json!({})).await.expect("made");
    for stream in ["v:0", "a:0"] {
        let seconds = lasts(&bench, &made.main(), stream);
        assert!((seconds - 60.0).abs() < 0.1, "{stream}: {seconds}");
    }
    assert!(bench.lumas(&made.main()).len() >= 60);
}

#[rstest]
#[case::mp4(json!({"format": "mp4"}))]
#[case::hls(json!({"format": "hls"}))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn picture_and_sound_of_different_lengths(#[case] template: Value) {
    let Some(bench) = Bench::find().await else { return };
    for (shown, heard) in [(20, 10), (10, 20)] {
        let words = format!(
            "-f lavfi -i testsrc2=s=64x64:r=10:d={shown} -f lavfi -i sine=r=16000:d={heard} -pix_fmt yuv420p \
             -c:v libx264 -preset ultrafast -c:a aac"
        );
        let input = bench.clip("a.mp4", &words);
        let made = bench.make(&input, template.clone(), json!({})).await.expect("made");
        for stream in ["v:0", "a:0"] {
            let seconds = lasts(&bench, &made.main(), stream);
            assert!((seconds - 20.0).abs() < 0.1, "{shown} s and {heard} s, {stream}: {seconds}");
        }
    }
}
