//! The right audio comes out, in sync, in a layout that every player knows; and none is listed where there is none.

use std::path::Path;

use rstest::rstest;
use serde_json::{Value, json};

use crate::{bench::Bench, regressions::shape::join_broadcasts};

fn kinds(bench: &Bench, file: &Path) -> Vec<String> {
    let kind = |stream: &Value| stream["codec_type"].as_str().unwrap_or_default().to_owned();
    bench.streams(file).iter().map(kind).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_audio() {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip("a.mp4", "-f lavfi -i testsrc2=s=64x64:r=10:d=1 -pix_fmt yuv420p -c:v libx264");
    let output = bench.must_transcode(&input, json!({"format": "mp4"})).await;
    assert_eq!(kinds(&bench, &output.main()), ["video"]);
    let output = bench.must_transcode(&input, json!({"format": "hls", "also": "dash"})).await;
    let master = output.text("main.m3u8");
    assert!(!master.contains("AUDIO") && !master.contains("mp4a"), "{master}");
    let manifest = output.text("files/manifest.mpd");
    assert!(!manifest.contains("audio") && !manifest.contains("mp4a"), "{manifest}");
}

#[rstest]
#[case::mp4(json!({"format": "mp4"}))]
#[case::hls(json!({"format": "hls"}))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audio_with_cover_art(#[case] template: Value) {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip(
        "a.m4a",
        "-f lavfi -i sine=d=2 -f lavfi -i testsrc2=s=300x300:d=0.04:r=25 -map 0 -map 1 -c:a aac -c:v mjpeg \
         -frames:v 1 -disposition:v attached_pic",
    );
    assert_eq!(kinds(&bench, &input), ["audio", "video"]);
    let output = bench.must_transcode(&input, template).await;
    // ffprobe finds the audio of a main playlist twice: as a variant and as a rendition
    assert!(kinds(&bench, &output.main()).iter().all(|kind| kind == "audio"));
}

/// The first of two tracks is AC-4, which FFmpeg does not decode.
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
    // FFmpeg takes the codec from the `esds`, where there is one
    for (name, instead) in [(b"mp4a", b"ac-4"), (b"esds", b"free")] {
        let first = bytes.windows(4).position(|found| found == name).expect("a sample entry");
        bytes[first..first + 4].copy_from_slice(instead);
    }
    std::fs::write(&input, bytes).expect("written");
    let output = bench.must_transcode(&input, template).await;
    assert_eq!(output.plan.audios.len(), 1);
    let level = bench.reported(&[&output.main()], "-map 0:a:0 -af astats -f null", "RMS level dB:");
    assert!(level > -30.0, "{level} dB");
    let crossings =
        bench.reported(&[&output.main()], "-map 0:a:0 -af astats -f null", "Zero crossings rate:");
    assert!((crossings * 48_000.0 / 2.0 - 1000.0).abs() < 50.0, "{crossings}");
}

/// In AC-3, since FFmpeg's encoder writes no AAC with side speakers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_channels_with_side_speakers() {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip(
        "a.mkv",
        "-f lavfi -i testsrc2=s=64x64:r=10:d=1 -f lavfi -i anoisesrc=a=0.1:d=1 -af aformat=channel_layouts=mono,\
         pan=5.1(side)|c0=c0|c1=c0|c2=c0|c3=c0|c4=c0|c5=c0 -pix_fmt yuv420p -c:v libx264 -c:a ac3",
    );
    assert_eq!(bench.streams(&input)[1]["channel_layout"], "5.1(side)");
    for (channels, layout) in [(6, "5.1"), (2, "stereo")] {
        let template = json!({"format": "hls", "audio_channels": channels});
        let output = bench.must_transcode(&input, template).await;
        let master = output.text("main.m3u8");
        assert!(master.contains(&format!("CHANNELS=\"{channels}\"")), "{master}");
        let playlist = output.dir.join("files/audio/playlist.m3u8");
        assert_eq!(bench.streams(&playlist)[0]["channel_layout"], layout);
        // ISO/IEC 14496-3, 1.A.2.2: channel_configuration has three bits, across the third and the fourth byte
        let adts = bench.bytes(&playlist, "-map 0:a -c copy -f adts");
        assert_eq!(usize::from((adts[2] & 1) << 2 | adts[3] >> 6), channels);
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
    let output = bench.must_transcode(&input, template).await;
    let detected = "-map 0:a:0 -af aresample=async=1:first_pts=0,silencedetect=n=-40dB:d=1 -f null";
    let begins = bench.reported(&[&output.main()], detected, "silence_end:");
    assert!((begins - 24.0).abs() < 0.05, "{begins}");
    if output.plan.segmenting.is_some() {
        let playlist = output.playlist("audio");
        assert!(playlist.segments.iter().all(|(_, seconds)| *seconds > 1.0));
        let audio = bench.packets(&playlist.whole(), "a:0");
        let video = bench.packets(&output.playlist("64p").whole(), "v:0");
        assert!((audio[0].pts - video[0].pts).abs() < 0.05, "{:?} {:?}", audio[0], video[0]);
    }
}

/// A sine of a tenth of full scale at so many Hz in the front channels, by its layout and FFmpeg's encoder arguments.
fn tone(hertz: u32, layout: &str, encoded: &str) -> String {
    let one = format!("0.1*sin({}*PI*t)", 2 * hertz);
    let all = match layout {
        "5.1" => format!("{one}|{one}|0|0|0|0"),
        "stereo" => format!("{one}|{one}"),
        _ => one,
    };
    format!("aevalsrc={all}:c={layout}:s=48000:d=2 {encoded}")
}

/// RMS level in dB and frequency in Hz of the left channel, between two seconds.
fn level_and_frequency(bench: &Bench, file: &Path, from: f64, to: f64) -> (f64, f64) {
    let arguments = format!("-map 0:a:0 -af atrim={from}:{to},pan=mono|c0=c0,astats -f null");
    let reported = |name: &str| bench.reported(&[file], &arguments, name);
    (reported("RMS level dB:"), reported("Zero crossings rate:") * 48_000.0 / 2.0)
}

/// A sine is 3 dB below its peak; of mono that becomes stereo, each channel has half the power.
#[rstest]
#[case::aac(("stereo", "-c:a aac"), ("5.1", "-c:a aac -b:a 384k"), json!({"format": "mp4"}), [-23.0, -23.0])]
#[case::hls(("5.1", "-c:a aac"), ("stereo", "-c:a aac"), json!({"format": "hls", "seg_time": 1}), [-23.0, -23.0])]
#[case::ac3(("5.1", "-c:a ac3"), ("stereo", "-c:a ac3"), json!({"format": "dash", "seg_time": 1}), [-23.0, -23.0])]
#[case::six(("stereo", "-c:a ac3"), ("5.1", "-c:a ac3"), json!({"format": "mp4", "audio_channels": 6}), [-23.0, -23.0])]
#[case::rate(("mono", "-c:a mp2 -ar 44100"), ("stereo", "-c:a mp2"), json!({"format": "flv"}), [-26.0, -23.0])]
#[case::loudness(("stereo", "-c:a aac"), ("5.1", "-c:a aac"), json!({"format": "mp4", "loudness": "ebu-r128"}), [-26.0, -26.0])]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audio_whose_channels_change_on_the_way(
    #[case] (first, first_encoded): (&str, &str),
    #[case] (second, second_encoded): (&str, &str),
    #[case] template: Value,
    #[case] levels: [f64; 2],
) {
    let Some(bench) = Bench::find().await else { return };
    let tones = [tone(440, first, first_encoded), tone(1000, second, second_encoded)];
    let input = join_broadcasts(&bench, [("s=64x64", &tones[0]), ("s=64x64", &tones[1])]);
    let output = bench.must_transcode(&input, template.clone()).await;
    assert!((output.measured.duration - 4.0).abs() < 0.1, "{}", output.measured.duration);
    let file = match template["format"].as_str() {
        Some("dash") => join_audio(&output.dir),
        _ => output.main(),
    };
    let halves = [level_and_frequency(&bench, &file, 0.2, 1.9), level_and_frequency(&bench, &file, 2.2, 3.9)];
    assert!((halves[0].1 - 440.0).abs() < 5.0 && (halves[1].1 - 1000.0).abs() < 10.0, "{halves:?}");
    for (half, level) in halves.iter().zip(levels) {
        assert!((half.0 - level).abs() < 1.0, "{halves:?}");
    }
    let silence = bench.report(&[&file], "-map 0:a:0 -af silencedetect=n=-40dB:d=0.1 -f null");
    assert!(!silence.contains("silence_start: 1.") && !silence.contains("silence_start: 2."), "{silence}");
    assert_eq!(output.plan.audios[0].channels, if template["audio_channels"].is_null() { 2 } else { 6 });
}

/// The segments of the audio as one file.
fn join_audio(dir: &Path) -> std::path::PathBuf {
    let folder = dir.join("files/audio");
    let mut segments: Vec<_> = std::fs::read_dir(&folder).expect("a folder").flatten().collect();
    segments.sort_by_key(std::fs::DirEntry::file_name);
    let bytes: Vec<u8> =
        segments.iter().flat_map(|segment| std::fs::read(segment.path()).expect("read")).collect();
    let file = dir.join("whole.mp4");
    std::fs::write(&file, bytes).expect("written");
    file
}
