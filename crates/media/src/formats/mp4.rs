//! MP4: one progressive file, `moov` first, so that it plays while it loads. Chapters are carried on;
//! a track of time codes is not.

pub(super) const MUXER: &[&str] =
    &["-map_chapters", "0", "-write_tmcd", "0", "-movflags", "+faststart", "-f", "mp4"];
