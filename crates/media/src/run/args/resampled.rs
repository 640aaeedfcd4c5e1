//! Audio whose sample rate or channels change on the way. FFmpeg rebuilds a filter graph with each change,
//! and one that counts time from 0, as those of the outputs do, would begin at 0 again. So FFmpeg ends at
//! the first change, `passes::resample` writes such audio into a NUT file by graphs that do not count, and
//! the output is made once more with that file as a second input (docs/decisions/0014).

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::CommandContext;
use crate::{
    plan::AudioPlan,
    tool::ffmpeg::{file_url, words},
};

/// The folder of the file, where nothing else is.
pub(in crate::run) fn dir(work: &Path) -> PathBuf {
    work.join("resampled")
}

/// The file in the work folder.
pub(in crate::run) fn file(work: &Path) -> PathBuf {
    dir(work).join("alike.nut")
}

/// Input options that make FFmpeg end with an error where audio that may change does so.
pub(in crate::run) fn fail_on_change(context: &CommandContext<'_>) -> Vec<OsString> {
    let parameters_may_change =
        |audio: &AudioPlan| audio.parameters_may_change && !context.is_resampled(audio);
    if context.plan.audios.iter().any(parameters_may_change) {
        words(&["-reinit_filter:a", "0"])
    } else {
        Vec::new()
    }
}

/// Streams of the input that are read and go nowhere. FFmpeg counts time from the first of those that are
/// used: they have to be the same in each pass for video and audio to stay together.
pub(in crate::run) fn read_and_discard(streams: impl Iterator<Item = u32>) -> Vec<OsString> {
    let each = |index| words(&["-map", &format!("0:{index}"), "-c", "copy", "-f", "null", "-"]);
    streams.flat_map(each).collect()
}

/// The streams of the input whose audio is taken from the file instead.
pub(super) fn discard_originals(context: &CommandContext<'_>) -> Vec<OsString> {
    read_and_discard(context.resampled_audios().map(|audio| audio.index))
}

/// The file as a further input, if there is any audio in it.
pub(in crate::run) fn open(context: &CommandContext<'_>) -> Vec<OsString> {
    if context.resampled.is_empty() {
        return Vec::new();
    }
    let mut args = words(&["-protocol_whitelist", "file,fd", "-f", "nut", "-i"]);
    args.push(file_url(&file(context.work)));
    args
}

/// FFmpeg's stream specifier of an audio, where the file is its input number `file_input`. Stream 0 of the
/// file is the silence that makes it begin at 0.
pub(in crate::run) fn stream_specifier(
    context: &CommandContext<'_>,
    audio: &AudioPlan,
    file_input: usize,
) -> String {
    match context.resampled_audios().position(|resampled| resampled.index == audio.index) {
        Some(position) => format!("{file_input}:{}", position + 1),
        None => format!("0:{}", audio.index),
    }
}
