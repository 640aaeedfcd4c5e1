//! Holds what a playlist or manifest says of a track to what was found.

use std::{collections::BTreeMap, fmt::Debug};

use model::Format;

use super::{
    facts::{Held, Keyframe, StreamFacts},
    judge::{Found, LISTED},
    listing::{Planned, Range, Segment, Track, Wrapping, wrong},
};
use crate::{
    codecs,
    codecs::CodedStream,
    error::MediaError,
    format::bandwidth::Bandwidth,
    plan::{AudioPlan, VideoPlan},
};

/// Bit rates are told to within so much of themselves.
const BIT_RATES: f64 = 0.01;

/// Frames a second are told with three decimals.
const FRAME_RATES: f64 = 0.001;

/// Agrees, or says what is wrong. Nothing is claimed of single files.
pub(super) fn check(found: &Found<'_>) -> Result<(), MediaError> {
    if found.plan.segmenting.is_none() {
        return Ok(());
    }
    let hls = found.listing.format == Format::Hls;
    let each = || found.listing.tracks.iter().zip(found.facts);
    let sounds = each().filter(|(track, _)| matches!(track.planned[..], [Planned::Audio(_)]));
    let buffer = found.listing.buffer;
    let rate = |(track, _): (&Track, _)| bandwidth(track, buffer);
    let loudest = sounds.map(rate).fold(Bandwidth::default(), Bandwidth::max);
    for (track, facts) in each() {
        let Some(stream) = facts.first() else { continue };
        let of_it = bandwidth(track, buffer);
        match track.planned[..] {
            [Planned::Video(number)] => {
                let sound = found
                    .plan
                    .audios
                    .first()
                    .filter(|_| hls)
                    .map(|audio| codecs::audio(audio.codec).rfc6381());
                let video = &found.plan.videos[number];
                check_codecs(track, Some((video, stream)), sound)?;
                let size = (u64::from(video.width), u64::from(video.height));
                is_said(track, "size", track.claims.size.as_ref(), &size)?;
                let rate = video.rate.as_f64();
                if track.claims.rate.is_none_or(|claimed| (claimed - rate).abs() > FRAME_RATES) {
                    return Err(untrue(track, "frame rate", track.claims.rate, rate));
                }
                check_bandwidth(track, if hls { of_it.plus(loudest) } else { of_it }, hls)?;
                if hls {
                    check_range(track, video)?;
                    check_i_frames(track, stream)?;
                } else {
                    check_colour(track, video)?;
                }
            }
            [Planned::Audio(number)] => {
                let audio = &found.plan.audios[number];
                is_said(track, "number of channels", track.claims.channels.as_ref(), &audio.channels.into())?;
                if !hls {
                    let said = track.claims.sample_rate.as_ref();
                    is_said(track, "sample rate", said, &audio.sample_rate.into())?;
                }
                check_language(track, audio)?;
                if track.claims.bandwidth.is_some() {
                    check_codecs(track, None, Some(codecs::audio(audio.codec).rfc6381()))?;
                    check_bandwidth(track, if hls { loudest } else { of_it }, hls)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// What is said, if anything, and what was found.
fn untrue(track: &Track, what: &str, said: Option<impl Debug>, found: impl Debug) -> MediaError {
    let said = said.map_or_else(|| "nothing".to_owned(), |said| format!("{said:?}"));
    let name = &track.name;
    wrong(format!("what is said of the {what} of `{name}` is not true: {said}, and it is {found:?}"))
}

fn is_said<T: PartialEq + Debug>(
    track: &Track,
    what: &str,
    said: Option<&T>,
    found: &T,
) -> Result<(), MediaError> {
    if said == Some(found) { Ok(()) } else { Err(untrue(track, what, said, found)) }
}

/// What is not said to be PQ or HLG is SDR (draft-pantos-hls-rfc8216bis, 4.4.6.2).
fn check_range(track: &Track, video: &VideoPlan) -> Result<(), MediaError> {
    let range = match video.colour.transfer.as_str() {
        "smpte2084" => "PQ",
        "arib-std-b67" => "HLG",
        _ => "SDR",
    };
    let said = track.claims.range.as_deref().unwrap_or("SDR");
    is_said(track, "range of the picture", Some(&said), &range)
}

/// Of HDR everything is said of its colours, and of others what is said is true (ISO/IEC 23091-2, 8).
fn check_colour(track: &Track, video: &VideoPlan) -> Result<(), MediaError> {
    let is_hdr = video.colour.is_hdr();
    let names = ["matrix", "transfer function", "primaries"];
    let points = track.claims.colour.iter().zip(video.colour.code_points());
    for (name, (said, found)) in names.into_iter().zip(points) {
        if *said != found && (is_hdr || said.is_some()) {
            return Err(untrue(track, name, said.as_ref(), found.unwrap_or_default()));
        }
    }
    Ok(())
}

/// A sound's language is named with two letters, where there are two, or with three (RFC 5646, 2.2.1). Of the codes with
/// two forms of three letters (`ger`, `deu`) only one is known here.
fn check_language(track: &Track, audio: &AudioPlan) -> Result<(), MediaError> {
    let (said, long) = (track.claims.language.as_deref().unwrap_or_default(), audio.language.as_str());
    let known = isolang::Language::from_639_3(long);
    let is_short = known.is_some_and(|language| language.to_639_1() == Some(said));
    let is_other = known.is_none() && !long.is_empty() && !said.is_empty();
    if said == long || is_short || is_other {
        return Ok(());
    }
    Err(untrue(track, "language", track.claims.language.as_ref(), long))
}

/// Measured on the segments as they are; how long they last was judged before. With a buffer, the peak is
/// what DASH calls one.
fn bandwidth(track: &Track, buffer: Option<f64>) -> Bandwidth {
    let listed = |segment: &Segment| (segment.piece.bytes, segment.seconds.unwrap_or_default());
    let listed: Vec<_> = track.segments.iter().map(listed).collect();
    let found = Bandwidth::of(&listed, track.claims.target);
    let peak = buffer.map_or(found.peak, |buffer| Bandwidth::peak_with_buffer(&listed, buffer));
    Bandwidth { peak, ..found }
}

/// Whether a bit rate is told as it was measured.
pub(super) fn is_rate(claimed: f64, found: f64) -> bool {
    (claimed - found).abs() <= BIT_RATES * found + 1.0
}

/// HLS claims an average too.
fn check_bandwidth(track: &Track, found: Bandwidth, with_average: bool) -> Result<(), MediaError> {
    let is_true = |claimed: Option<f64>, found| claimed.is_some_and(|claimed| is_rate(claimed, found));
    if !is_true(track.claims.bandwidth, found.peak) {
        return Err(untrue(track, "bandwidth", track.claims.bandwidth, found.peak));
    }
    if with_average && !is_true(track.claims.average, found.average) {
        return Err(untrue(track, "average bandwidth", track.claims.average, found.average));
    }
    Ok(())
}

/// The picture's codec from what the stream's header says, and the sound's, and no other.
fn check_codecs(
    track: &Track,
    picture: Option<(&VideoPlan, &StreamFacts)>,
    sound: Option<&str>,
) -> Result<(), MediaError> {
    let claimed = track.claims.codecs.as_deref().unwrap_or_default().to_ascii_lowercase();
    let mut claimed: Vec<&str> = claimed.split(',').collect();
    let is_sound = |found: Option<&str>| sound.is_none() || found == sound;
    let is_picture = |found: Option<&str>| match (picture, found) {
        (None, found) => found.is_none(),
        (Some((video, stream)), Some(found)) => {
            let header = &stream.header;
            let (profile, level) = (header.profile.as_str(), header.level);
            let is_copied = video.copied().is_some();
            let coded = CodedStream {
                profile,
                level,
                planned_level: &video.level,
                bit_depth: video.depth,
                is_copied,
            };
            codecs::video(video.codec).matches_rfc6381(found, &coded)
        }
        (Some(_), None) => false,
    };
    let heard = if sound.is_some() { claimed.pop() } else { None };
    let shown = claimed.pop();
    if is_sound(heard) && is_picture(shown) && claimed.is_empty() {
        Ok(())
    } else {
        let found: Vec<&str> = picture
            .map(|(video, _)| codecs::video(video.codec).sample_entry())
            .into_iter()
            .chain(sound)
            .collect();
        Err(untrue(track, "codec", track.claims.codecs.as_ref(), found))
    }
}

/// A player that fetches the listed range of a segment has the whole picture, and no more; it is shown
/// until the next one (RFC 8216, 4.3.3.6).
fn check_i_frames(track: &Track, stream: &StreamFacts) -> Result<(), MediaError> {
    let mut begin = track.init.as_ref().map_or(0, |init| init.bytes);
    let mut begins = BTreeMap::new();
    for segment in &track.segments {
        begins.insert(segment.piece.path.as_path(), begin);
        begin += segment.piece.bytes;
    }
    let packets = &stream.packets;
    let begins_segment = |key: &Keyframe| {
        let off = |held: &Held| (held.start - packets.start - key.time).abs();
        packets.held.iter().any(|held| off(held) <= packets.tolerance())
    };
    let place = |range: &Range| {
        let from = begins.get(range.path.as_path())? + range.offset;
        Some((from, from + range.length))
    };
    let listed: BTreeMap<u64, u64> = track.i_frames.iter().filter_map(place).collect();
    let is_listed =
        |key: &Keyframe| listed.range(..=key.at).next_back().is_some_and(|(_, end)| key.at < *end);
    // the packager lists the first picture of each fragment, of which a copy has one for near key frames
    let all = packets.original().is_none() || track.wrapping == Wrapping::Ts;
    let counts = |key: &&Keyframe| all || is_listed(key) || begins_segment(key);
    let keyframes: Vec<_> = packets.keyframes.iter().filter(counts).collect();
    if keyframes.len() != track.i_frames.len() {
        let (listed, found) = (track.i_frames.len(), keyframes.len());
        return Err(wrong(format!("`{}` lists {listed} I-frames and has {found}", track.name)));
    }
    let ends = keyframes.iter().skip(1).map(|key| key.time).chain([packets.seconds()]);
    for ((range, key), end) in track.i_frames.iter().zip(&keyframes).zip(ends) {
        let said = begins.get(range.path.as_path()).map(|begin| begin + range.offset);
        let (from, to) = (said.unwrap_or(u64::MAX), said.unwrap_or_default() + range.length);
        // Packets of transport streams have headers of their own, 4 bytes of 188 and some more.
        let most = key.size + key.size / 20 + 1024;
        if from > key.at || to < key.at + key.size || to > key.at + most {
            let said = said.map(|from| from..to);
            return Err(untrue(track, "bytes of an I-frame", said, key.at..key.at + key.size));
        }
        let seconds = end - key.time;
        let exact = match packets.original() {
            None => LISTED,
            Some(_) if end == packets.seconds() => LISTED + packets.frame(),
            Some(original) => LISTED + 2.0 * original.time_base,
        };
        if (range.seconds - seconds).abs() > exact {
            return Err(untrue(track, "length of an I-frame", Some(range.seconds), seconds));
        }
    }
    Ok(())
}
