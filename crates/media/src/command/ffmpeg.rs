//! FFmpeg's argument list: one input, a graph for the picture and one for each sound, and one output
//! for a single file, or one pipe for each stream of a segmented output.

use std::{collections::BTreeSet, ffi::OsString, path::Path};

use super::{Gain, METER, filters, input, logo, pipe, prefixed, stills, words};
use crate::{
    AudioPlan, Correction, Plan, VideoPlan,
    codecs::{picture_arguments, sound_arguments},
    formats,
};

/// Of the source's metadata nothing is kept by itself: it may hold a place or a serial number.
const NO_METADATA: [&str; 4] = ["-map_metadata:g", "-1", "-map_metadata:s", "-1"];

/// Fragments that the packager reads while they are written. The header waits for the first fragment,
/// so that it can say how far before 0 decoding begins.
const PIPE: [&str; 3] = ["-f", "mp4", "-movflags"];

/// Microseconds of a fragment where somebody waits for the first segment: that one is only known to be
/// complete when the next one's first picture comes, which would else wait for that segment's end.
const EARLY_FRAGMENT: &str = "200000";

pub(super) fn arguments(plan: &Plan, gains: &[Option<Gain>], input: &Path, work: &Path) -> Vec<OsString> {
    let mut arguments = general("warning");
    arguments.extend(position(plan));
    if plan.picture.is_some() {
        // a graph made anew would begin at 0 again
        arguments.extend(words(&["-reinit_filter:v", "0"]));
    }
    arguments.extend(input::opened(input, false));
    arguments.extend(logo::input(plan, work));
    let graphs = filters::picture(plan).into_iter();
    let sounds = numbered(plan, gains)
        .map(|(number, audio, gain)| filters::heard(plan, audio, gain) + &format!("[a{number}]"));
    for graph in graphs.chain(sounds) {
        arguments.extend(words(&["-filter_complex", &graph]));
    }
    if plan.segmenting.is_some() {
        for (number, video) in plan.videos.iter().enumerate() {
            arguments.extend(video_pipe(plan, video, number, work));
        }
        for (number, audio) in plan.audios.iter().enumerate() {
            arguments.extend(audio_pipe(audio, number, work));
        }
    } else {
        arguments.extend(single_file(plan, work));
    }
    arguments.extend(stills::outputs(plan));
    arguments
}

/// Each sound with its number and what is done to its loudness.
fn numbered<'p>(
    plan: &'p Plan,
    gains: &'p [Option<Gain>],
) -> impl Iterator<Item = (usize, &'p AudioPlan, Option<Gain>)> {
    let gain = |number: usize| gains.get(number).copied().flatten();
    plan.audios.iter().enumerate().map(move |(number, audio)| (number, audio, gain(number)))
}

/// Measures; what is heard goes nowhere.
pub(super) fn listening(plan: &Plan, gains: &[Option<Gain>], input: &Path) -> Vec<OsString> {
    // the meter's summary is said at this level
    let mut arguments = general("info");
    arguments.extend(position(plan));
    arguments.extend(input::opened(input, false));
    for (number, audio, gain) in numbered(plan, gains) {
        let meter = format!(",{METER}@{number}=peak=true:framelog=quiet[a{number}]");
        arguments.extend(words(&["-filter_complex", &(filters::heard(plan, audio, gain) + &meter)]));
    }
    for number in 0..plan.audios.len() {
        arguments.extend(mapped('a', number));
    }
    arguments.extend(words(&["-f", "null", "-"]));
    arguments
}

fn general(level: &str) -> Vec<OsString> {
    words(&[
        "-nostdin",
        "-hide_banner",
        "-y",
        "-loglevel",
        level,
        "-nostats",
        "-progress",
        "pipe:1",
        // what shows the picture upright is in the graph, after the fields are put together
        "-noautorotate",
        "-apply_cropping",
        "codec",
    ])
}

/// Where the input is read from, and what time it is there. Exact cuts are left to the filters.
fn position(plan: &Plan) -> Vec<OsString> {
    let read_from = plan.clip.map_or(0.0, |clip| clip.read_from);
    let mut arguments = Vec::new();
    if read_from > 0.0 {
        arguments.extend(words(&["-noaccurate_seek", "-ss", &format!("{read_from:.6}")]));
    }
    let offset = read_from - plan.lead;
    if offset < 0.0 {
        arguments.extend(words(&["-itsoffset", &format!("{offset:.6}")]));
    }
    arguments.extend(corrected(plan));
    arguments
}

/// Puts the time stamps of packets right before anything is decoded.
fn corrected(plan: &Plan) -> Vec<OsString> {
    let streams: BTreeSet<_> = plan.corrections.iter().map(|correction| correction.stream).collect();
    let filter = |stream: u32| {
        let sum = |name: &str, shown: bool| {
            let own =
                |correction: &&Correction| correction.stream == stream && (shown || !correction.shown_alone);
            let term =
                |correction: &Correction| format!("-({}*gte(N,{}))", correction.ticks, correction.packet);
            let terms: String = plan.corrections.iter().filter(own).map(term).collect();
            format!("'if(eq({name},NOPTS),NOPTS,{name}{terms})'")
        };
        format!("setts=pts={}:dts={}", sum("PTS", true), sum("DTS", false))
    };
    streams.into_iter().flat_map(|stream| words(&[&format!("-bsf:{stream}"), &filter(stream)])).collect()
}

fn single_file(plan: &Plan, work: &Path) -> Vec<OsString> {
    let mut arguments = Vec::new();
    for (number, video) in plan.videos.iter().enumerate() {
        arguments.extend(mapped('v', number));
        arguments.extend(encoded(picture_arguments(video, false, plan.threads)));
    }
    for (number, audio) in plan.audios.iter().enumerate() {
        arguments.extend(mapped('a', number));
        arguments.extend(encoded(sound_arguments(audio)));
        for (name, value) in [("language", &audio.language), ("title", &audio.title)] {
            if !value.is_empty() {
                arguments.extend(words(&[&format!("-metadata:s:a:{number}"), &format!("{name}={value}")]));
            }
        }
    }
    arguments.extend(words(&NO_METADATA));
    if !plan.title.is_empty() {
        arguments.extend(words(&["-metadata", &format!("title={}", plan.title)]));
    }
    arguments.extend(words(&["-map_chapters", if plan.chapters { "0" } else { "-1" }]));
    // sound that begins late leaves the picture waiting for the file's header
    arguments.extend(words(&["-max_muxing_queue_size", "1000000"]));
    arguments.extend(words(formats::muxer(plan.format)));
    let file = work.join("out").join(formats::main_file(plan.format));
    arguments.push(prefixed("file:", &file));
    arguments
}

fn video_pipe(plan: &Plan, video: &VideoPlan, number: usize, work: &Path) -> Vec<OsString> {
    let mut arguments = mapped('v', number);
    arguments.extend(encoded(picture_arguments(video, true, plan.threads)));
    arguments.extend(words(&NO_METADATA));
    arguments.extend(words(&["-map_chapters", "-1"]));
    arguments.extend(words(&PIPE));
    arguments.push("+frag_keyframe+delay_moov+default_base_moof".into());
    if plan.early {
        arguments.extend(words(&["-frag_duration", EARLY_FRAGMENT]));
    }
    arguments.push(prefixed("file:", &pipe(work, &video.name)));
    arguments
}

/// The encoder's first packets hold nothing but silence from before 0. They are dropped, so that the
/// sound begins at 0 without an edit list, which not every player reads.
fn audio_pipe(audio: &AudioPlan, number: usize, work: &Path) -> Vec<OsString> {
    let mut arguments = mapped('a', number);
    arguments.extend(encoded(sound_arguments(audio)));
    arguments.extend(words(&["-bsf:a", "noise=drop='lt(pts,0)'"]));
    arguments.extend(words(&NO_METADATA));
    arguments.extend(words(&["-map_chapters", "-1"]));
    arguments.extend(words(&PIPE));
    arguments.extend(words(&["+delay_moov+default_base_moof", "-frag_duration", "1000000"]));
    arguments.push(prefixed("file:", &pipe(work, &audio.name)));
    arguments
}

fn mapped(kind: char, number: usize) -> Vec<OsString> {
    words(&["-map", &format!("[{kind}{number}]")])
}

fn encoded(arguments: Vec<String>) -> impl Iterator<Item = OsString> {
    arguments.into_iter().map(OsString::from)
}
