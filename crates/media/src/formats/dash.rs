//! DASH: a static manifest with a timeline of segments, one adaptation set for each sound.

use std::ffi::OsString;

pub(super) fn flags(main: OsString) -> Vec<(&'static str, OsString)> {
    vec![("mpd_output", main), ("generate_static_live_mpd", "true".into())]
}
