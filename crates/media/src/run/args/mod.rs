//! Plan → argument lists. Pure: nothing runs here, and what is tested is the whole command line.
//!
//! One FFmpeg process decodes once and feeds every rendition. Single files are written to
//! `<work>/out/main.<ext>`; for segmented formats each rendition and each sound goes as fragmented
//! MP4 into a named pipe of its own, `<work>/pipes/<name>.mp4`, which the packager reads.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::Plan;

mod alike;
mod ffmpeg;
mod filters;
mod logo;
#[cfg(test)]
mod matrix;
mod packager;
mod stills;
#[cfg(test)]
mod tests;

/// What has to run for a plan, side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commands {
    /// FFmpeg's arguments, without the program.
    pub ffmpeg: Vec<OsString>,
    /// The packager's arguments, without the program; none for single files.
    pub packager: Option<Vec<OsString>>,
    /// Named pipes that must exist before either starts; empty for single files. Their folder
    /// `<work>/pipes` and the folder `<work>/out` must exist as well.
    pub pipes: Vec<PathBuf>,
}

/// dB of full scale that peaks are held below before encoding, where they may be above it: EBU R 128 and players
/// have them at -1 at most, and an encoder adds a little.
pub(crate) const CEILING: f64 = -1.5;

/// How a sound's loudness is changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Gain {
    /// From start to end.
    pub decibels: f64,
    /// dBTP that peaks are held below; none where none is that high.
    pub ceiling: Option<f64>,
}

/// The filter that measures loudness; each has the number of its sound for a name.
pub(crate) const METER: &str = "ebur128";

/// The arguments of an FFmpeg that measures every sound of a plan as it would come out.
pub(crate) fn listening(plan: &Plan, gains: &[Option<Gain>], input: &Path, work: &Path) -> Vec<OsString> {
    ffmpeg::listening(plan, gains, input, work)
}

/// What FFmpeg says before it ends where a sound changes that may.
pub(crate) const CHANGES: &str = "Changing audio frame properties on the fly is not supported";

/// The arguments of an FFmpeg that writes the sounds that change into a file in `work`, at one rate and with the same
/// channels throughout.
pub(crate) fn making_alike(plan: &Plan, input: &Path, work: &Path) -> Vec<OsString> {
    alike::making(plan, input, work)
}

/// The arguments of an FFmpeg that lists every packet which a plan copies.
pub(crate) fn copied(plan: &Plan, input: &Path) -> Vec<OsString> {
    ffmpeg::copied(plan, input)
}

/// The commands of a plan.
///
/// Sounds that are alike are read from the file that [`making_alike`] makes. `gains` are those of the sounds, in
/// their order; what is missing stays as it is.
pub(crate) fn commands(plan: &Plan, gains: &[Option<Gain>], input: &Path, work: &Path) -> Commands {
    let segmented = plan.segmenting.is_some();
    Commands {
        ffmpeg: ffmpeg::arguments(plan, gains, input, work),
        packager: plan.segmenting.map(|segmenting| packager::arguments(plan, segmenting)),
        pipes: stream_names(plan).filter(|_| segmented).map(|name| pipe(work, name)).collect(),
    }
}

/// The names of all streams that come out: renditions, then sounds.
fn stream_names(plan: &Plan) -> impl Iterator<Item = &str> {
    let videos = plan.videos.iter().map(|video| video.name.as_str());
    videos.chain(plan.audios.iter().map(|audio| audio.name.as_str()))
}

fn pipe(work: &Path, name: &str) -> PathBuf {
    work.join("pipes").join(format!("{name}.mp4"))
}
