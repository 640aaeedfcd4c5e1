//! What is shown has the shape that it was taken with, in square pixels and whole frames.

use std::path::{Path, PathBuf};

use rstest::rstest;
use serde_json::{Value, json};

use crate::bench::{Bench, Made};

/// Width and height by ffprobe, which has to agree with the parameter set; no matrix, square pixels.
fn shape(bench: &Bench, file: &Path) -> (i64, i64) {
    let streams = bench.streams(file);
    let picture = streams.iter().find(|stream| stream["codec_type"] == "video").expect("a picture");
    assert!(picture["side_data_list"].is_null(), "{picture}");
    assert!(matches!(picture["sample_aspect_ratio"].as_str(), None | Some("1:1")), "{picture}");
    let shape = (picture["width"].as_i64().expect("a width"), picture["height"].as_i64().expect("a height"));
    assert_eq!(bench.coded_size(file), shape);
    shape
}

/// The RESOLUTION of each rendition and the first segment of it.
fn rungs(made: &Made) -> Vec<((i64, i64), PathBuf)> {
    let master = made.text("main.m3u8");
    let resolutions = master.lines().filter(|line| line.starts_with("#EXT-X-STREAM-INF:")).map(|line| {
        let (_, rest) = line.split_once("RESOLUTION=").expect("a resolution");
        let (width, height) = rest.split(',').next().and_then(|size| size.split_once('x')).expect("a size");
        (width.parse().expect("a number"), height.parse().expect("a number"))
    });
    let uris = master.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let first = |uri: &str| {
        let name = uri.split('/').nth(1).expect("a rendition");
        let playlist = made.playlist(name);
        playlist.joined(playlist.paths().take(1))
    };
    resolutions.zip(uris.map(first)).collect()
}

#[rstest]
#[case::mp4(json!({"format": "mp4"}))]
#[case::hls(json!({"format": "hls"}))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn landscape_pixels_with_a_matrix_of_90_degrees(#[case] template: Value) {
    let Some(bench) = Bench::find().await else { return };
    let lying =
        bench.clip("lying.mp4", "-f lavfi -i testsrc2=s=320x180:r=25:d=1 -pix_fmt yuv420p -c:v libx264");
    let words = format!("-display_rotation:v:0 90 -i {} -c copy", lying.display());
    let input = bench.clip("turned.mp4", &words);
    let made = bench.make(&input, template, json!({})).await.expect("made");
    let file = match made.plan.segmenting {
        None => made.main(),
        Some(_) => rungs(&made).remove(0).1,
    };
    assert_eq!(shape(&bench, &file), (180, 320));
    // FFmpeg turns by the matrix itself, counterclockwise
    let upright = bench.clip("upright.mkv", &format!("-i {} -vf transpose=cclock -qp 0", lying.display()));
    let likeness = bench.likeness(&file, &upright);
    assert!(likeness > 0.85, "{likeness}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_portrait_in_landscape_rungs() {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip(
        "a.mp4",
        "-f lavfi -i testsrc2=s=1080x1920:r=10:d=0.5 -pix_fmt yuv420p -c:v libx264 -preset ultrafast",
    );
    let streams = json!([{"resolution": "1280x720"}, {"resolution": "640x360"}]);
    let template = json!({"format": "hls", "adaptive_streams": streams});
    let made = bench.make(&input, template, json!({})).await.expect("made");
    let rungs = rungs(&made);
    assert_eq!(rungs.iter().map(|(said, _)| *said).collect::<Vec<_>>(), [(720, 1280), (360, 640)]);
    for (said, segment) in &rungs {
        assert_eq!(shape(&bench, segment), *said);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sides_of_1164_and_767() {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip("a.mkv", "-f lavfi -i testsrc2=s=1164x767:r=10:d=0.5 -c:v ffv1");
    for template in [json!({"format": "mp4"}), json!({"format": "mp4", "resolution": "240p"})] {
        let made = bench.make(&input, template, json!({})).await.expect("made");
        let (width, height) = shape(&bench, &made.main());
        assert_eq!((width % 2, height % 2), (0, 0));
        let aspect = width as f64 / height as f64;
        assert!((aspect / (1164.0 / 767.0) - 1.0).abs() < 0.01, "{width}x{height}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mpeg2_of_720_by_576_with_wide_pixels() {
    let Some(bench) = Bench::find().await else { return };
    let input =
        bench.clip("a.mpg", "-f lavfi -i testsrc2=s=720x576:r=25:d=1,setsar=64/45 -c:v mpeg2video -b:v 4M");
    let made = bench.make(&input, json!({"format": "mp4"}), json!({})).await.expect("made");
    assert_eq!(shape(&bench, &made.main()), (1024, 576));
}

/// The share of frames that `idet` takes for whole pictures, of those that it can tell.
fn progressive(bench: &Bench, file: &Path) -> f64 {
    let said = bench.report(&[file], "-map 0:v -vf idet -f null");
    let (_, counts) = said.rsplit_once("Multi frame detection:").expect("counts");
    let counts: Vec<&str> = counts.lines().next().unwrap_or_default().split_whitespace().collect();
    let number = |name: &str| {
        let at = counts.iter().position(|word| *word == name).expect("a count");
        counts[at + 1].parse::<f64>().expect("a number")
    };
    let progressive = number("Progressive:");
    assert!(number("Undetermined:") < 10.0, "{counts:?}");
    progressive / (progressive + number("TFF:") + number("BFF:"))
}

#[rstest]
#[case::flagged("-flags +ildct+ilme -x264opts tff=1", "tff")]
#[case::bottom_first("-flags +ildct+ilme -x264opts bff=1", "bff")]
#[case::not_flagged("", "prog")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interlaced_lines(#[case] flags: &str, #[case] mode: &str) {
    let Some(bench) = Bench::find().await else { return };
    let scan = if mode == "bff" { "lowest" } else { "tff" };
    let moving = format!(
        "-f lavfi -i testsrc2=s=720x576:r=50:d=4 -vf tinterlace=interleave_top,setfield={mode} -pix_fmt yuv420p \
         -c:v libx264 -preset ultrafast {flags}"
    );
    let moving =
        if scan == "lowest" { moving.replace("interleave_top", "interleave_bottom") } else { moving };
    let input = bench.clip("a.mp4", &moving);
    let before = progressive(&bench, &input);
    assert!(before < 0.2, "{before}");
    let made = bench.make(&input, json!({"format": "mp4"}), json!({})).await.expect("made");
    let after = progressive(&bench, &made.main());
    assert!(after >= 0.95, "{after}");
}

/// Two broadcasts one after the other, two seconds each, by the words for their pictures and sounds.
pub(crate) fn joined(bench: &Bench, broadcasts: [(&str, &str); 2]) -> PathBuf {
    let encoded = "-pix_fmt yuv420p -c:v libx264 -preset ultrafast";
    let [first, second] = broadcasts.map(|(picture, sound)| {
        format!("-f lavfi -i testsrc2={picture}:r=25:d=2 -f lavfi -i {sound} {encoded}")
    });
    let second = format!("{second} -output_ts_offset 2");
    let parts = [bench.clip("first.ts", &first), bench.clip("second.ts", &second)];
    let input = bench.work.path().join("joined.ts");
    let bytes = parts.map(|part| std::fs::read(part).expect("readable"));
    std::fs::write(&input, bytes.concat()).expect("written");
    input
}

#[rstest]
#[case::mp4(json!({"format": "mp4"}))]
#[case::hls(json!({"format": "hls", "adaptive_streams": [{"resolution": "180p"}, {"resolution": "90p"}]}))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_whose_size_changes_on_the_way(#[case] template: Value) {
    let Some(bench) = Bench::find().await else { return };
    let sound = "sine=d=2 -c:a aac";
    let input = joined(&bench, [("s=320x180", sound), ("s=160x90", sound)]);
    let made = bench.make(&input, template, json!({})).await.expect("made");
    assert_eq!(made.measured.resolution, "320x180");
    assert!((made.measured.duration - 4.0).abs() < 0.1, "{}", made.measured.duration);
}
