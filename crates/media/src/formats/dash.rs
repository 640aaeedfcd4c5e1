//! DASH: a static manifest with a timeline of segments, one adaptation set for each sound.

use std::ffi::OsString;

/// Seconds that a player buffers before it begins, where segments are shorter.
const LEAST_BUFFER: f64 = 2.0;

/// `segment` is the length of segments in seconds: bandwidths hold for players that have a whole one.
pub(super) fn flags(main: OsString, segment: f64) -> Vec<(&'static str, OsString)> {
    let buffer = LEAST_BUFFER.max(segment).to_string();
    vec![
        ("mpd_output", main),
        ("generate_static_live_mpd", "true".into()),
        ("min_buffer_time", buffer.into()),
    ]
}
