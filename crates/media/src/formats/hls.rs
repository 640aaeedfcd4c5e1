//! HLS: a master playlist over one media playlist for each rendition and sound, complete from the
//! start (VOD).

use std::ffi::OsString;

pub(super) fn flags(main: OsString) -> Vec<(&'static str, OsString)> {
    vec![("hls_master_playlist_output", main), ("hls_playlist_type", "VOD".into())]
}
