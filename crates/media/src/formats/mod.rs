//! One file for each output format: what its muxer or the packager is told.

use std::{ffi::OsString, path::Path};

use model::Format;

use crate::Plan;

mod dash;
mod flv;
mod hls;
mod mp4;
pub(crate) mod stills;

/// What the names of segments begin with.
pub(crate) const SEGMENT: &str = "seg_";
/// The name of an initialization segment.
pub(crate) const INIT: &str = "init.mp4";
/// The name of a stream's own playlist.
pub(crate) const PLAYLIST: &str = "playlist.m3u8";

/// The name of the main file in `<work>/out`.
pub(crate) fn main_file(format: Format) -> String {
    format!("main.{}", format.extensions()[0])
}

/// A second manifest, below the folder of all files but the main one.
pub const SECOND_MANIFEST: &str = "manifest.mpd";

/// The main playlist or manifest, and the second one if there is any, in `<work>/out`; none for single
/// files.
pub(crate) fn manifests(plan: &Plan) -> Vec<(Format, String)> {
    let main = (plan.format, main_file(plan.format));
    let second = plan.also.map(|format| (format, format!("files/{SECOND_MANIFEST}")));
    [main].into_iter().chain(second).filter(|(format, _)| format.is_segmented()).collect()
}

/// FFmpeg's output options for a single file; none for what the packager writes.
pub(crate) fn muxer(format: Format) -> &'static [&'static str] {
    match format {
        Format::Mp4 => mp4::MUXER,
        Format::Flv => flv::MUXER,
        Format::Hls | Format::Dash => &[],
    }
}

/// The packager's flags for a main playlist or manifest; none for what it does not write. `early`
/// playlists grow from the start; `segment` is the length of segments in seconds.
pub(crate) fn manifest(
    format: Format,
    early: bool,
    segment: f64,
    file: &Path,
) -> Vec<(&'static str, OsString)> {
    let file = file.as_os_str().to_owned();
    match format {
        Format::Hls => hls::flags(file, early),
        Format::Dash => dash::flags(file, segment),
        Format::Mp4 | Format::Flv => Vec::new(),
    }
}
