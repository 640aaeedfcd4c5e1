//! The right sound is heard, at the right time, by every player; and none is promised where none is.

use std::path::Path;

use rstest::rstest;
use serde_json::{Value, json};

use crate::bench::Bench;

fn kinds(bench: &Bench, file: &Path) -> Vec<String> {
    let kind = |stream: &Value| stream["codec_type"].as_str().unwrap_or_default().to_owned();
    bench.streams(file).iter().map(kind).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_audio() {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip("a.mp4", "-f lavfi -i testsrc2=s=64x64:r=10:d=1 -pix_fmt yuv420p -c:v libx264");
    let made = bench.make(&input, json!({"format": "mp4"}), json!({})).await.expect("made");
    assert_eq!(kinds(&bench, &made.main()), ["video"]);
    let made = bench.make(&input, json!({"format": "hls", "also": "dash"}), json!({})).await.expect("made");
    let master = made.text("main.m3u8");
    assert!(!master.contains("AUDIO") && !master.contains("mp4a"), "{master}");
    let manifest = made.text("files/manifest.mpd");
    assert!(!manifest.contains("audio") && !manifest.contains("mp4a"), "{manifest}");
}

#[rstest]
#[case::mp4(json!({"format": "mp4"}))]
#[case::hls(json!({"format": "hls"}))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_with_cover_art(#[case] template: Value) {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip(
        "a.m4a",
        "-f lavfi -i sine=d=2 -f lavfi -i testsrc2=s=300x300:d=0.04:r=25 -map 0 -map 1 -c:a aac -c:v mjpeg \
         -frames:v 1 -disposition:v attached_pic",
    );
    assert_eq!(kinds(&bench, &input), ["audio", "video"]);
    let made = bench.make(&input, template, json!({})).await.expect("made");
    // a playlist names its sound twice
    assert!(kinds(&bench, &made.main()).iter().all(|kind| kind == "audio"));
}

/// AC-4, which nothing here decodes, in place of the first of two tracks.
#[rstest]
#[case::mp4(json!({"format": "mp4"}))]
#[case::hls(json!({"format": "hls"}))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_track_that_cannot_be_decoded(#[case] template: Value) {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip(
        "a.mp4",
        "-f lavfi -i testsrc2=s=64x64:r=10:d=2 -f lavfi -i sine=440:d=2 -f lavfi -i sine=1000:d=2 -map 0 -map 1 -map 2 \
         -pix_fmt yuv420p -c:v libx264 -c:a aac -disposition:a:0 default",
    );
    let mut bytes = std::fs::read(&input).expect("readable");
    // what FFmpeg believes is the descriptor, if there is one
    for (name, instead) in [(b"mp4a", b"ac-4"), (b"esds", b"free")] {
        let first = bytes.windows(4).position(|found| found == name).expect("a sound");
        bytes[first..first + 4].copy_from_slice(instead);
    }
    std::fs::write(&input, bytes).expect("written");
    let made = bench.make(&input, template, json!({})).await.expect("made");
    assert_eq!(made.plan.audios.len(), 1);
    let level = bench.reported(&[&made.main()], "-map 0:a:0 -af astats -f null", "RMS level dB:");
    assert!(level > -30.0, "{level} dB");
    let crossings = bench.reported(&[&made.main()], "-map 0:a:0 -af astats -f null", "Zero crossings rate:");
    assert!((crossings * 48_000.0 / 2.0 - 1000.0).abs() < 50.0, "{crossings}");
}

/// FFmpeg's own encoder writes no AAC with side speakers; what it decodes of AC-3 has the same layout.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_channels_with_side_speakers() {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip(
        "a.mkv",
        "-f lavfi -i testsrc2=s=64x64:r=10:d=1 -f lavfi -i anoisesrc=a=0.1:d=1 -af aformat=channel_layouts=mono,\
         pan=5.1(side)|c0=c0|c1=c0|c2=c0|c3=c0|c4=c0|c5=c0 -pix_fmt yuv420p -c:v libx264 -c:a ac3",
    );
    assert_eq!(bench.streams(&input)[1]["channel_layout"], "5.1(side)");
    for (wanted, layout) in [(6, "5.1"), (2, "stereo")] {
        let template = json!({"format": "hls", "audio_channels": wanted});
        let made = bench.make(&input, template, json!({})).await.expect("made");
        let master = made.text("main.m3u8");
        assert!(master.contains(&format!("CHANNELS=\"{wanted}\"")), "{master}");
        let playlist = made.dir.join("files/audio/playlist.m3u8");
        assert_eq!(bench.streams(&playlist)[0]["channel_layout"], layout);
        // ISO/IEC 14496-3, 1.A.2.2: the configuration's three bits lie across the third and fourth byte
        let adts = bench.bytes(&playlist, "-map 0:a -c copy -f adts");
        assert_eq!(usize::from((adts[2] & 1) << 2 | adts[3] >> 6), wanted);
    }
}

#[rstest]
#[case::mp4(json!({"format": "mp4"}))]
#[case::ts(json!({"format": "hls"}))]
#[case::fmp4(json!({"format": "hls", "seg_type": "fmp4"}))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audio_that_starts_24_s_late(#[case] template: Value) {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip(
        "a.mkv",
        "-f lavfi -i testsrc2=s=64x64:r=5:d=27 -itsoffset 24 -f lavfi -i sine=r=16000:d=3 -pix_fmt yuv420p \
         -c:v libx264 -preset ultrafast -c:a aac",
    );
    let made = bench.make(&input, template, json!({})).await.expect("made");
    let heard = "-map 0:a:0 -af aresample=async=1:first_pts=0,silencedetect=n=-40dB:d=1 -f null";
    let begins = bench.reported(&[&made.main()], heard, "silence_end:");
    assert!((begins - 24.0).abs() < 0.05, "{begins}");
    if made.plan.segmenting.is_some() {
        let playlist = made.playlist("audio");
        assert!(playlist.segments.iter().all(|(_, seconds)| *seconds > 1.0));
        let packets = bench.packets(&playlist.whole(), "a:0");
        let shown = bench.packets(&made.playlist("64p").whole(), "v:0");
        assert!((packets[0].shown - shown[0].shown).abs() < 0.05, "{:?} {:?}", packets[0], shown[0]);
    }
}
