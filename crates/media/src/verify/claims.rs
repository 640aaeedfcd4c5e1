//! Compares what a playlist or manifest claims of a track with what was found in it.

use std::{collections::BTreeMap, fmt::Debug, path::Path};

use model::Format;

use super::{
    facts::{Keyframe, SegmentStats, StreamFacts},
    judge::{InspectedOutput, LISTED_PRECISION_SECS},
    listing::{IFrameRange, Segment, StreamRef, Track, TrackContainer, wrong_output},
};
use crate::{
    codecs::{self, CodedStream},
    error::MediaError,
    format::bandwidth::Bandwidth,
    plan::{AudioPlan, VideoPlan},
};

/// Share of itself by which a listed bit rate may be off.
const BIT_RATE_TOLERANCE: f64 = 0.01;

/// Frames a second by which a listed rate may be off: it has three decimals.
const FRAME_RATE_TOLERANCE: f64 = 0.001;

/// By which the listed range of an I-frame may be longer than its packet: transport
/// packets have headers of 4 bytes in 188, PES packets some more.
const I_FRAME_OVERHEAD_DIVISOR: u64 = 20;
const I_FRAME_OVERHEAD_BYTES: u64 = 1024;

/// Checks all claims of a listing. Nothing is claimed of single files.
pub(super) fn check(inspected: &InspectedOutput<'_>) -> Result<(), MediaError> {
    let plan = inspected.plan;
    if plan.segmenting.is_none() {
        return Ok(());
    }
    let is_hls = inspected.listing.format == Format::Hls;
    let min_buffer_time = inspected.listing.min_buffer_time;
    let tracks = || inspected.listing.tracks.iter().zip(inspected.facts);
    let mut max_audio_bandwidth = Bandwidth::default();
    for (track, _) in tracks() {
        if matches!(track.planned[..], [StreamRef::Audio(_)]) {
            max_audio_bandwidth = max_audio_bandwidth.max(measure_bandwidth(track, min_buffer_time));
        }
    }
    for (track, facts) in tracks() {
        let Some(stream) = facts.first() else { continue };
        let bandwidth = measure_bandwidth(track, min_buffer_time);
        match track.planned[..] {
            [StreamRef::Video(number)] => {
                let video = &plan.videos[number];
                // a variant of HLS is the video with its audio group
                let audio = if is_hls { plan.audios.first() } else { None };
                let audio_codec = audio.map(|audio| codecs::audio(audio.codec).rfc6381());
                check_codecs(track, Some((video, stream)), audio_codec)?;
                check_size_and_rate(track, video)?;
                if is_hls {
                    check_bandwidth(track, bandwidth.plus(max_audio_bandwidth), is_hls)?;
                    check_video_range(track, video)?;
                    check_i_frames(track, stream)?;
                } else {
                    check_bandwidth(track, bandwidth, is_hls)?;
                    check_colour(track, video)?;
                }
            }
            [StreamRef::Audio(number)] => {
                let audio = &plan.audios[number];
                let claims = &track.claims;
                let channels = audio.channels.into();
                check_claim(track, "number of channels", claims.channels.as_ref(), &channels)?;
                if !is_hls {
                    let sample_rate = audio.sample_rate.into();
                    check_claim(track, "sample rate", claims.sample_rate.as_ref(), &sample_rate)?;
                }
                check_language(track, audio)?;
                if claims.bandwidth.is_some() {
                    check_codecs(track, None, Some(codecs::audio(audio.codec).rfc6381()))?;
                    check_bandwidth(track, if is_hls { max_audio_bandwidth } else { bandwidth }, is_hls)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// What is listed, if anything, and what was found.
fn false_claim(track: &Track, what: &str, listed: Option<impl Debug>, found: impl Debug) -> MediaError {
    let listed = listed.map_or_else(|| "nothing".to_owned(), |listed| format!("{listed:?}"));
    let name = &track.name;
    wrong_output(format!("the {what} of `{name}` is listed wrongly: {listed}, and it is {found:?}"))
}

fn check_claim<T: PartialEq + Debug>(
    track: &Track,
    what: &str,
    listed: Option<&T>,
    found: &T,
) -> Result<(), MediaError> {
    if listed == Some(found) { Ok(()) } else { Err(false_claim(track, what, listed, found)) }
}

fn check_size_and_rate(track: &Track, video: &VideoPlan) -> Result<(), MediaError> {
    let size = (u64::from(video.width), u64::from(video.height));
    check_claim(track, "size", track.claims.size.as_ref(), &size)?;
    let rate = video.frame_rate.as_f64();
    if track.claims.frame_rate.is_none_or(|listed| (listed - rate).abs() > FRAME_RATE_TOLERANCE) {
        return Err(false_claim(track, "frame rate", track.claims.frame_rate, rate));
    }
    Ok(())
}

/// `VIDEO-RANGE`: what is not listed as PQ or HLG is SDR (draft-pantos-hls-rfc8216bis, 4.4.6.2).
fn check_video_range(track: &Track, video: &VideoPlan) -> Result<(), MediaError> {
    let range = match video.colour.transfer.as_str() {
        "smpte2084" => "PQ",
        "arib-std-b67" => "HLG",
        _ => "SDR",
    };
    let listed = track.claims.video_range.as_deref().unwrap_or("SDR");
    check_claim(track, "video range", Some(&listed), &range)
}

/// Code points of HDR are all listed; of other video, those that are listed are true (ISO/IEC 23091-2, 8).
fn check_colour(track: &Track, video: &VideoPlan) -> Result<(), MediaError> {
    let names = ["matrix", "transfer function", "primaries"];
    let (all_listed, all_found) = (track.claims.colour, video.colour.code_points());
    for (index, name) in names.into_iter().enumerate() {
        let (listed, found) = (all_listed[index], all_found[index]);
        let has_to_be_true = video.colour.is_hdr() || listed.is_some();
        if listed != found && has_to_be_true {
            return Err(false_claim(track, name, listed.as_ref(), found.unwrap_or_default()));
        }
    }
    Ok(())
}

/// A language has two letters, where there is such a code, or three (RFC 5646, 2.2.1). Of the languages with
/// two codes of three letters (`ger`, `deu`) only one is known here.
fn check_language(track: &Track, audio: &AudioPlan) -> Result<(), MediaError> {
    let listed = track.claims.language.as_deref().unwrap_or_default();
    let planned = audio.language.as_str();
    let language = isolang::Language::from_639_3(planned);
    let is_short_code = language.is_some_and(|language| language.to_639_1() == Some(listed));
    let is_unknown_code = language.is_none() && !planned.is_empty() && !listed.is_empty();
    if listed == planned || is_short_code || is_unknown_code {
        return Ok(());
    }
    Err(false_claim(track, "language", track.claims.language.as_ref(), planned))
}

/// Measured on the segments as they are; their durations were compared before. With a `minBufferTime`, the
/// peak is what DASH calls bandwidth.
fn measure_bandwidth(track: &Track, min_buffer_time: Option<f64>) -> Bandwidth {
    let segment = |segment: &Segment| (segment.file.bytes, segment.duration.unwrap_or_default());
    let segments: Vec<_> = track.segments.iter().map(segment).collect();
    let mut bandwidth = Bandwidth::of(&segments, track.claims.target_duration);
    if let Some(min_buffer_time) = min_buffer_time {
        bandwidth.peak = Bandwidth::peak_with_buffer(&segments, min_buffer_time);
    }
    bandwidth
}

/// Whether a listed bit rate is the one that was measured.
pub(super) fn is_same_bit_rate(listed: f64, found: f64) -> bool {
    (listed - found).abs() <= BIT_RATE_TOLERANCE * found + 1.0
}

/// HLS lists an average too.
fn check_bandwidth(track: &Track, found: Bandwidth, has_average: bool) -> Result<(), MediaError> {
    let claims = &track.claims;
    let is_true = |listed: Option<f64>, found| listed.is_some_and(|listed| is_same_bit_rate(listed, found));
    if !is_true(claims.bandwidth, found.peak) {
        return Err(false_claim(track, "bandwidth", claims.bandwidth, found.peak));
    }
    if has_average && !is_true(claims.average_bandwidth, found.average) {
        return Err(false_claim(track, "average bandwidth", claims.average_bandwidth, found.average));
    }
    Ok(())
}

/// The list has the video's codec by the stream's header, then the audio's, and no other.
fn check_codecs(
    track: &Track,
    video: Option<(&VideoPlan, &StreamFacts)>,
    audio: Option<&str>,
) -> Result<(), MediaError> {
    let listed = track.claims.codecs.as_deref().unwrap_or_default().to_ascii_lowercase();
    let mut listed: Vec<&str> = listed.split(',').collect();
    let listed_audio = if audio.is_some() { listed.pop() } else { None };
    let listed_video = listed.pop();
    let is_audio_true = audio.is_none() || listed_audio == audio;
    let is_video_true = match (video, listed_video) {
        (None, listed) => listed.is_none(),
        (Some((video, stream)), Some(listed)) => is_codec_of(video, stream, listed),
        (Some(_), None) => false,
    };
    if is_audio_true && is_video_true && listed.is_empty() {
        return Ok(());
    }
    let video = video.map(|(video, _)| codecs::video(video.codec).sample_entry());
    let found: Vec<&str> = video.into_iter().chain(audio).collect();
    Err(false_claim(track, "codec", track.claims.codecs.as_ref(), found))
}

fn is_codec_of(video: &VideoPlan, stream: &StreamFacts, listed: &str) -> bool {
    let coded = CodedStream {
        profile: stream.header.profile.as_str(),
        level: stream.header.level,
        planned_level: &video.level,
        bit_depth: video.bit_depth,
        is_copied: video.copied().is_some(),
    };
    codecs::video(video.codec).matches_rfc6381(listed, &coded)
}

/// A player that fetches the listed range of a segment has the whole I-frame, and no more; it is shown until
/// the next one (RFC 8216, 4.3.3.6).
fn check_i_frames(track: &Track, stream: &StreamFacts) -> Result<(), MediaError> {
    let packets = &stream.packets;
    let segment_starts = segment_starts(track);
    let keyframes = listed_keyframes(track, stream, &segment_starts);
    if keyframes.len() != track.i_frames.len() {
        let (listed, found) = (track.i_frames.len(), keyframes.len());
        return Err(wrong_output(format!("`{}` lists {listed} I-frames and has {found}", track.name)));
    }
    for (index, (range, key)) in track.i_frames.iter().zip(&keyframes).enumerate() {
        let end = keyframes.get(index + 1).map_or(packets.duration(), |next| next.time);
        check_i_frame_bytes(track, range, key, segment_starts.get(range.path.as_path()))?;
        let duration = end - key.time;
        let tolerance = match packets.source() {
            None => LISTED_PRECISION_SECS,
            Some(_) if end == packets.duration() => LISTED_PRECISION_SECS + packets.frame_duration(),
            Some(source) => LISTED_PRECISION_SECS + 2.0 * source.time_base,
        };
        if (range.duration - duration).abs() > tolerance {
            return Err(false_claim(track, "duration of an I-frame", Some(range.duration), duration));
        }
    }
    Ok(())
}

/// Where each segment begins in the bytes of its track.
fn segment_starts(track: &Track) -> BTreeMap<&Path, u64> {
    let mut start = track.init.as_ref().map_or(0, |init| init.bytes);
    let mut starts = BTreeMap::new();
    for segment in &track.segments {
        starts.insert(segment.file.path.as_path(), start);
        start += segment.file.bytes;
    }
    starts
}

/// The key frames that have to be listed: all, but for copies in fragmented MP4. There the packager lists
/// the first frame of each fragment, and several key frames of a copy that are near each other are one
/// fragment.
fn listed_keyframes<'a>(
    track: &Track,
    stream: &'a StreamFacts,
    segment_starts: &BTreeMap<&Path, u64>,
) -> Vec<&'a Keyframe> {
    let packets = &stream.packets;
    if packets.source().is_none() || track.container == TrackContainer::Ts {
        return packets.keyframes.iter().collect();
    }
    let position = |range: &IFrameRange| {
        let start = segment_starts.get(range.path.as_path())? + range.offset;
        Some((start, start + range.bytes))
    };
    let ranges: BTreeMap<u64, u64> = track.i_frames.iter().filter_map(position).collect();
    let is_listed = |key: &Keyframe| {
        ranges.range(..=key.position).next_back().is_some_and(|(_, end)| key.position < *end)
    };
    let begins_segment = |key: &Keyframe| {
        let off = |segment: &SegmentStats| (segment.start - packets.start - key.time).abs();
        packets.segments.iter().any(|segment| off(segment) <= packets.tolerance())
    };
    packets.keyframes.iter().filter(|key| is_listed(key) || begins_segment(key)).collect()
}

/// The listed range holds the packet of a key frame, and hardly more.
fn check_i_frame_bytes(
    track: &Track,
    range: &IFrameRange,
    key: &Keyframe,
    segment_start: Option<&u64>,
) -> Result<(), MediaError> {
    let found = key.position..key.position + key.size;
    let max_overhead = key.size / I_FRAME_OVERHEAD_DIVISOR + I_FRAME_OVERHEAD_BYTES;
    let Some(segment_start) = segment_start else {
        return Err(false_claim(track, "bytes of an I-frame", None::<u64>, found));
    };
    let start = segment_start + range.offset;
    let end = start + range.bytes;
    if start > found.start || end < found.end || end > found.end + max_overhead {
        return Err(false_claim(track, "bytes of an I-frame", Some(start..end), found));
    }
    Ok(())
}
