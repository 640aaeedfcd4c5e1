//! HLS: a master playlist over one media playlist for each rendition and sound, complete from the
//! start (VOD), or growing from it (EVENT) until they are made complete.

use std::ffi::OsString;

pub(super) fn flags(main: OsString, early: bool) -> Vec<(&'static str, OsString)> {
    let kind = if early { "EVENT" } else { "VOD" };
    vec![("hls_master_playlist_output", main), ("hls_playlist_type", kind.into())]
}
