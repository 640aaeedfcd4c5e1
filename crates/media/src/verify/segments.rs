//! Segments as files: each begins as players need it that join there.

use model::VideoCodec;

use super::{
    fragments,
    listing::{Listing, Planned, Wrapping, wrong},
    ts,
};
use crate::{
    error::MediaError,
    format::mp4::audio_entry::AudioParams,
    plan::{AudioPlan, Plan},
};

/// What a track of segments should hold.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    /// A rendition.
    Picture(VideoCodec),
    /// A sound.
    Sound(AudioParams),
}

/// Agrees, or says what is wrong. Nothing is asked of single files.
pub(super) fn check(plan: &Plan, listing: &Listing) -> Result<(), MediaError> {
    listing.tracks.iter().try_for_each(|track| {
        let wanted = match track.planned[..] {
            [Planned::Video(number)] => Wanted::Picture(plan.videos[number].codec),
            [Planned::Audio(number)] => Wanted::Sound(planned(&plan.audios[number])),
            _ => return Ok(()),
        };
        let checked = match track.wrapping {
            Wrapping::Ts => ts::check(track, wanted),
            Wrapping::Fragments => fragments::check(track, wanted, track.planned[0].is_copied(plan)),
            Wrapping::Mp4 | Wrapping::Flv => return Ok(()),
        };
        checked.map_err(|problem| wrong(format!("`{}`: {problem}", track.name)))
    })
}

fn planned(audio: &AudioPlan) -> AudioParams {
    AudioParams { codec: audio.codec, channels: audio.channels, sample_rate: audio.sample_rate }
}
