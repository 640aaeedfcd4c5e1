//! What a copy would get wrong on the way: a container has one header for a stream from start to end, and says when each
//! frame is shown. Where the stream itself says otherwise, it is refused before anything is made.

use std::path::{Path, PathBuf};

use model::ErrorCode;
use rstest::rstest;
use serde_json::{Value, json};

use crate::bench::Bench;

/// Four seconds with B-frames that others refer to.
const B_FRAMES: &str = "-f lavfi -i testsrc2=s=160x120:r=25:d=4 -pix_fmt yuv420p -c:v libx264 -preset medium -bf 3 \
                        -x264-params b-pyramid=normal:b-adapt=0:keyint=50:scenecut=0:open-gop=0";

fn formats() -> [Value; 4] {
    [
        json!({"format": "mp4"}),
        json!({"format": "flv"}),
        json!({"format": "hls", "seg_time": 2}),
        json!({"format": "hls", "seg_time": 2, "seg_type": "ts"}),
    ]
}

/// Refused in each of these formats, with words of the reason and before there is an output.
async fn must_refuse(bench: &Bench, input: &Path, formats: &[Value], copied: Value, words: &str) {
    for format in formats {
        let mut template = format.clone();
        template.as_object_mut().expect("fields").extend(copied.as_object().expect("fields").clone());
        let error = bench.must_refuse(input, template.clone()).await;
        assert_eq!(error.code, ErrorCode::NothingToTranscode, "{template}: {error} {}", error.log);
        assert!(error.detail.contains(words), "{template}: {error}");
        assert!(!bench.work.path().join("out").exists(), "{template}: an output of it could be published");
    }
}

/// A file with the bytes that `change` makes of another one's.
fn changed(bench: &Bench, name: &str, file: &Path, change: impl Fn(&mut Vec<u8>)) -> PathBuf {
    let mut bytes = std::fs::read(file).expect("readable");
    change(&mut bytes);
    let file = bench.work.path().join(name);
    std::fs::write(&file, bytes).expect("written");
    file
}

/// Makes the boxes of an MP4 with this name free space.
fn without_box(bytes: &mut [u8], name: &[u8; 4]) {
    while let Some(position) = bytes.windows(4).position(|window| window == name) {
        bytes[position..position + 4].copy_from_slice(b"free");
    }
}

/// Makes each frame of a FLV be shown 80 ms earlier: some of them before they are decoded.
fn earlier_compositions(bytes: &mut [u8]) {
    let number = |bytes: &[u8]| bytes.iter().fold(0_i32, |number, byte| number << 8 | i32::from(*byte));
    let mut position = 13;
    while position + 16 < bytes.len() {
        let size = number(&bytes[position + 1..position + 4]) as usize;
        if bytes[position] == 9 && bytes[position + 12] == 1 {
            let composition = number(&bytes[position + 13..position + 16]) - 80;
            bytes[position + 13..position + 16].copy_from_slice(&composition.to_be_bytes()[1..]);
        }
        position += 11 + size + 4;
    }
}

/// B-frames in a container that says nothing of their order (no `ctts`), and in one that says something wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_in_another_order_than_their_own() {
    let Some(bench) = Bench::find().await else { return };
    let source = bench.clip("a.mp4", B_FRAMES);
    let plain = changed(&bench, "no_ctts.mp4", &source, |bytes| {
        without_box(bytes, b"ctts");
        without_box(bytes, b"edts");
    });
    let matroska = bench.clip("no_ctts.mkv", &format!("-i {} -c copy", plain.display()));
    let flash = bench.clip("a.flv", &format!("-i {} -c copy", source.display()));
    let negative = changed(&bench, "negative.flv", &flash, |bytes| earlier_compositions(bytes));
    for input in [plain, matroska, negative] {
        let words = "contradict their order in the video itself";
        must_refuse(&bench, &input, &formats(), json!({"vcodec": "copy"}), words).await;
    }
}

/// Two recordings, one after the other: both halves of the video as these encoders make them.
fn joined(bench: &Bench, extension: &str, encoders: [&str; 2]) -> PathBuf {
    let parts = [0, 1].map(|number| {
        let source = "-f lavfi -i testsrc2=s=160x120:r=25:d=2 -pix_fmt yuv420p -bf 0 -g 25";
        let arguments = format!("{source} {} -output_ts_offset {}", encoders[number], 2 * number);
        bench.clip(&format!("part_{number}.{extension}"), &arguments)
    });
    if extension == "webm" || extension == "mkv" {
        let list = bench.work.path().join("list.txt");
        std::fs::write(&list, "file part_0.webm\nfile part_1.webm\n".replace("webm", extension))
            .expect("written");
        return bench
            .clip(&format!("joined.{extension}"), &format!("-f concat -i {} -c copy", list.display()));
    }
    // a FLV begins with a header of 13 bytes
    let header_bytes = if extension == "flv" { 13 } else { 0 };
    let [first, second] = parts.map(|part| std::fs::read(part).expect("readable"));
    let joined = bench.work.path().join(format!("joined.{extension}"));
    std::fs::write(&joined, [&first[..], &second[header_bytes..]].concat()).expect("written");
    joined
}

const COARSE: &str = "-c:v libx264 -preset veryfast -qp 40 -x264-params cabac=0:8x8dct=0:scenecut=0";
const FINE: &str = "-c:v libx264 -preset veryfast -qp 18 -x264-params cabac=0:8x8dct=0:scenecut=0";
const LARGE: &str = "-vf scale=320:240 -c:v libx264 -preset veryfast -qp 18";

/// Only the first header goes into an output, so the rest would be decoded wrongly, with or without an error.
#[rstest]
#[case::description("flv", [FINE, COARSE])]
#[case::description_with_another_size("flv", [FINE, LARGE])]
#[case::stream("ts", [FINE, COARSE])]
#[case::stream_with_another_size("ts", [FINE, LARGE])]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameter_sets_that_change(#[case] extension: &str, #[case] encoders: [&str; 2]) {
    let Some(bench) = Bench::find().await else { return };
    let input = joined(&bench, extension, encoders);
    let words = "the parameters of its video change on the way";
    must_refuse(&bench, &input, &formats(), json!({"vcodec": "copy"}), words).await;
    bench.must_transcode(&input, json!({"format": "mp4"})).await;
}

#[rstest]
#[case::vp9("webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8", "the size of its video changes")]
#[case::av1("mkv", "-c:v libsvtav1 -preset 12", "the parameters of its video change")]
#[case::h265(
    "ts",
    "-c:v libx265 -preset ultrafast -x265-params log-level=error",
    "the parameters of its video change"
)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sizes_that_change(#[case] extension: &str, #[case] encoder: &str, #[case] words: &str) {
    let Some(bench) = Bench::find().await else { return };
    let turned = format!("-vf scale=120:160 {encoder}");
    let input = joined(&bench, extension, [encoder, &turned]);
    let formats = [json!({"format": "mp4"}), json!({"format": "hls", "seg_time": 2})];
    must_refuse(&bench, &input, &formats, json!({"vcodec": "copy"}), words).await;
}

/// FFmpeg's encoder tells of surround channels at the side by a program config element.
#[rstest]
#[case::mp4("a.mp4")]
#[case::ts("a.ts")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_by_an_element(#[case] name: &str) {
    let Some(bench) = Bench::find().await else { return };
    let source = "-f lavfi -i testsrc2=s=160x120:r=25:d=2 -f lavfi -i anoisesrc=d=2:a=0.2";
    let encoded =
        "-pix_fmt yuv420p -c:v libx264 -preset veryfast -af aformat=channel_layouts=5.1(side) -c:a aac";
    let input = bench.clip(name, &format!("{source} {encoded}"));
    let formats =
        [json!({"format": "mp4"}), json!({"format": "hls"}), json!({"format": "hls", "seg_type": "ts"})];
    let words = "program config element (channel configuration 0)";
    must_refuse(&bench, &input, &formats, json!({"vcodec": "h264", "acodec": "copy"}), words).await;
}

/// An edit list in place of FFmpeg's own: durations in ms, and media times in units of 1/12800 s. Its bytes replace those
/// of the index at the end of the file.
fn with_edits(bytes: &mut Vec<u8>, edits: &[(u32, i32)]) {
    let find =
        |bytes: &[u8], name: &[u8]| bytes.windows(4).position(|window| window == name).expect("a box") - 4;
    let size = |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four"));
    let added = 12 * (edits.len() as u32 - 1);
    for name in [b"moov", b"trak", b"edts", b"elst"] {
        let at = find(bytes, name);
        let new = size(bytes, at) + added;
        bytes[at..at + 4].copy_from_slice(&new.to_be_bytes());
    }
    let entries = find(bytes, b"elst") + 12;
    let mut list = (edits.len() as u32).to_be_bytes().to_vec();
    for (duration, media_time) in edits {
        list.extend([duration.to_be_bytes(), media_time.to_be_bytes(), 0x1_0000_u32.to_be_bytes()].concat());
    }
    bytes.splice(entries..entries + 16, list);
}

/// What an edit list leaves out would be shown, by those who do not read it.
#[rstest]
#[case::end(&[(2000, 1024)])]
#[case::two_parts(&[(1000, 1024), (1000, 1024 + 25_600)])]
#[case::gap(&[(1000, 1024), (1000, -1), (1000, 1024 + 25_600)])]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_are_not_shown(#[case] edits: &[(u32, i32)]) {
    let Some(bench) = Bench::find().await else { return };
    let source = bench.clip("a.mp4", B_FRAMES);
    let input = changed(&bench, "edited.mp4", &source, |bytes| with_edits(bytes, edits));
    let words = "its edit list leaves out frames";
    must_refuse(&bench, &input, &formats(), json!({"vcodec": "copy"}), words).await;
}

/// As a recording begins that was cut out of a broadcast.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_begins_with_frames_that_refer_to_what_is_not_there() {
    let Some(bench) = Bench::find().await else { return };
    let encoder = "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=24:min-keyint=24:\
                   scenecut=0:b-adapt=0:open-gop=1:bframes=3";
    let source =
        bench.clip("a.mkv", &format!("-f lavfi -i testsrc2=s=160x120:r=25:d=4 -pix_fmt yuv420p {encoder}"));
    let input = bench.clip("cut.mkv", &format!("-ss 1.5 -i {} -c copy", source.display()));
    let words = "begins with frames that refer to others before them";
    must_refuse(&bench, &input, &[json!({"format": "mp4"})], json!({"vcodec": "copy"}), words).await;
    bench.must_transcode(&source, json!({"format": "mp4", "vcodec": "copy"})).await;
}
