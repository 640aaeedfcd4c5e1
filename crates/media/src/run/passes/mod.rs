//! Passes over the input before an output is made from it. Each is one file: its arguments, what it reads
//! from FFmpeg, and the tests of both.

pub(super) mod copied_packets;
pub(super) mod copied_streams;
pub(super) mod loudness;
pub(super) mod resample;
