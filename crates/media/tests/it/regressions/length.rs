//! Durations: of outputs, of each of their streams, and of every segment as it is listed.

use std::path::Path;

use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    bench::Bench,
    measure::{ProbedPacket, SegmentPlaylist},
};

/// The presentation time at which each segment of a playlist begins, by its packets.
fn segment_starts(bench: &Bench, playlist: &SegmentPlaylist, stream: &str) -> Vec<f64> {
    let packets = bench.packets(&playlist.whole(), stream);
    let mut end = 0;
    let ends = playlist.paths().map(|path| {
        end += path.metadata().expect("a segment").len();
        end
    });
    let mut begin = 0;
    ends.map(|end| {
        let within = packets.iter().filter(|packet| (begin..end).contains(&packet.pos));
        let first = within.map(|packet| packet.pts).fold(f64::INFINITY, f64::min);
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
    let output = bench.must_transcode(&input, template).await;
    let (video, audio) = (output.playlist("32p"), output.playlist("audio"));
    let video_starts = segment_starts(&bench, &video, "v:0");
    let audio_starts = segment_starts(&bench, &audio, "a:0");
    assert_eq!((video_starts.len(), audio_starts.len()), (600, 600));
    let mut listed_end = video_starts[0];
    for (number, pair) in video_starts.windows(2).enumerate() {
        let (listed, duration) = (video.segments[number].1, pair[1] - pair[0]);
        assert!((listed - duration).abs() < 0.001, "segment {number}: {listed} for {duration}");
        listed_end += listed;
        assert!((listed_end - pair[1]).abs() < 0.001, "after segment {number}: {listed_end} for {}", pair[1]);
    }
    let offsets = video_starts.iter().zip(&audio_starts).map(|(video, audio)| (video - audio).abs());
    let largest = offsets.fold(0.0, f64::max);
    // a frame of AAC
    assert!(largest <= 1024.0 / 48_000.0, "{largest}");
}

/// The duration of a stream of a file or of a playlist, in seconds.
fn duration(bench: &Bench, file: &Path, stream: &str) -> f64 {
    let packets = bench.packets(file, stream);
    let first = packets.iter().map(|packet| packet.pts).fold(f64::INFINITY, f64::min);
    let end = |packet: &ProbedPacket| packet.pts + packet.duration;
    packets.iter().map(end).fold(0.0, f64::max) - first
}

#[rstest]
#[case::mp4(json!({"format": "mp4"}))]
#[case::hls(json!({"format": "hls"}))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_frame_and_a_minute_of_audio(#[case] template: Value) {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip(
        "a.mp4",
        "-f lavfi -i testsrc2=s=64x64:r=25:d=0.04 -f lavfi -i sine=r=16000:d=60 -pix_fmt yuv420p -c:v libx264 -c:a aac",
    );
    let output = bench.must_transcode(&input, template).await;
    for stream in ["v:0", "a:0"] {
        let seconds = duration(&bench, &output.main(), stream);
        assert!((seconds - 60.0).abs() < 0.1, "{stream}: {seconds}");
    }
    assert!(bench.lumas(&output.main()).len() >= 60);
}

#[rstest]
#[case::mp4(json!({"format": "mp4"}))]
#[case::hls(json!({"format": "hls"}))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn video_and_audio_of_different_durations(#[case] template: Value) {
    let Some(bench) = Bench::find().await else { return };
    for (video, audio) in [(20, 10), (10, 20)] {
        let arguments = format!(
            "-f lavfi -i testsrc2=s=64x64:r=10:d={video} -f lavfi -i sine=r=16000:d={audio} -pix_fmt yuv420p \
             -c:v libx264 -preset ultrafast -c:a aac"
        );
        let input = bench.clip("a.mp4", &arguments);
        let output = bench.must_transcode(&input, template.clone()).await;
        for stream in ["v:0", "a:0"] {
            let seconds = duration(&bench, &output.main(), stream);
            assert!((seconds - 20.0).abs() < 0.1, "{video} s and {audio} s, {stream}: {seconds}");
        }
    }
}
