//! FLV: one file, with an index of keyframes in its metadata, which players seek by.

pub(super) const MUXER: &[&str] = &["-flvflags", "+add_keyframe_index", "-f", "flv"];
