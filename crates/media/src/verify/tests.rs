//! An output that is right, and the same with one thing wrong: each of these has to be refused.

use std::path::PathBuf;

use model::{ErrorCode, Rational, SegmentType};
use rstest::rstest;

use super::{
    facts::{ScannedPacket, StreamFacts, StreamHeader, StreamPackets},
    listing::{Claims, IFrameRange, MediaFile, Segment, StreamRef, Track, TrackContainer},
    *,
};
use crate::{
    colour::Colour,
    plan::{AudioPlan, Coding, Encoding, RateControl, Segmenting, VideoFilter, VideoPlan},
    source::{FieldOrder, Orientation},
};

mod copied;

const FPS: u64 = 25;
const SECONDS: u64 = 5;
const SEGMENT: u64 = 2;
const FRAME: u64 = 1000;

/// Five seconds of 640x360 at 25 fps with stereo, as HLS in transport streams of 2 s.
pub(super) struct Output {
    pub(super) plan: Plan,
    source: Source,
    pub(super) listing: Listing,
    facts: Vec<Vec<StreamFacts>>,
}

pub(super) fn plan() -> Plan {
    let colour = Colour::bt709();
    Plan {
        format: Format::Hls,
        also: None,
        segmenting: Some(Segmenting {
            segment_type: SegmentType::Ts,
            segment_duration: Rational::whole(SEGMENT),
        }),
        video_filter: Some(VideoFilter {
            index: 0,
            field_order: FieldOrder::Progressive,
            top_field_first: true,
            orientation: Orientation::default(),
            width: 640,
            height: 360,
            pixel_format: "yuv420p".to_owned(),
            source_colour: colour.clone(),
            start: 0.0,
            end_padding: 0.0,
        }),
        videos: vec![VideoPlan {
            name: "360p".to_owned(),
            codec: model::VideoCodec::H264,
            width: 640,
            height: 360,
            frame_rate: Rational::whole(FPS),
            coding: Coding::Encoded(Encoding {
                gop: 50,
                rate_control: RateControl::Average(500),
                preset: "medium".to_owned(),
            }),
            profile: "High".to_owned(),
            level: "3.0".to_owned(),
            bit_depth: 8,
            colour,
            tone_map: false,
            hdr_metadata: crate::source::HdrMetadata::default(),
        }],
        audios: vec![AudioPlan {
            name: "audio".to_owned(),
            label: "Audio".to_owned(),
            index: 1,
            codec: model::AudioCodec::Aac,
            bitrate: Some(128),
            sample_rate: 48000,
            channels: 2,
            is_downmixed: false,
            language: String::new(),
            title: String::new(),
            loudness: None,
            start: 0.0,
            silence: 0.0,
            parameters_may_change: false,
        }],
        duration: SECONDS as f64,
        start_offset: 0.0,
        corrections: Vec::new(),
        clip: None,
        thumbnails: None,
        logo: None,
        is_growing: false,
        title: String::new(),
        chapters: false,
        threads: 0,
    }
}

/// Bytes of the tables at the start of a segment.
const TABLES: u64 = 376;
/// Everything in a transport stream begins so much later, in seconds.
const START_OFFSET_SECS: f64 = 0.1;

/// Segments with so many packets each.
fn segments(name: &str, packets: &[u64], frame: f64) -> Vec<Segment> {
    let segment = |(index, packets): (usize, &u64)| Segment {
        file: MediaFile {
            path: PathBuf::from(format!("files/{name}/{index}.ts")),
            bytes: TABLES + packets * FRAME,
        },
        duration: Some(*packets as f64 * frame),
        start: None,
    };
    packets.iter().enumerate().map(segment).collect()
}

/// The packets that are in them.
fn packets(segments: &[Segment], frame: f64, is_key: impl Fn(u64) -> bool) -> Vec<ScannedPacket> {
    let mut list = Vec::new();
    let mut begin = 0;
    for segment in segments {
        for inside in 0..(segment.file.bytes - TABLES) / FRAME {
            let index = list.len() as u64;
            let dts = START_OFFSET_SECS + index as f64 * frame;
            let position = Some(begin + TABLES + inside * FRAME);
            list.push(ScannedPacket { pts: dts, dts, size: FRAME, position, is_key: is_key(index) });
        }
        begin += segment.file.bytes;
    }
    list
}

fn read(segments: &[Segment], list: &[ScannedPacket], frame: f64, is_video: bool) -> StreamPackets {
    let mut end = 0;
    let ends = segments.iter().map(|segment| {
        end += segment.file.bytes;
        end
    });
    let mut packets = StreamPackets::new(frame, TrackContainer::Ts.rounding_secs(), ends.collect());
    list.iter().for_each(|packet| packets.add(*packet, is_video));
    packets
}

fn header(kind: &str, codec: &str) -> StreamHeader {
    let colour = ["tv", "bt709", "bt709", "bt709"].map(str::to_owned);
    StreamHeader { kind: kind.to_owned(), codec: codec.to_owned(), colour, ..StreamHeader::default() }
}

fn video_header() -> StreamHeader {
    StreamHeader {
        profile: "High".to_owned(),
        level: 30,
        size: (640, 360),
        sample_aspect: "1:1".to_owned(),
        pixel_format: "yuv420p".to_owned(),
        field_order: "progressive".to_owned(),
        ..header("video", "h264")
    }
}

fn audio_header() -> StreamHeader {
    StreamHeader {
        profile: "LC".to_owned(),
        sample_rate: 48000,
        channels: 2,
        layout: "stereo".to_owned(),
        ..header("audio", "aac")
    }
}

fn track(name: &str, planned: StreamRef, segments: Vec<Segment>, claims: Claims) -> Track {
    let planned = vec![planned];
    let claims = Claims { target_duration: Some(2.0), ..claims };
    Track {
        name: name.to_owned(),
        planned,
        container: TrackContainer::Ts,
        init: None,
        segments,
        claims,
        i_frames: Vec::new(),
    }
}

const VIDEO_FRAME_SECS: f64 = 1.0 / FPS as f64;
const AUDIO_FRAME_SECS: f64 = 1024.0 / 48000.0;
const VIDEO_PACKETS: [u64; 3] = [50, 50, 25];
const AUDIO_PACKETS: [u64; 3] = [94, 93, 47];

impl Output {
    /// One that is right.
    pub(super) fn right() -> Self {
        Self::with(|_| {}, |_| {})
    }

    /// One whose packets are others: of the video, and of the audio.
    fn with(
        change_video: impl Fn(&mut Vec<ScannedPacket>),
        change_audio: impl Fn(&mut Vec<ScannedPacket>),
    ) -> Self {
        let (video_segments, audio_segments) = (
            segments("360p", &VIDEO_PACKETS, VIDEO_FRAME_SECS),
            segments("audio", &AUDIO_PACKETS, AUDIO_FRAME_SECS),
        );
        let mut video_packets = packets(&video_segments, VIDEO_FRAME_SECS, |index| index % 50 == 0);
        let mut audio_packets = packets(&audio_segments, AUDIO_FRAME_SECS, |_| true);
        change_video(&mut video_packets);
        change_audio(&mut audio_packets);
        let facts = vec![
            vec![StreamFacts {
                header: video_header(),
                packets: read(&video_segments, &video_packets, VIDEO_FRAME_SECS, true),
            }],
            vec![StreamFacts {
                header: audio_header(),
                packets: read(&audio_segments, &audio_packets, AUDIO_FRAME_SECS, false),
            }],
        ];
        let bandwidth = |segments: &[Segment]| {
            let segments: Vec<_> =
                segments.iter().map(|s| (s.file.bytes, s.duration.unwrap_or_default())).collect();
            crate::format::bandwidth::Bandwidth::of(&segments, None)
        };
        let both = bandwidth(&video_segments).plus(bandwidth(&audio_segments));
        let claims = Claims {
            codecs: Some("avc1.64001e,mp4a.40.2".to_owned()),
            size: Some((640, 360)),
            frame_rate: Some(25.0),
            bandwidth: Some(both.peak),
            average_bandwidth: Some(both.average),
            ..Claims::default()
        };
        let i_frame = |segment: &Segment| IFrameRange {
            path: segment.file.path.clone(),
            offset: TABLES,
            bytes: FRAME + 100,
            duration: segment.duration.unwrap_or_default(),
        };
        let i_frames = video_segments.iter().map(i_frame).collect();
        let video = Track { i_frames, ..track("360p", StreamRef::Video(0), video_segments, claims) };
        let claims = Claims { channels: Some(2), ..Claims::default() };
        let audio = track("audio", StreamRef::Audio(0), audio_segments, claims);
        Self {
            plan: plan(),
            source: source(),
            listing: Listing {
                format: Format::Hls,
                tracks: vec![video, audio],
                duration: None,
                min_buffer_time: None,
                manifest_files: Vec::new(),
            },
            facts,
        }
    }

    fn judge(&self) -> Result<(), MediaError> {
        let Self { plan, source, listing, facts } = self;
        let found = InspectedOutput { plan, source, listing, facts };
        found.judge()?;
        claims::check(&found)
    }

    fn video(&mut self) -> &mut StreamFacts {
        &mut self.facts[0][0]
    }

    /// As a manifest would list it.
    fn make_dash(&mut self) {
        self.listing.format = Format::Dash;
        let [video, audio] = &mut self.listing.tracks[..] else { panic!("two tracks") };
        video.claims.codecs = Some("avc1.64001e".to_owned());
        audio.claims.codecs = Some("mp4a.40.2".to_owned());
        audio.claims.sample_rate = Some(48000);
        for track in [video, audio] {
            let segments = track.segments.iter().map(|s| (s.file.bytes, s.duration.unwrap_or_default()));
            let of_it: Vec<_> = segments.collect();
            track.claims.bandwidth = Some(crate::format::bandwidth::Bandwidth::of(&of_it, None).peak);
        }
    }

    /// PQ, which nothing claims yet.
    fn make_hdr(&mut self) {
        let names = ["bt2020nc", "smpte2084", "bt2020"].map(str::to_owned);
        self.video().header.colour[1..].clone_from_slice(&names);
        let [matrix, transfer, primaries] = names;
        self.plan.videos[0].colour = Colour { matrix, transfer, primaries, full_range: false };
    }

    fn make_hdr_dash(&mut self, claimed: [Option<u32>; 3]) {
        self.make_dash();
        self.make_hdr();
        self.listing.tracks[0].claims.colour = claimed;
    }
}

fn source() -> Source {
    Source {
        container: "mov,mp4,m4a,3gp,3g2,mj2".to_owned(),
        size: 1,
        duration: SECONDS as f64,
        start_offset: 0.0,
        corrections: Vec::new(),
        clip: None,
        duration_is_indexed: true,
        has_chapters: false,
        video: None,
        audios: Vec::new(),
        undecodable: crate::source::UndecodableCodecs::default(),
        title: String::new(),
        facts: model::SourceFacts::default(),
    }
}

#[test]
fn hdr_is_claimed_in_manifests() {
    let mut output = Output::right();
    output.make_dash();
    output.judge().expect("right");
    output.make_hdr_dash([Some(9), Some(16), Some(9)]);
    output.judge().expect("right");
}

#[test]
fn what_is_right_is_agreed_to() {
    let output = Output::right();
    output.judge().expect("right");
    let Output { plan, source, listing, facts } = &output;
    let duration = InspectedOutput { plan, source, listing, facts }.duration();
    assert!((duration - 5.0).abs() < 0.01, "{duration}");
}

#[rstest]
#[case::lost_frame(|list: &mut Vec<ScannedPacket>| { list.remove(60); }, "has a gap at 2.500 s")]
#[case::late_frame(|list: &mut Vec<ScannedPacket>| list[60].pts += 0.01, "a frame at the wrong time, 2.510 s")]
#[case::frame_twice(|list: &mut Vec<ScannedPacket>| list[60].pts -= VIDEO_FRAME_SECS, "two frames at 2.460 s")]
#[case::disorder(|list: &mut Vec<ScannedPacket>| list.swap(60, 61), "not in decoding order")]
#[case::no_time(|list: &mut Vec<ScannedPacket>| list[60].pts = f64::NAN, "a frame at the wrong time")]
#[case::begins_late(|list: &mut Vec<ScannedPacket>| list.iter_mut().for_each(|p| { p.pts += 0.5; p.dts += 0.5; }), "`audio` begins at -0.500 s")]
#[case::no_keyframe(|list: &mut Vec<ScannedPacket>| list[50].is_key = false, "key frame every 50 frames")]
#[case::keyframe_too_many(|list: &mut Vec<ScannedPacket>| list[60].is_key = true, "key frame every 50 frames")]
#[case::keyframe_moved(|list: &mut Vec<ScannedPacket>| { list[50].is_key = false; list[49].is_key = true; }, "key frame every 50 frames")]
#[case::empty_segment(|list: &mut Vec<ScannedPacket>| list[100..].iter_mut().for_each(|p| p.position = Some(60_000)), "segment 3 of `360p` does not begin")]
fn wrong_video_is_refused(#[case] change: fn(&mut Vec<ScannedPacket>), #[case] words: &str) {
    let error = Output::with(change, |_| {}).judge().expect_err("refused");
    assert_eq!(error.code, ErrorCode::EncodingFailed);
    assert!(error.detail.contains(words), "{}", error.detail);
}

#[rstest]
#[case::gap(|list: &mut Vec<ScannedPacket>| { list.remove(100); }, "`audio` has a gap at")]
#[case::drift(|list: &mut Vec<ScannedPacket>| list.iter_mut().for_each(|p| p.pts *= 1.0005), "at the wrong time")]
#[case::late(|list: &mut Vec<ScannedPacket>| list.iter_mut().for_each(|p| { p.pts += 0.1; p.dts += 0.1; }), "`audio` begins at 0.100 s")]
fn wrong_audio_is_refused(#[case] change: fn(&mut Vec<ScannedPacket>), #[case] words: &str) {
    let error = Output::with(|_| {}, change).judge().expect_err("refused");
    assert_eq!(error.code, ErrorCode::EncodingFailed);
    assert!(error.detail.contains(words), "{}", error.detail);
}

#[rstest]
#[case::size(|o: &mut Output| o.video().header.size = (638, 360), "the size `638x360` instead of `640x360`")]
#[case::codec(|o: &mut Output| o.video().header.codec = "hevc".to_owned(), "codec `hevc`")]
#[case::ten_bits(|o: &mut Output| o.video().header.pixel_format = "yuv420p10le".to_owned(), "pixel format")]
#[case::profile(|o: &mut Output| o.video().header.profile = "High 4:4:4 Predictive".to_owned(), "profile")]
#[case::level(|o: &mut Output| o.video().header.level = 51, "level `51` instead of `30`")]
#[case::pixels(|o: &mut Output| o.video().header.sample_aspect = "16:15".to_owned(), "sample aspect ratio `16:15`")]
#[case::turned(|o: &mut Output| o.video().header.rotation = "-90".to_owned(), "rotation `-90`")]
#[case::fields(|o: &mut Output| o.video().header.field_order = "tt".to_owned(), "field order")]
#[case::untagged(|o: &mut Output| o.video().header.colour[2].clear(), "transfer function")]
#[case::audio_rate(|o: &mut Output| o.facts[1][0].header.sample_rate = 44100, "sample rate `44100`")]
#[case::audio_channels(|o: &mut Output| o.facts[1][0].header.channels = 1, "number of channels `1`")]
#[case::audio_is_video(|o: &mut Output| o.facts[1][0].header = video_header(), "kind `video`")]
fn wrong_headers_are_refused(#[case] change: fn(&mut Output), #[case] words: &str) {
    refused(change, ErrorCode::EncodingFailed, words);
}

#[rstest]
#[case::codecs(|o: &mut Output| o.listing.tracks[0].claims.codecs = Some("avc1.64001e".to_owned()), "codec of `360p`")]
#[case::level(|o: &mut Output| o.listing.tracks[0].claims.codecs = Some("avc1.640028,mp4a.40.2".to_owned()), "codec of `360p`")]
#[case::size(|o: &mut Output| o.listing.tracks[0].claims.size = Some((360, 640)), "size of `360p`")]
#[case::rate(|o: &mut Output| o.listing.tracks[0].claims.frame_rate = Some(24.97), "frame rate of `360p`")]
#[case::no_rate(|o: &mut Output| o.listing.tracks[0].claims.frame_rate = None, "frame rate of `360p`")]
#[case::bandwidth(|o: &mut Output| o.listing.tracks[0].claims.bandwidth = Some(1e5), "the bandwidth of `360p` is listed wrongly: 100000.0, and it is 581008.0")]
#[case::buffer(|o: &mut Output| o.listing.min_buffer_time = Some(1.0), "the bandwidth of `360p` is listed wrongly: ")]
#[case::average(|o: &mut Output| o.listing.tracks[0].claims.average_bandwidth = None, "average bandwidth of `360p`")]
#[case::range(|o: &mut Output| o.listing.tracks[0].claims.video_range = Some("PQ".to_owned()), "video range of `360p` is listed wrongly: \"PQ\", and it is \"SDR\"")]
#[case::no_range(|o: &mut Output| o.make_hdr(), "video range of `360p` is listed wrongly: \"SDR\", and it is \"PQ\"")]
#[case::no_colour(|o: &mut Output| o.make_hdr_dash([None; 3]), "the matrix of `360p` is listed wrongly: nothing, and it is 9")]
#[case::transfer(|o: &mut Output| o.make_hdr_dash([Some(9), Some(18), Some(9)]), "the transfer function of `360p` is listed wrongly: 18, and it is 16")]
#[case::no_primaries(|o: &mut Output| o.make_hdr_dash([Some(9), Some(16), None]), "the primaries of `360p` is listed wrongly: nothing, and it is 9")]
#[case::wide(|o: &mut Output| { o.make_dash(); o.listing.tracks[0].claims.colour[2] = Some(9); }, "the primaries of `360p` is listed wrongly: 9, and it is 1")]
#[case::channels(|o: &mut Output| o.listing.tracks[1].claims.channels = Some(6), "number of channels of `audio`")]
#[case::i_frames(|o: &mut Output| { o.listing.tracks[0].i_frames.pop(); }, "lists 2 I-frames and has 3")]
#[case::part_of_i_frame(|o: &mut Output| o.listing.tracks[0].i_frames[1].bytes = FRAME / 2, "bytes of an I-frame of `360p`")]
#[case::whole_group(|o: &mut Output| o.listing.tracks[0].i_frames[1].bytes = 50 * FRAME, "bytes of an I-frame of `360p` is listed wrongly: ")]
#[case::length_of_i_frame(|o: &mut Output| o.listing.tracks[0].i_frames[1].duration = 1.0, "duration of an I-frame of `360p` is listed wrongly: 1.0, and it is 2.0")]
#[case::language(|o: &mut Output| o.listing.tracks[1].claims.language = Some("en".to_owned()), "language of `audio` is listed wrongly: \"en\", and it is \"\"")]
#[case::no_language(|o: &mut Output| o.plan.audios[0].language = "deu".to_owned(), "language of `audio` is listed wrongly: nothing, and it is \"deu\"")]
#[case::another_language(|o: &mut Output| { o.plan.audios[0].language = "deu".to_owned(); o.listing.tracks[1].claims.language = Some("en".to_owned()); }, "language of `audio`")]
#[case::listed_length(|o: &mut Output| o.listing.tracks[0].segments[1].duration = Some(1.9), "listed with another duration")]
#[case::targets(|o: &mut Output| o.listing.tracks[1].claims.target_duration = Some(3.0), "the same target duration")]
#[case::place(|o: &mut Output| o.listing.tracks[0].segments[1].start = Some(3.0), "is listed elsewhere")]
#[case::whole(|o: &mut Output| o.listing.duration = Some(6.0), "the manifest says 6.000 s")]
fn untrue_claims_are_refused(#[case] change: fn(&mut Output), #[case] words: &str) {
    refused(change, ErrorCode::EncodingFailed, words);
}

#[rstest]
#[case::truncated(|o: &mut Output| { o.plan.duration = 12.0; }, ErrorCode::InvalidInput, "its index says 12.00 s, but only 5.00 s of video")]
#[case::too_long(|o: &mut Output| o.plan.duration = 3.0, ErrorCode::EncodingFailed, "`360p` has a duration of 5.00 s instead of 3.00 s")]
#[case::nothing(|o: &mut Output| o.video().packets = StreamPackets::new(VIDEO_FRAME_SECS, 0.001, Vec::new()), ErrorCode::InvalidInput, "no video in it could be decoded")]
fn wrong_lengths_are_refused(#[case] change: fn(&mut Output), #[case] code: ErrorCode, #[case] words: &str) {
    refused(change, code, words);
}

fn refused(change: fn(&mut Output), code: ErrorCode, words: &str) {
    let mut output = Output::right();
    change(&mut output);
    let error = output.judge().expect_err("refused");
    assert_eq!(error.code, code);
    assert!(error.detail.contains(words), "{}", error.detail);
}

#[test]
fn a_rendition_that_ends_before_the_other_is_refused() {
    let mut output = Output::right();
    output.plan.videos.push(VideoPlan { name: "shorter".to_owned(), ..output.plan.videos[0].clone() });
    let mut track = output.listing.tracks[0].clone();
    (track.name, track.planned) = ("shorter".to_owned(), vec![StreamRef::Video(1)]);
    output.listing.tracks.push(track);
    output.facts.push(output.facts[0].clone());
    let mut shorter_by = |frames: u64| {
        output.facts[2][0].packets.frames = 125 - frames;
        output.listing.tracks[2].segments[2].duration = Some(1.0 - frames as f64 * VIDEO_FRAME_SECS);
        let Output { plan, source, listing, facts } = &output;
        InspectedOutput { plan, source, listing, facts }.judge()
    };
    shorter_by(0).expect("right");
    shorter_by(1).expect("rates may differ");
    let error = shorter_by(2).expect_err("refused");
    assert_eq!(error.detail, "`shorter` has a duration of 4.920 s, and `360p` of 5.000 s");
}

#[rstest]
#[case("deu", Some("de"))]
#[case("deu", Some("deu"))]
#[case("ger", Some("de"))]
#[case("hbs", Some("sh"))]
#[case("", None)]
fn languages_may_have_two_letters(#[case] long: &str, #[case] claimed: Option<&str>) {
    let mut output = Output::right();
    output.plan.audios[0].language = long.to_owned();
    output.listing.tracks[1].claims.language = claimed.map(str::to_owned);
    output.judge().expect("right");
}

#[test]
fn a_mere_hint_of_a_duration_is_corrected() {
    let mut output = Output::right();
    output.plan.duration = 12.0;
    output.source.duration_is_indexed = false;
    output.judge().expect("right");
}

#[test]
fn far_more_than_packets_say_is_refused() {
    let mut output = Output::right();
    output.plan.duration = 0.9;
    output.source.duration_is_indexed = false;
    let error = output.judge().expect_err("refused");
    assert_eq!(error.code, ErrorCode::InvalidInput);
    assert_eq!(error.detail, "its time stamps say 0.90 s, but 5.00 s of video were decoded");
}

#[test]
fn what_is_listed_has_to_be_there() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("empty.ts"), "").expect("written");
    let dir = WorkFolder::open(folder.path()).expect("opened");
    let find = |uri: &str| MediaFile::find(&dir, uri).expect_err("refused").detail;
    assert_eq!(find("1.ts"), "`1.ts` is listed and is not there");
    assert_eq!(find("empty.ts"), "`empty.ts` is listed and is empty");
    assert_eq!(find("../empty.ts"), "`../empty.ts` is not a path of the output");
}
