//! FFmpeg's argument list: one input, a graph for the picture and one for each sound, and one output
//! for a single file, or one pipe for each stream of a segmented output.

use std::{collections::BTreeSet, ffi::OsString, path::Path};

use model::{AudioCodec, Format};

use super::{Gain, METER, alike, filters, logo, pipe, stills};
use crate::{
    AudioPlan, Plan, TimestampCorrection, VideoPlan, codecs,
    codecs::{audio_arguments, video_arguments},
    formats,
    tool::ffmpeg::{file_url, open_input, words},
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
    if plan.video_filter.is_some() {
        // a graph made anew would begin at 0 again
        arguments.extend(words(&["-reinit_filter:v", "0"]));
    }
    arguments.extend(alike::until_it_changes(plan));
    arguments.extend(open_input(input, false));
    let logo = logo::input(plan, work);
    let alike = 1 + usize::from(!logo.is_empty());
    arguments.extend(logo);
    arguments.extend(alike::opened(plan, work));
    let graphs = filters::picture(plan).into_iter();
    let sounds = numbered(plan, gains).filter(|(_, audio, _)| !audio.is_copied());
    let sounds = sounds.map(|(number, audio, gain)| {
        filters::heard(plan, audio, &alike::name(plan, audio, alike), gain) + &format!("[a{number}]")
    });
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
    arguments.extend(alike::left(plan));
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

/// Lists the packets of all streams that are copied, renditions first, as they go into the output. The
/// others stand behind them: of some files FFmpeg counts the time from the first stream that is used.
pub(super) fn copied(plan: &Plan, input: &Path) -> Vec<OsString> {
    let mut arguments = words(&["-nostdin", "-hide_banner", "-loglevel", "error", "-nostats"]);
    arguments.extend(position(plan));
    arguments.extend(alike::until_it_changes(plan));
    arguments.extend(open_input(input, false));
    for video in plan.videos.iter().filter(|video| video.copied().is_some()) {
        arguments.extend(picture(plan, video, 0, false));
    }
    for audio in plan.audios.iter().filter(|audio| audio.is_copied()) {
        arguments.extend(sound(audio, 0));
    }
    if plan.segmenting.is_some() {
        for (number, audio) in plan.audios.iter().filter(|audio| audio.is_copied()).enumerate() {
            arguments.extend(from_zero(audio, &format!("-bsf:a:{number}")));
        }
        for video in &plan.videos {
            arguments.extend(alone(video));
        }
    }
    let encoded = plan.audios.iter().filter(|audio| !audio.is_copied()).map(|audio| audio.index);
    for index in plan.video_filter.iter().map(|picture| picture.index).chain(encoded) {
        arguments.extend(words(&["-map", &format!("0:{index}")]));
    }
    arguments.extend(words(&["-c", "copy", "-f", "framecrc", "pipe:1"]));
    // only decoders see whether a sound changes on the way
    for audio in plan.audios.iter().filter(|audio| audio.is_copied() && audio.may_change) {
        arguments.extend(words(&["-map", &format!("0:{}", audio.index), "-f", "null", "-"]));
    }
    arguments
}

/// A second time the picture that is copied, as the last stream: those of its packets that can be decoded
/// alone, where not every key frame can.
fn alone(video: &VideoPlan) -> Vec<OsString> {
    match video.copied().zip(codecs::video(video.codec).idr_nal_types()) {
        Some((picture, units)) => words(&[
            "-map",
            &format!("0:{}", picture.index),
            "-bsf:v:1",
            &format!("filter_units=pass_types={units}"),
        ]),
        None => Vec::new(),
    }
}

/// Drops what a sound has from before 0. Transport streams say in each frame of AAC what MP4 says once.
fn from_zero(audio: &AudioPlan, option: &str) -> Vec<OsString> {
    let before = if audio.is_copied() && audio.codec == AudioCodec::Aac { "aac_adtstoasc," } else { "" };
    words(&[option, &format!("{before}noise=drop='lt(pts,0)'")])
}

/// Measures; what is heard goes nowhere.
pub(super) fn listening(plan: &Plan, gains: &[Option<Gain>], input: &Path, work: &Path) -> Vec<OsString> {
    // the meter's summary is said at this level
    let mut arguments = general("info");
    arguments.extend(position(plan));
    arguments.extend(alike::until_it_changes(plan));
    arguments.extend(open_input(input, false));
    arguments.extend(alike::opened(plan, work));
    for (number, audio, gain) in numbered(plan, gains) {
        let heard = filters::heard(plan, audio, &alike::name(plan, audio, 1), gain);
        let meter = format!(",{METER}@{number}=peak=true:framelog=quiet[a{number}]");
        arguments.extend(words(&["-filter_complex", &(heard + &meter)]));
    }
    for number in 0..plan.audios.len() {
        arguments.extend(mapped('a', number));
    }
    arguments.extend(words(&["-f", "null", "-"]));
    arguments
}

pub(super) fn general(level: &str) -> Vec<OsString> {
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
pub(super) fn position(plan: &Plan) -> Vec<OsString> {
    let seek_to = plan.clip.map_or(0.0, |clip| clip.seek_to);
    let mut arguments = Vec::new();
    if seek_to > 0.0 {
        arguments.extend(words(&["-noaccurate_seek", "-ss", &format!("{seek_to:.6}")]));
    }
    let offset = seek_to - plan.start_offset;
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
            let own = |correction: &&TimestampCorrection| {
                correction.stream == stream && (shown || !correction.pts_only)
            };
            let term = |correction: &TimestampCorrection| {
                format!("-({}*gte(N,{}))", correction.offset, correction.packet)
            };
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
        arguments.extend(picture(plan, video, number, false));
    }
    for (number, audio) in plan.audios.iter().enumerate() {
        arguments.extend(sound(audio, number));
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
    arguments.push(file_url(&file));
    arguments
}

fn video_pipe(plan: &Plan, video: &VideoPlan, number: usize, work: &Path) -> Vec<OsString> {
    let mut arguments = picture(plan, video, number, true);
    arguments.extend(words(&NO_METADATA));
    arguments.extend(words(&["-map_chapters", "-1"]));
    arguments.extend(words(&PIPE));
    arguments.push("+frag_keyframe+delay_moov+default_base_moof".into());
    if plan.is_growing {
        arguments.extend(words(&["-frag_duration", EARLY_FRAGMENT]));
    }
    arguments.push(file_url(&pipe(work, &video.name)));
    arguments
}

/// The encoder's first packets hold nothing but silence from before 0. They are dropped, so that the
/// sound begins at 0 without an edit list, which not every player reads.
fn audio_pipe(audio: &AudioPlan, number: usize, work: &Path) -> Vec<OsString> {
    let mut arguments = sound(audio, number);
    arguments.extend(from_zero(audio, "-bsf:a"));
    arguments.extend(words(&NO_METADATA));
    arguments.extend(words(&["-map_chapters", "-1"]));
    arguments.extend(words(&PIPE));
    arguments.extend(words(&["+delay_moov+default_base_moof", "-frag_duration", "1000000"]));
    arguments.push(file_url(&pipe(work, &audio.name)));
    arguments
}

/// A rendition: where it comes from, and how it is coded.
fn picture(plan: &Plan, video: &VideoPlan, number: usize, fixed: bool) -> Vec<OsString> {
    let mut arguments = match video.copied() {
        None => mapped('v', number),
        Some(picture) => words(&["-map", &format!("0:{}", picture.index)]),
    };
    arguments.extend(video_arguments(video, fixed, plan.threads).into_iter().map(OsString::from));
    if video.copied().is_some() && plan.format != Format::Flv {
        arguments.extend(words(&["-tag:v", codecs::video(video.codec).sample_entry()]));
    }
    arguments
}

/// A sound: where it comes from, and how it is coded.
fn sound(audio: &AudioPlan, number: usize) -> Vec<OsString> {
    let mut arguments = match audio.is_copied() {
        false => mapped('a', number),
        true => words(&["-map", &format!("0:{}", audio.index)]),
    };
    arguments.extend(audio_arguments(audio).into_iter().map(OsString::from));
    arguments
}

fn mapped(kind: char, number: usize) -> Vec<OsString> {
    words(&["-map", &format!("[{kind}{number}]")])
}
