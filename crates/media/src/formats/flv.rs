//! FLV: one file, with an index of keyframes in its metadata, which players seek by.

pub(super) const MUXER: &[&str] = &["-map_chapters", "-1", "-flvflags", "+add_keyframe_index", "-f", "flv"];
