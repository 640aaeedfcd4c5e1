//! Cases that other transcoders are known to get wrong, one test for each row of the list: the input is
//! made by FFmpeg here, goes through the whole pipeline, and the right value is measured in what comes
//! out, by FFmpeg and ffprobe instead of by the product.
//!
//! | file | rows |
//! |---|---|
//! | [`shape`] | a 90° matrix; 9:16 into 16:9; 1164×767; MPEG-2 with SAR 64:45; interlaced, flagged or not |
//! | [`colour`] | PQ BT.2020 to H.264; 10-bit HEVC to H.264; a static video at 20 kbit/s |
//! | [`time`] | VFR with flash and beep; first time stamp negative or 0.083 s; sparse keyframes; 50 fps capped at 30 |
//! | [`length`] | 30 min at 24000/1001; one frame and a minute of audio; video and audio of different lengths |
//! | [`audio`] | no audio; cover art; undecodable first track; 5.1(side); audio that starts 24 s late |
//! | [`files`] | cut and headless MP4; strange names; the same task twice; a timecode track |
//!
//! The halves that need a server are tested where it is: an object whose server knows no ranges in
//! `crates/storage/tests/it/fetch.rs`, keys with strange names in `tests/it/flows/object_object_stores.rs`.

mod audio;
mod colour;
mod files;
mod length;
mod shape;
mod time;
