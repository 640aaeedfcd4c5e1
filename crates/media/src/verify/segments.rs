//! The start of each segment file: players join there, so it has to hold all that a decoder needs.

use super::{
    fragments,
    listing::{ExpectedTrack, Listing, StreamRef, TrackContainer, wrong_output},
    ts,
};
use crate::{
    error::MediaError,
    format::mp4::audio_entry::AudioParams,
    plan::{AudioPlan, Plan},
    work_folder::WorkFolder,
};

/// Checks every segment. Single files have none.
pub(super) fn check(plan: &Plan, listing: &Listing, dir: &WorkFolder) -> Result<(), MediaError> {
    for track in &listing.tracks {
        let expected = match track.planned[..] {
            [StreamRef::Video(number)] => ExpectedTrack::Video(plan.videos[number].codec),
            [StreamRef::Audio(number)] => ExpectedTrack::Audio(audio_params(&plan.audios[number])),
            _ => continue,
        };
        let checked = match track.container {
            TrackContainer::Ts => ts::check(track, expected, dir),
            TrackContainer::FragmentedMp4 => {
                fragments::check(track, expected, track.planned[0].is_copied(plan), dir)
            }
            TrackContainer::Mp4 | TrackContainer::Flv => continue,
        };
        checked.map_err(|problem| wrong_output(format!("`{}`: {problem}", track.name)))?;
    }
    Ok(())
}

fn audio_params(audio: &AudioPlan) -> AudioParams {
    AudioParams { codec: audio.codec, channels: audio.channels, sample_rate: audio.sample_rate }
}
