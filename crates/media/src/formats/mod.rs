//! One file for each output format: what its muxer or the packager is told.

use std::{ffi::OsString, path::Path};

use model::Format;

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

/// FFmpeg's output options for a single file; none for what the packager writes.
pub(crate) fn muxer(format: Format) -> &'static [&'static str] {
    match format {
        Format::Mp4 => mp4::MUXER,
        Format::Flv => flv::MUXER,
        Format::Hls | Format::Dash => &[],
    }
}

/// The packager's flags for the main playlist or manifest in the folder `out`; none for what it does
/// not write. `early` playlists grow from the start.
pub(crate) fn manifest(format: Format, early: bool, out: &Path) -> Vec<(&'static str, OsString)> {
    let main = out.join(main_file(format)).into_os_string();
    match format {
        Format::Hls => hls::flags(main, early),
        Format::Dash => dash::flags(main),
        Format::Mp4 | Format::Flv => Vec::new(),
    }
}
