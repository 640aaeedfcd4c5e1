//! What is refused before anything is encoded, and how it is named.

use model::Rational;
use rstest::rstest;

use super::{described::DolbyVision, inspect::check_integrity, *};
use crate::format::mp4::index::DurationMismatch;

fn stream(kind: &str, width: u32, height: u32) -> Stream {
    Stream { kind: kind.to_owned(), codec: "h264".to_owned(), width, height, ..Stream::default() }
}

fn described(container: &str, streams: Vec<Stream>) -> FfprobeOutput {
    FfprobeOutput { container: container.to_owned(), streams, ..FfprobeOutput::default() }
}

#[test]
fn an_index_that_names_more_than_there_is() {
    let index = Mp4Index { has_moov: true, last_indexed_byte: 2000, ..Mp4Index::default() };
    let error = check_integrity(&index, 1999).expect_err("truncated");
    assert_eq!(error.code, ErrorCode::InvalidInput);
    let expected = "it is truncated: its index names data up to byte 2000, and the file has 1999 bytes";
    assert_eq!(error.detail, expected);
    assert!(check_integrity(&index, 2000).is_ok());
    assert!(
        check_integrity(&Mp4Index { is_fragmented: true, ..index }, 1999).is_ok(),
        "fragments vouch for nothing"
    );
}

#[test]
fn an_index_that_contradicts_itself() {
    let index = Mp4Index {
        has_moov: true,
        duration_mismatch: Some(DurationMismatch { by_header: 3000, by_samples: 1_024_000 }),
        ..Mp4Index::default()
    };
    let error = check_integrity(&index, 9).expect_err("contradicts itself");
    let expected = "its index contradicts itself: the duration of a track is 3.0 s by its header, and 1024.0 s by its samples";
    assert_eq!((error.code, error.detail.as_str()), (ErrorCode::InvalidInput, expected));
    assert!(
        check_integrity(&Mp4Index { is_fragmented: true, ..index }, 9).is_ok(),
        "fragments say it themselves"
    );
}

#[test]
fn a_clock_that_is_none() {
    let index = Mp4Index { has_moov: true, timescale_overflow: Some(0), ..Mp4Index::default() };
    let error = check_integrity(&index, 9).expect_err("damaged");
    let expected = "its index is damaged: a track has the timescale 0";
    assert_eq!((error.code, error.detail.as_str()), (ErrorCode::InvalidInput, expected));
}

#[test]
fn encryption_and_dolby_vision_without_base_are_named() {
    let index = Mp4Index { encryption_scheme: Some("cbcs".to_owned()), ..Mp4Index::default() };
    assert_eq!(check_integrity(&index, 1).expect_err("encrypted").detail, "it is encrypted (cbcs)");
    let vision = |profile, has_base_layer| Some(DolbyVision { profile, has_base_layer });
    let error = check_base_layer(vision(5, false)).expect_err("no base").detail;
    assert_eq!(error, "it is Dolby Vision profile 5 without a base layer");
    assert!(check_base_layer(vision(8, true)).is_ok());
}

#[rstest]
#[case(vec![stream("video", 8192, 8192)], None)]
#[case(vec![stream("audio", 0, 0), stream("video", 8193, 16)], Some("it has 8193x16 pixels; at most 8192x8192 are allowed"))]
#[case(vec![stream("audio", 0, 0); 65], Some("it has 65 streams; at most 64 are allowed"))]
fn limits(#[case] streams: Vec<Stream>, #[case] problem: Option<&str>) {
    let judged = check_limits(&described("matroska,webm", streams), &InputLimits::default());
    assert_eq!(judged.as_ref().err().map(|error| error.detail.as_str()), problem);
    assert!(judged.err().is_none_or(|error| error.code == ErrorCode::InputOverLimit));
}

#[rstest]
#[case("png_pipe", vec![stream("video", 10, 10)], ErrorCode::InvalidInput, "it is an image (png), not a video")]
#[case("mov,mp4,m4a,3gp,3g2,mj2", vec![], ErrorCode::InvalidInput, "it holds no streams")]
#[case("matroska,webm", vec![stream("video", 10, 10)], ErrorCode::InvalidInput, "nothing in it can be decoded")]
#[case("matroska,webm", vec![stream("subtitle", 0, 0)], ErrorCode::NothingToTranscode, "it holds neither video nor audio")]
fn nothing_usable(
    #[case] container: &str,
    #[case] streams: Vec<Stream>,
    #[case] code: ErrorCode,
    #[case] detail: &str,
) {
    let error = explain_unusable(&described(container, streams));
    assert_eq!((error.code, error.detail.as_str()), (code, detail));
}

#[test]
fn only_a_whole_index_vouches() {
    let timed = |duration| Stream { duration, ..stream("audio", 0, 0) };
    let whole = Mp4Index { has_moov: true, ..Mp4Index::default() };
    let vouches = |index: &Mp4Index, streams| {
        let file = InspectedFile { size: 1, index: Some(index.clone()) };
        file.vouches_for(&described("mov,mp4,m4a,3gp,3g2,mj2", streams))
    };
    assert!(vouches(&whole, vec![timed(Some(1.0)), stream("data", 0, 0)]));
    assert!(!vouches(&whole, vec![timed(Some(1.0)), timed(None)]));
    assert!(!vouches(&Mp4Index { is_fragmented: true, ..whole }, vec![timed(Some(1.0))]));
}

#[test]
fn a_late_stream_is_given_time_to_show_itself() {
    let late = Stream { start: Some(1024.0), ..stream("audio", 0, 0) };
    let file = FfprobeOutput { start: 1000.0, ..FfprobeOutput::default() };
    assert!((trial_decode_until(&file, &[&late, &stream("audio", 0, 0)]) - 34.0).abs() < 1e-9);
}

#[test]
fn strange_aspects_are_not_believed() {
    let aspect = |aspect: &str| {
        let stream = Stream { sample_aspect: aspect.parse().ok(), ..Stream::default() };
        choose::sample_aspect(&stream)
    };
    assert_eq!(aspect("64:45"), Rational::new(64, 45).expect("an aspect"));
    assert_eq!(aspect("1000:1"), Rational::whole(1));
    assert_eq!(aspect("0:1"), Rational::whole(1));
}
