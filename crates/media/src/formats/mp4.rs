//! MP4: one progressive file, `moov` first, so that it plays while it loads. A track of time codes
//! is not carried on.

pub(super) const MUXER: &[&str] = &["-write_tmcd", "0", "-movflags", "+faststart", "-f", "mp4"];
