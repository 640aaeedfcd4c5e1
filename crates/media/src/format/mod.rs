//! Bytes and text, read by their standard: MP4, MPEG-TS, HLS, DASH, and what the first bytes of a file say.
//!
//! All of it may come from strangers: sizes are checked against what is there, and nothing panics. This
//! room knows no plan and no tool.

pub(crate) mod bandwidth;
pub(crate) mod dash;
pub(crate) mod elementary;
pub(crate) mod hls;
pub(crate) mod mp4;
pub(crate) mod random_access;
pub(crate) mod sniff;
pub(crate) mod ts;

/// Bytes of a playlist or manifest that are read: 12 h in segments of a second, each with its range of bytes, are a
/// quarter of it.
pub(crate) const MAX_PLAYLIST_BYTES: u64 = model::limits::MAX_PLAYLIST_BYTES as u64;
