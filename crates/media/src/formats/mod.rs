//! What the files of an output are called.

use model::Format;

use crate::plan::Plan;

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
