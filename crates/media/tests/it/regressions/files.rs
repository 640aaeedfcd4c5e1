//! Truncated files are refused at once; strange file names and the files of an earlier run change nothing.

use std::{collections::BTreeSet, fs, path::Path};

use borealis_media::relocate;
use model::{ErrorCode, Format};
use percent_encoding::percent_decode_str;
use rstest::rstest;
use serde_json::{Value, json};

use crate::bench::Bench;

const STRANGE: &str = "é 中 :%d#?&' .mp4";

const CLIP: &str = "-f lavfi -i testsrc2=s=160x90:r=25:d=2 -f lavfi -i sine=d=2 -pix_fmt yuv420p -c:v libx264 \
                    -preset ultrafast -c:a aac";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_60_percent_of_a_file_with_its_index_in_front() {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip("a.mp4", &format!("{CLIP} -movflags +faststart"));
    let bytes = fs::read(&input).expect("readable");
    fs::write(&input, &bytes[..bytes.len() * 6 / 10]).expect("written");
    let error = bench.must_refuse(&input, json!({"format": "mp4"})).await;
    assert_eq!(error.code, ErrorCode::InvalidInput);
    let whole = bytes.len().to_string();
    assert!(error.detail.contains("truncated") && error.detail.contains(&whole), "{error}");
}

/// The probe refuses it, before anything is encoded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_without_its_index() {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip("a.mp4", CLIP);
    let bytes = fs::read(&input).expect("readable");
    let index = bytes.windows(4).position(|name| name == b"moov").expect("an index");
    fs::write(&input, &bytes[..index - 4]).expect("written");
    let never = tokio_util::sync::CancellationToken::new();
    let error = bench.media.probe(&input, &never).await.expect_err("refused");
    assert_eq!(error.code, ErrorCode::InvalidInput);
    assert!(error.detail.contains("moov"), "{error}");
}

/// A stream that FFmpeg cannot decode is named, and left out only where the template says so.
#[rstest]
#[case::video("avc1", "zzz1", "video (`zzz1`)", json!({"vcodec": "none"}))]
#[case::audio("alac", "zzz2", "audio (`zzz2`)", json!({"acodec": "none"}))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_without_a_decoder(
    #[case] known: &str,
    #[case] strange: &str,
    #[case] detail: &str,
    #[case] without: Value,
) {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip("a.mp4", &CLIP.replace("-c:a aac", "-c:a alac"));
    let mut bytes = fs::read(&input).expect("readable");
    let entry = format!("{known}\0\0\0\0\0\0\0\x01");
    let entry = bytes.windows(12).position(|name| name == entry.as_bytes()).expect("a sample entry");
    bytes[entry..entry + 4].copy_from_slice(strange.as_bytes());
    fs::write(&input, &bytes).expect("written");
    let error = bench.must_refuse(&input, json!({"format": "mp4"})).await;
    assert_eq!(error.code, ErrorCode::InvalidInput);
    assert!(error.detail.contains(detail), "{error}");
    let mut template = json!({"format": "mp4"});
    template.as_object_mut().expect("an object").extend(without.as_object().expect("an object").clone());
    let output = bench.must_transcode(&input, template).await;
    assert_eq!(bench.streams(&output.main()).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_with_its_index_at_the_end() {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip("a.mp4", CLIP);
    let bytes = fs::read(&input).expect("readable");
    let at = |name: &[u8]| bytes.windows(4).position(|found| found == name).expect("a box");
    assert!(at(b"mdat") < at(b"moov"));
    let output = bench.must_transcode(&input, json!({"format": "mp4"})).await;
    assert!((output.measured.duration - 2.0).abs() < 0.1, "{}", output.measured.duration);
}

/// Whether a URI of a playlist names a file below a folder; an unescaped `?` or `#` would cut it short.
fn names_a_file(dir: &Path, uri: &str) -> bool {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    let path = percent_decode_str(path).decode_utf8().expect("UTF-8");
    dir.join(&*path).is_file()
}

#[rstest]
#[case::input_alone(json!({"format": "mp4"}))]
#[case::playlist(json!({"format": "hls", "adaptive_streams": [{"resolution": "90p"}]}))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strange_name(#[case] template: Value) {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip(STRANGE, CLIP);
    let output = bench.must_transcode(&input, template).await;
    if output.plan.format == Format::Mp4 {
        return;
    }
    let folder = output.dir.join(STRANGE);
    fs::rename(output.dir.join("files"), folder).expect("renamed");
    let main = relocate(Format::Hls, &output.text("main.m3u8"), STRANGE);
    let quoted = main.split("URI=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let uris: BTreeSet<&str> =
        main.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).chain(quoted).collect();
    assert_eq!(uris.len(), 3, "{main}");
    for uri in uris {
        assert!(names_a_file(&output.dir, uri), "{uri}");
    }
}

/// The segments of a longer output are gone when a shorter one is made in the same folder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_output_twice() {
    let Some(bench) = Bench::find().await else { return };
    let long = bench.clip("long.mp4", CLIP);
    let short = bench.clip("short.mp4", &CLIP.replace("d=2", "d=1"));
    let template = json!({"format": "hls", "seg_time": 1});
    let files = |dir: &Path| -> BTreeSet<_> {
        fs::read_dir(dir.join("files/90p"))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect()
    };
    let first = bench.must_transcode(&long, template.clone()).await;
    let longer = files(&first.dir);
    let again = bench.must_transcode(&short, template.clone()).await;
    assert_eq!(again.dir, first.dir);
    assert!(files(&again.dir).len() < longer.len());
    assert_eq!(again.playlist("90p").segments.len(), 1);
    let once_more = bench.must_transcode(&long, template).await;
    assert_eq!(files(&once_more.dir), longer);
}

#[rstest]
#[case::mp4(json!({"format": "mp4"}))]
#[case::hls(json!({"format": "hls"}))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timecode_track(#[case] template: Value) {
    let Some(bench) = Bench::find().await else { return };
    let input = bench.clip("a.mov", &format!("{CLIP} -timecode 01:00:00:00"));
    let kinds = |file: &Path| -> Vec<String> {
        let streams = bench.streams(file);
        streams.iter().map(|stream| stream["codec_type"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(kinds(&input), ["video", "audio", "data"]);
    let output = bench.must_transcode(&input, template).await;
    assert_eq!(
        kinds(&output.main()).into_iter().collect::<BTreeSet<_>>(),
        BTreeSet::from(["audio".into(), "video".into()])
    );
    assert_eq!(kinds(&output.main()).len(), 2);
}
