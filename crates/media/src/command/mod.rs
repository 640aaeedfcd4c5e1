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

/// The commands of a plan.
pub(crate) fn commands(_plan: &Plan, _input: &Path, _work: &Path) -> Commands {
    Commands { ffmpeg: Vec::new(), packager: None, pipes: Vec::new() }
}
