//! Plan → argument lists. Pure: nothing runs here, and what is tested is the whole command line.
//!
//! One FFmpeg process decodes once and feeds every rendition. Single files are written to
//! `<work>/out/main.<ext>`; for segmented formats each rendition and each audio track goes as fragmented
//! MP4 into a named pipe of its own, `<work>/pipes/<name>.mp4`, which the packager reads.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::plan::{AudioPlan, Plan};

pub(super) mod ffmpeg;
pub(super) mod filters;
mod logo;
#[cfg(test)]
mod matrix;
mod packager;
pub(super) mod resampled;
#[cfg(test)]
pub(super) mod tests;
mod thumbnails;

use filters::Gain;

/// What the command lines of a run are made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct CommandContext<'a> {
    /// What is made.
    pub plan: &'a Plan,
    /// What FFmpeg opens: an absolute path, or the name of a pipe.
    pub input: &'a Path,
    /// The work folder.
    pub work: &'a Path,
    /// The stream indices of those audios that were resampled beforehand, into a file in `work`.
    pub resampled: &'a [u32],
    /// How the loudness of each audio is changed, in their order; where one is missing, it stays.
    pub gains: &'a [Option<Gain>],
}

impl<'a> CommandContext<'a> {
    /// The audios that were resampled beforehand, in the order in which their file has them.
    fn resampled_audios(&self) -> impl Iterator<Item = &'a AudioPlan> {
        let resampled = self.resampled;
        self.plan.audios.iter().filter(move |audio| resampled.contains(&audio.index))
    }

    fn is_resampled(&self, audio: &AudioPlan) -> bool {
        self.resampled.contains(&audio.index)
    }

    fn gain(&self, number: usize) -> Option<Gain> {
        self.gains.get(number).copied().flatten()
    }
}

/// What has to run for a plan, side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Commands {
    /// FFmpeg's arguments, without the program.
    pub ffmpeg: Vec<OsString>,
    /// The packager's arguments, without the program; none for single files.
    pub packager: Option<Vec<OsString>>,
    /// Named pipes that must exist before either starts; empty for single files. Their folder
    /// `<work>/pipes` and the folder `<work>/out` must exist as well.
    pub pipes: Vec<PathBuf>,
}

/// The commands that make an output.
pub(super) fn commands(context: &CommandContext<'_>) -> Commands {
    let CommandContext { plan, work, .. } = *context;
    let is_segmented = plan.segmenting.is_some();
    Commands {
        ffmpeg: ffmpeg::output_args(context),
        packager: plan.segmenting.map(|segmenting| packager::args(plan, segmenting)),
        pipes: if is_segmented {
            stream_names(plan).map(|name| pipe(work, name)).collect()
        } else {
            Vec::new()
        },
    }
}

/// The names of all streams that come out: renditions, then audios.
fn stream_names(plan: &Plan) -> impl Iterator<Item = &str> {
    let videos = plan.videos.iter().map(|video| video.name.as_str());
    videos.chain(plan.audios.iter().map(|audio| audio.name.as_str()))
}

/// The folder of the named pipes.
pub(super) fn pipes_dir(work: &Path) -> PathBuf {
    work.join("pipes")
}

fn pipe(work: &Path, name: &str) -> PathBuf {
    pipes_dir(work).join(format!("{name}.mp4"))
}
