//! Videos have the shape that they were taken with: upright, in square pixels, progressive.

use std::path::{Path, PathBuf};

use model::ErrorCode;
use rstest::rstest;
use serde_json::{Value, json};

use crate::bench::{Bench, Transcoded};

/// Width and height by ffprobe, which has to agree with the parameter set. Asserts that there is no display matrix and
/// that pixels are square.
fn check_shape(bench: &Bench, file: &Path) -> (i64, i64) {
    let streams = bench.streams(file);
    let video = streams.iter().find(|stream| stream["codec_type"] == "video").expect("a video stream");
    assert!(video["side_data_list"].is_null(), "{video}");
    assert!(matches!(video["sample_aspect_ratio"].as_str(), None | Some("1:1")), "{video}");
    let size = (video["width"].as_i64().expect("a width"), video["height"].as_i64().expect("a height"));
    assert_eq!(bench.coded_size(file), size);
    size
}

/// Of each rendition the RESOLUTION in the main playlist, and its first segment.
fn renditions(output: &Transcoded) -> Vec<((i64, i64), PathBuf)> {
    let master = output.text("main.m3u8");
    let resolutions = master.lines().filter(|line| line.starts_with("#EXT-X-STREAM-INF:")).map(|line| {
        let (_, rest) = line.split_once("RESOLUTION=").expect("a resolution");
        let (width, height) = rest.split(',').next().and_then(|size| size.split_once('x')).expect("a size");
        (width.parse().expect("a number"), height.parse().expect("a number"))
    });
    let uris = master.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let first = |uri: &str| {
        let name = uri.split('/').nth(1).expect("a rendition");
        let playlist = output.playlist(name);
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
    let arguments = format!("-display_rotation:v:0 90 -i {} -c copy", lying.display());
    let input = bench.clip("turned.mp4", &arguments);
    let output = bench.must_transcode(&input, template).await;
    let file = match output.plan.segmenting {
        None => output.main(),
        Some(_) => renditions(&output).remove(0).1,
    };
    assert_eq!(check_shape(&bench, &file), (180, 320));
    // the display matrix says counterclockwise
    let upright = bench.clip("upright.mkv", &format!("-i {} -vf transpose=cclock -qp 0", lying.display()));
    let ssim = bench.ssim(&file, &upright);
    assert!(ssim > 0.85, "{ssim}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_portrait_in_landscape_renditions() {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip(
        "a.mp4",
        "-f lavfi -i testsrc2=s=1080x1920:r=10:d=0.5 -pix_fmt yuv420p -c:v libx264 -preset ultrafast",
    );
    let streams = json!([{"resolution": "1280x720"}, {"resolution": "640x360"}]);
    let template = json!({"format": "hls", "adaptive_streams": streams});
    let output = bench.must_transcode(&input, template).await;
    let found = renditions(&output);
    assert_eq!(found.iter().map(|(listed, _)| *listed).collect::<Vec<_>>(), [(720, 1280), (360, 640)]);
    for (listed, segment) in &found {
        assert_eq!(check_shape(&bench, segment), *listed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sides_of_1164_and_767() {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip("a.mkv", "-f lavfi -i testsrc2=s=1164x767:r=10:d=0.5 -c:v ffv1");
    for template in [json!({"format": "mp4"}), json!({"format": "mp4", "resolution": "240p"})] {
        let output = bench.must_transcode(&input, template).await;
        let (width, height) = check_shape(&bench, &output.main());
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
    let output = bench.must_transcode(&input, json!({"format": "mp4"})).await;
    assert_eq!(check_shape(&bench, &output.main()), (1024, 576));
}

/// The share of progressive frames by `idet`, of those that it can tell.
fn progressive_share(bench: &Bench, file: &Path) -> f64 {
    let report = bench.report(&[file], "-map 0:v -vf idet -f null");
    let (_, counts) = report.rsplit_once("Multi frame detection:").expect("counts");
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
    let first_field = if mode == "bff" { "bottom" } else { "top" };
    let arguments = format!(
        "-f lavfi -i testsrc2=s=720x576:r=50:d=4 -vf tinterlace=interleave_{first_field},setfield={mode} -pix_fmt yuv420p \
         -c:v libx264 -preset ultrafast {flags}"
    );
    let input = bench.clip("a.mp4", &arguments);
    let before = progressive_share(&bench, &input);
    assert!(before < 0.2, "{before}");
    let output = bench.must_transcode(&input, json!({"format": "mp4"})).await;
    let after = progressive_share(&bench, &output.main());
    assert!(after >= 0.95, "{after}");
}

/// Each coded picture is a field, as broadcasts of H.265 have it: two of them are a frame.
#[rstest]
#[case::mp4("a.mp4", "-tag:v hvc1")]
#[case::ts("a.ts", "")]
#[case::mkv("a.mkv", "")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_that_are_fields(#[case] name: &str, #[case] tag: &str) {
    let Some(bench) = Bench::find().await else { return };
    let source =
        "-f lavfi -i testsrc2=s=640x360:r=50:d=6 -vf tinterlace=interleave_top,separatefields,setsar=1";
    let encoded =
        "-pix_fmt yuv420p -c:v libx265 -preset ultrafast -x265-params interlace=tff:log-level=error";
    let input = bench.clip(name, &format!("{source} {encoded} {tag}"));
    let output = bench.must_transcode(&input, json!({"format": "mp4"})).await;
    assert_eq!(check_shape(&bench, &output.main()), (640, 360));
    assert_eq!(output.measured.framerate, 25.0);
    assert!((output.measured.duration - 6.0).abs() < 0.1, "{}", output.measured.duration);
    let reference = bench.clip("frames.mkv", "-f lavfi -i testsrc2=s=640x360:r=25:d=6 -c:v libx264 -qp 0");
    let ssim = bench.ssim(&output.main(), &reference);
    assert!(ssim > 0.85, "{ssim}");
    let progressive = progressive_share(&bench, &output.main());
    assert!(progressive >= 0.95, "{progressive}");
    let error = bench.must_refuse(&input, json!({"format": "mp4", "vcodec": "copy"})).await;
    assert_eq!(error.code, ErrorCode::NothingToTranscode, "{error}");
    assert!(error.detail.contains("is interlaced"), "{error}");
}

/// Two broadcasts one after the other, two seconds each, by the options of `testsrc2` for their video and the filter and
/// encoder of their audio.
pub(crate) fn join_broadcasts(bench: &Bench, broadcasts: [(&str, &str); 2]) -> PathBuf {
    let encoded = "-pix_fmt yuv420p -c:v libx264 -preset ultrafast";
    let [first, second] = broadcasts
        .map(|(video, audio)| format!("-f lavfi -i testsrc2={video}:r=25:d=2 -f lavfi -i {audio} {encoded}"));
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
async fn video_whose_size_changes_on_the_way(#[case] template: Value) {
    let Some(bench) = Bench::find().await else { return };
    let audio = "sine=d=2 -c:a aac";
    let input = join_broadcasts(&bench, [("s=320x180", audio), ("s=160x90", audio)]);
    let output = bench.must_transcode(&input, template).await;
    assert_eq!(output.measured.resolution, "320x180");
    assert!((output.measured.duration - 4.0).abs() < 0.1, "{}", output.measured.duration);
}
