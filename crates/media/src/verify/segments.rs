//! Segments as files: each begins as players need it that join there, and none is left over.

use std::{collections::BTreeSet, fs};

use super::{
    fragments,
    listing::{Listing, Planned, Track, Wrapping, wrong},
    ts,
};
use crate::{MediaError, PictureCodec, Plan, SoundCodec, formats};

/// What a track of segments should hold.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    /// A rendition.
    Picture(PictureCodec),
    /// A sound.
    Sound(SoundCodec),
}

/// Agrees, or says what is wrong. Nothing is asked of single files.
pub(super) fn check(plan: &Plan, listing: &Listing) -> Result<(), MediaError> {
    listing.tracks.iter().try_for_each(|track| {
        let wanted = match track.planned[..] {
            [Planned::Video(number)] => Wanted::Picture(plan.videos[number].codec),
            [Planned::Audio(number)] => Wanted::Sound(plan.audios[number].codec),
            _ => return Ok(()),
        };
        let checked = match track.wrapping {
            Wrapping::Ts => ts::check(track, wanted),
            Wrapping::Fragments => fragments::check(track, wanted),
            Wrapping::Mp4 | Wrapping::Flv => return Ok(()),
        };
        let checked = checked.and_then(|()| all_are_listed(track));
        checked.map_err(|problem| wrong(format!("`{}`: {problem}", track.name)))
    })
}

/// Every segment in the track's folder is listed: none was lost on the way to the playlist.
fn all_are_listed(track: &Track) -> Result<(), String> {
    let listed: BTreeSet<_> = track.segments.iter().map(|segment| segment.piece.path.as_path()).collect();
    let folder = track.segments.first().and_then(|segment| segment.piece.path.parent());
    let Some(folder) = folder else { return Ok(()) };
    let files = fs::read_dir(folder).map_err(|error| format!("its folder cannot be read: {error}"))?;
    for file in files.filter_map(Result::ok) {
        let name = file.file_name().to_string_lossy().into_owned();
        if name.starts_with(formats::SEGMENT) && !listed.contains(file.path().as_path()) {
            return Err(format!("the segment `{name}` is not listed"));
        }
    }
    Ok(())
}
