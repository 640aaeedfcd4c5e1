//! Decodes the first and the last segment of a track, or the start and the end of a long file.

use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use super::{
    facts::StreamFacts,
    listing::{Planned, Track, Wrapping, wrong},
    scan::{Input, Reader, words},
};
use crate::{Media, MediaError, Plan};

/// Seconds of a file that are decoded at its start and at its end.
const STRETCH: f64 = 4.0;

/// Whether a track is decoded whole, while it is scanned: that costs less than to look at it twice.
pub(super) fn is_short(plan: &Plan, track: &Track) -> bool {
    plan.duration <= 2.0 * STRETCH || plan.segmenting.is_some() && track.segments.len() <= 2
}

/// What was scanned and decoded whole has as many frames as packets.
pub(super) fn check_whole(track: &Track, facts: &[StreamFacts]) -> Result<(), MediaError> {
    let each = track.planned.iter().zip(facts);
    each.into_iter().try_for_each(|(planned, stream)| {
        check_count(track, *planned, stream.header.decoded, stream.packets.count)
    })
}

/// Decodes both ends of a track.
pub(super) async fn check_ends(
    media: &Media,
    plan: &Plan,
    track: &Track,
    facts: &[StreamFacts],
    cancel: &CancellationToken,
) -> Result<(), MediaError> {
    let mut args = words(&["-v", "error", "-of", "compact", "-threads", "2", "-count_frames"]);
    args.extend(words(&["-show_entries", "stream=codec_type,nb_read_frames"]));
    let (Some(first), Some(last)) = (track.segments.first(), track.segments.last()) else { return Ok(()) };
    let pieces: Vec<PathBuf> =
        track.init.iter().chain([&first.piece, &last.piece]).map(|piece| piece.path.clone()).collect();
    let is_file = matches!(track.wrapping, Wrapping::Mp4 | Wrapping::Flv);
    if is_file {
        let from = plan.duration - STRETCH;
        args.extend(words(&["-read_intervals", &format!("%+{STRETCH},{from:.3}%")]));
    }
    let mut reader = Reader::new(plan, track);
    let ended = Input::of(track, pieces).probe(media, args, cancel, |line| reader.line(line)).await?;
    let trouble = ended.stderr_tail.trim();
    if !ended.status.success() || !trouble.is_empty() {
        return Err(wrong(format!("`{}` cannot be decoded without errors", track.name)).with_log(trouble));
    }
    let each = track.planned.iter().zip(facts).zip(reader.streams(&track.name)?);
    for ((planned, stream), decoded) in each {
        let packets = &stream.packets;
        let ends = packets.held.first().into_iter().chain(packets.held.last());
        let in_ends: u64 = ends.map(|held| held.packets).sum();
        // How far a seek goes back is the demuxer's affair: one stretch at least is decoded.
        let in_stretch = (0.9 * STRETCH / packets.frame()) as u64;
        match decoded.header.decoded {
            Some(count) if is_file && count >= in_stretch.min(packets.count) => {}
            count => check_count(track, *planned, count, in_ends)?,
        }
    }
    Ok(())
}

fn check_count(
    track: &Track,
    planned: Planned,
    decoded: Option<u64>,
    packets: u64,
) -> Result<(), MediaError> {
    let decoded = decoded.unwrap_or(0);
    let silent = match planned {
        Planned::Video(_) => 0,
        // What the encoder puts before the first sample is not played.
        Planned::Audio(_) => 1,
    };
    if decoded + silent >= packets && decoded <= packets {
        return Ok(());
    }
    Err(wrong(format!("{decoded} of {packets} frames of `{}` can be decoded", track.name)))
}
