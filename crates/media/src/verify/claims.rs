//! Holds what a playlist or manifest says of a track to what was found.

use std::collections::BTreeMap;

use model::Format;

use super::{
    facts::StreamFacts,
    judge::Found,
    listing::{Planned, Segment, Track, wrong},
};
use crate::{MediaError, VideoPlan, codecs::Named, package::Bandwidth};

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
    let rate = |(track, _): (&Track, _)| bandwidth(track);
    let loudest = sounds.map(rate).fold(Bandwidth::default(), Bandwidth::larger);
    for (track, facts) in each() {
        let Some(stream) = facts.first() else { continue };
        let of_it = bandwidth(track);
        match track.planned[..] {
            [Planned::Video(number)] => {
                let sound = found.plan.audios.first().filter(|_| hls).map(|audio| audio.codec.claim());
                let video = &found.plan.videos[number];
                check_codecs(track, Some((video, stream)), sound)?;
                let size = (u64::from(video.width), u64::from(video.height));
                if track.claims.size != Some(size) {
                    return Err(untrue(track, "size"));
                }
                let rate = video.rate.as_f64();
                if track.claims.rate.is_none_or(|claimed| (claimed - rate).abs() > FRAME_RATES) {
                    return Err(untrue(track, "frame rate"));
                }
                check_bandwidth(track, if hls { of_it.plus(loudest) } else { of_it }, hls)?;
                if hls {
                    let range = match video.colour.transfer.as_str() {
                        "smpte2084" => "PQ",
                        "arib-std-b67" => "HLG",
                        _ => "SDR",
                    };
                    if track.claims.range.as_deref().unwrap_or("SDR") != range {
                        return Err(untrue(track, "range of the picture"));
                    }
                    check_i_frames(track, stream)?;
                }
            }
            [Planned::Audio(number)] => {
                let audio = &found.plan.audios[number];
                if track.claims.channels != Some(audio.channels.into()) {
                    return Err(untrue(track, "number of channels"));
                }
                if track.claims.sample_rate.is_some_and(|rate| rate != u64::from(audio.sample_rate)) {
                    return Err(untrue(track, "sample rate"));
                }
                if track.claims.bandwidth.is_some() {
                    check_codecs(track, None, Some(audio.codec.claim()))?;
                    check_bandwidth(track, if hls { loudest } else { of_it }, hls)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn untrue(track: &Track, what: &str) -> MediaError {
    wrong(format!("what is said of the {what} of `{}` is not true", track.name))
}

/// Measured on the segments as they are; how long they last was judged before.
fn bandwidth(track: &Track) -> Bandwidth {
    let listed = |segment: &Segment| (segment.piece.bytes, segment.seconds.unwrap_or_default());
    Bandwidth::of(&track.segments.iter().map(listed).collect::<Vec<_>>())
}

/// HLS claims an average too.
fn check_bandwidth(track: &Track, found: Bandwidth, with_average: bool) -> Result<(), MediaError> {
    let is_true = |claimed: Option<f64>, found: f64| {
        claimed.is_some_and(|claimed| (claimed - found).abs() <= BIT_RATES * found + 1.0)
    };
    if !is_true(track.claims.bandwidth, found.peak) {
        return Err(untrue(track, "bandwidth"));
    }
    if with_average && !is_true(track.claims.average, found.average) {
        return Err(untrue(track, "average bandwidth"));
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
            let named = Named { profile, level, planned_level: &video.level, depth: video.depth };
            video.codec.is_claimed(found, &named)
        }
        (Some(_), None) => false,
    };
    let heard = if sound.is_some() { claimed.pop() } else { None };
    let shown = claimed.pop();
    if is_sound(heard) && is_picture(shown) && claimed.is_empty() {
        Ok(())
    } else {
        Err(untrue(track, "codec"))
    }
}

/// A player that fetches the listed range of a segment has the whole picture, and no more.
fn check_i_frames(track: &Track, stream: &StreamFacts) -> Result<(), MediaError> {
    let mut begin = track.init.as_ref().map_or(0, |init| init.bytes);
    let mut begins = BTreeMap::new();
    for segment in &track.segments {
        begins.insert(segment.piece.path.as_path(), begin);
        begin += segment.piece.bytes;
    }
    let keyframes = &stream.packets.keyframes;
    if keyframes.len() != track.i_frames.len() {
        let (listed, found) = (track.i_frames.len(), keyframes.len());
        return Err(wrong(format!("`{}` lists {listed} I-frames and has {found}", track.name)));
    }
    for (range, key) in track.i_frames.iter().zip(keyframes) {
        let Some(begin) = begins.get(range.path.as_path()) else {
            return Err(untrue(track, "I-frames"));
        };
        let (from, to) = (begin + range.offset, begin + range.offset + range.length);
        // Packets of transport streams have headers of their own, 4 bytes of 188 and some more.
        let most = key.size + key.size / 20 + 1024;
        if from > key.at || to < key.at + key.size || to > key.at + most {
            return Err(untrue(track, "I-frames"));
        }
    }
    Ok(())
}
