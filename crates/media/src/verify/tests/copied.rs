//! Copies are held to what they are copies of.

use std::sync::Arc;

use super::*;
use crate::{fixtures, output::CopiedStream, plan::Coding};

/// Frames at uneven times, from a tenth of a second on, as one file that is copied.
fn copy(change: impl Fn(&mut Vec<ScannedPacket>)) -> Output {
    let time = |index: u32| 0.1 + f64::from(index) * VIDEO_FRAME_SECS + f64::from(index % 3) * 0.004;
    let times: Vec<f64> = (0..125).map(time).collect();
    let packet = |(index, pts): (usize, &f64)| ScannedPacket {
        pts: *pts,
        dts: *pts,
        size: FRAME,
        position: None,
        is_key: index % 40 == 0,
    };
    let mut list: Vec<_> = times.iter().enumerate().map(packet).collect();
    change(&mut list);
    let original = CopiedStream { time_base: 0.001, times, end: 5.1 };
    let packets = StreamPackets::new(VIDEO_FRAME_SECS, TrackContainer::Mp4.rounding_secs(), vec![u64::MAX]);
    let mut packets = packets.copied_from(Arc::new(original));
    list.iter().for_each(|packet| packets.add(*packet, true));
    let mut output = Output::right();
    output.plan.format = Format::Mp4;
    output.plan.segmenting = None;
    output.plan.videos[0].coding = Coding::Copied(Box::new(fixtures::video(640, 360, "25")));
    output.listing.tracks.iter_mut().for_each(|track| track.container = TrackContainer::Mp4);
    output.listing.tracks.truncate(1);
    output.facts.truncate(1);
    output.source.duration_is_indexed = false;
    output.video().header.sample_entry = "avc1".to_owned();
    output.video().packets = packets;
    output
}

#[test]
fn a_copy_of_uneven_frames_is_right() {
    copy(|_| {}).judge().expect("right");
}

#[rstest]
#[case::moved(|list: &mut Vec<ScannedPacket>| list[60].pts += 0.002, "`360p` does not have the source's frame at 2.502 s")]
#[case::lost(|list: &mut Vec<ScannedPacket>| { list.remove(60); }, "`360p` does not have the source's frame at")]
#[case::cut_off(|list: &mut Vec<ScannedPacket>| { list.pop(); }, "`360p` has 124 of the source's 125 frames")]
#[case::one_too_many(|list: &mut Vec<ScannedPacket>| list.push(ScannedPacket { pts: 5.2, dts: 5.2, ..list[124] }), "`360p` does not have the source's frame at 5.200 s")]
#[case::no_time(|list: &mut Vec<ScannedPacket>| list[60].pts = f64::NAN, "`360p` does not have the source's frame at")]
#[case::disorder(|list: &mut Vec<ScannedPacket>| list[60].dts = 0.0, "`360p` is not in decoding order")]
#[case::late(|list: &mut Vec<ScannedPacket>| list.iter_mut().for_each(|p| { p.pts += 0.1; p.dts += 0.1; }), "`360p` begins at 0.200 s instead of 0.100 s")]
#[case::no_keyframe(|list: &mut Vec<ScannedPacket>| list[0].is_key = false, "`360p` does not begin with a key frame")]
fn what_is_not_the_same_is_refused(#[case] change: fn(&mut Vec<ScannedPacket>), #[case] words: &str) {
    let error = copy(change).judge().expect_err("refused");
    assert_eq!(error.code, ErrorCode::EncodingFailed);
    assert!(error.detail.contains(words), "{}", error.detail);
}

#[rstest]
#[case::codec(|header: &mut StreamHeader| header.codec = "hevc".to_owned(), "codec `hevc` instead of `h264`")]
#[case::profile(|header: &mut StreamHeader| header.profile = "Main".to_owned(), "profile `Main` instead of `High`")]
#[case::size(|header: &mut StreamHeader| header.size = (360, 640), "size `360x640`")]
#[case::pixel_format(|header: &mut StreamHeader| header.pixel_format = "yuv444p".to_owned(), "pixel format `yuv444p`")]
#[case::turn(|header: &mut StreamHeader| header.rotation = "-90".to_owned(), "rotation `90` instead of `0`")]
#[case::pixel_shape(|header: &mut StreamHeader| header.sample_aspect = "4:3".to_owned(), "sample aspect ratio `4:3` instead of `1:1`")]
#[case::sample_entry(|header: &mut StreamHeader| header.sample_entry = "avc3".to_owned(), "sample entry `avc3`")]
fn another_header_is_refused(#[case] change: fn(&mut StreamHeader), #[case] words: &str) {
    let mut output = copy(|_| {});
    change(&mut output.video().header);
    let error = output.judge().expect_err("refused");
    assert!(error.detail.contains(words), "{}", error.detail);
}

#[test]
fn a_source_that_ends_early_is_to_blame() {
    let mut output = copy(|_| {});
    output.source.duration_is_indexed = true;
    let error = output.judge().expect_err("30 s were promised");
    assert_eq!(error.code, ErrorCode::InvalidInput);
}

/// Segments with so many frames of so many seconds, as they are copied.
fn segmented(lengths: &[u64], frame: f64, change: impl Fn(&mut Vec<ScannedPacket>)) -> Output {
    let listed = segments("360p", lengths, frame);
    let first_of = |index: u64| (0..lengths.len()).any(|end| lengths[..end].iter().sum::<u64>() == index);
    let mut list = packets(&listed, frame, first_of);
    let times: Vec<f64> = list.iter().map(|packet| packet.pts - START_OFFSET_SECS).collect();
    change(&mut list);
    let end = times.len() as f64 * frame;
    let original = CopiedStream { time_base: TrackContainer::Ts.rounding_secs(), times, end };
    let ends = listed.iter().scan(0, |end, segment| {
        *end += segment.file.bytes;
        Some(*end)
    });
    let packets = StreamPackets::new(frame, TrackContainer::Ts.rounding_secs(), ends.collect());
    let mut packets = packets.copied_from(Arc::new(original));
    list.iter().for_each(|packet| packets.add(*packet, true));
    let mut output = Output::right();
    output.plan.videos[0].coding = Coding::Copied(Box::new(fixtures::video(640, 360, "25")));
    output.listing.tracks.truncate(1);
    output.listing.tracks[0].segments = listed;
    output.facts.truncate(1);
    output.source.duration_is_indexed = false;
    output.video().packets = packets;
    output
}

fn judged(output: &Output) -> Result<(), String> {
    let Output { plan, source, listing, facts } = output;
    InspectedOutput { plan, source, listing, facts }.judge().map_err(|error| error.detail)
}

/// Of 2 s each where there is a key frame then, and at most of 20 s.
#[test]
fn segments_of_a_copy_are_as_long_as_its_gops() {
    assert_eq!(judged(&segmented(&[60, 40, 25], VIDEO_FRAME_SECS, |_| {})), Ok(()));
    let long = judged(&segmented(&[22, 4], 1.0, |_| {}));
    assert_eq!(long, Err("segment 1 of `360p` has a duration of 22.000 s instead of 20.000 s".to_owned()));
    let mut listed = segmented(&[60, 40, 25], VIDEO_FRAME_SECS, |_| {});
    listed.listing.tracks[0].segments[0].duration = Some(2.0);
    let listed = judged(&listed);
    assert_eq!(
        listed,
        Err("segment 1 of `360p` has a duration of 2.400 s, but is listed with another duration".to_owned())
    );
    let no_key = judged(&segmented(&[60, 40, 25], VIDEO_FRAME_SECS, |list| list[60].is_key = false));
    assert_eq!(no_key, Err("segment 2 of `360p` does not begin with a key frame".to_owned()));
}
