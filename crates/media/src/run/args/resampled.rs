//! Sounds whose rate or channels change on the way. FFmpeg makes a graph anew with each change, and one that counts
//! from 0, as those of the outputs do, would do so again: it ends at the first change, the sounds are made alike by
//! graphs that do not count, into a file, and all is done again with that file as a second input
//! (docs/decisions/0014).

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::ffmpeg::{general, position};
use crate::{
    AudioPlan, Plan, codecs,
    tool::ffmpeg::{file_url, open_input, words},
};

fn file(work: &Path) -> PathBuf {
    work.join("alike.nut")
}

/// Input options that make FFmpeg end with an error where a sound that may change does so.
pub(super) fn until_it_changes(plan: &Plan) -> Vec<OsString> {
    let may_change = plan.audios.iter().any(|audio| audio.may_change && !audio.is_resampled);
    if may_change { words(&["-reinit_filter:a", "0"]) } else { Vec::new() }
}

/// Writes the sounds that are to be alike. Before them comes one that begins at 0, as the file then does.
pub(super) fn making(plan: &Plan, input: &Path, work: &Path) -> Vec<OsString> {
    let mut arguments = general("warning");
    arguments.extend(position(plan));
    arguments.extend(open_input(input, false));
    arguments.extend(words(&["-f", "lavfi", "-i", "anullsrc=d=0.1"]));
    let sounds = plan.audios.iter().filter(|audio| !audio.is_resampled).map(|audio| audio.index);
    arguments.extend(used(plan.video_filter.iter().map(|picture| picture.index).chain(sounds)));
    arguments.extend(words(&["-map", "1:a"]));
    for (number, audio) in plan.audios.iter().filter(|audio| audio.is_resampled).enumerate() {
        let AudioPlan { index, sample_rate, channels, .. } = *audio;
        let layout = codecs::layout(channels);
        let filters = format!("aresample=osr={sample_rate}:ochl={layout}:osf=flt,atrim=start=0");
        arguments.extend(words(&["-map", &format!("0:{index}")]));
        arguments.extend(words(&[&format!("-filter:a:{}", number + 1), &filters]));
    }
    // sound that begins late leaves the others waiting for the file's header
    arguments.extend(words(&["-c:a", "pcm_f32le", "-max_muxing_queue_size", "1000000", "-f", "nut"]));
    arguments.push(file_url(&file(work)));
    arguments
}

/// Reads the sounds that are not taken from the input itself.
pub(super) fn left(plan: &Plan) -> Vec<OsString> {
    used(plan.audios.iter().filter(|audio| audio.is_resampled).map(|audio| audio.index))
}

/// Streams that are read and go nowhere: FFmpeg counts from the first of those that are used, which have to be the same
/// for picture and sound to stay together.
fn used(streams: impl Iterator<Item = u32>) -> Vec<OsString> {
    let each = |index| words(&["-map", &format!("0:{index}"), "-c", "copy", "-f", "null", "-"]);
    streams.flat_map(each).collect()
}

/// The second input, if there are sounds in it.
pub(super) fn opened(plan: &Plan, work: &Path) -> Vec<OsString> {
    if plan.audios.iter().all(|audio| !audio.is_resampled) {
        return Vec::new();
    }
    let mut arguments = words(&["-protocol_whitelist", "file,fd", "-f", "nut", "-i"]);
    arguments.push(file_url(&file(work)));
    arguments
}

/// FFmpeg's name of a sound, where the file of those that are alike is the input of this number.
pub(super) fn name(plan: &Plan, audio: &AudioPlan, number: usize) -> String {
    let mut alike = plan.audios.iter().filter(|one| one.is_resampled);
    match alike.position(|one| one.index == audio.index) {
        Some(place) => format!("{number}:{}", place + 1),
        None => format!("0:{}", audio.index),
    }
}
