//! FFmpeg's argument list: one input, a filter graph for the video and one for each audio, and one output
//! for a single file, or one pipe for each stream of a segmented output.

use std::{collections::BTreeSet, ffi::OsString, path::Path};

use model::{AudioCodec, Format};

use super::{CommandContext, filters, logo, pipe, resampled, thumbnails};
use crate::{
    codecs::{self, audio_arguments, video_arguments},
    layout::OutputLayout,
    plan::{AudioPlan, Plan, VideoPlan},
    source::TimestampCorrection,
    tool::ffmpeg::{GLOBAL_OPTIONS, file_url, open_input, words},
};

/// Of the source's metadata nothing is kept by itself: it may hold a place or a serial number.
const NO_METADATA: [&str; 4] = ["-map_metadata:g", "-1", "-map_metadata:s", "-1"];

/// Fragments that the packager reads while they are written. With `delay_moov` the header waits for the
/// first fragment, so that its edit list can say how far before 0 decoding begins.
const PIPE_MUXER: [&str; 3] = ["-f", "mp4", "-movflags"];

/// Microseconds of a fragment where somebody waits for the first segment: that one is only known to be
/// complete when the next one's first frame comes, which would else wait for that segment's end.
const GROWING_FRAGMENT_MICROS: &str = "200000";

/// The arguments that make the output.
pub(super) fn output_args(context: &CommandContext<'_>) -> Vec<OsString> {
    let CommandContext { plan, input, work, .. } = *context;
    let mut args = global_options("warning");
    args.extend(input_position(plan));
    if plan.video_filter.is_some() {
        // a graph that is rebuilt when the video changes would begin at 0 again
        args.extend(words(&["-reinit_filter:v", "0"]));
    }
    args.extend(resampled::fail_on_change(context));
    args.extend(open_input(input, false));
    let logo = logo::open(plan, work);
    let resampled_input = 1 + usize::from(!logo.is_empty());
    args.extend(logo);
    args.extend(resampled::open(context));
    if let Some(graph) = filters::video_graph(plan) {
        args.extend(words(&["-filter_complex", &graph]));
    }
    for (number, audio) in plan.audios.iter().enumerate() {
        if !audio.is_copied() {
            let stream = resampled::stream_specifier(context, audio, resampled_input);
            let graph = filters::audio_graph(context, number, &stream);
            args.extend(words(&["-filter_complex", &format!("{graph}[a{number}]")]));
        }
    }
    if plan.segmenting.is_some() {
        for (number, video) in plan.videos.iter().enumerate() {
            args.extend(video_pipe(plan, video, number, work));
        }
        for (number, audio) in plan.audios.iter().enumerate() {
            args.extend(audio_pipe(audio, number, work));
        }
    } else {
        args.extend(single_file(plan, work));
    }
    args.extend(thumbnails::outputs(plan));
    args.extend(resampled::discard_originals(context));
    args
}

/// Drops the packets of an audio from before 0. In AAC each frame of a transport stream has a header
/// (ADTS), where MP4 has one AudioSpecificConfig.
pub(in crate::run) fn drop_before_zero(audio: &AudioPlan, option: &str) -> Vec<OsString> {
    let before = if audio.is_copied() && audio.codec == AudioCodec::Aac { "aac_adtstoasc," } else { "" };
    words(&[option, &format!("{before}noise=drop='lt(pts,0)'")])
}

/// Options of FFmpeg itself: what it logs, and its progress on standard output.
pub(in crate::run) fn global_options(level: &str) -> Vec<OsString> {
    let mut args = words(&GLOBAL_OPTIONS);
    args.extend(words(&["-y", "-loglevel", level, "-nostats", "-progress", "pipe:1"]));
    // what shows the video upright is in the graph, after deinterlacing
    args.extend(words(&["-noautorotate", "-apply_cropping", "codec"]));
    args
}

/// Where the input is read from, and what time it is there. Exact cuts are left to the filters.
pub(in crate::run) fn input_position(plan: &Plan) -> Vec<OsString> {
    let seek_to = plan.clip.map_or(0.0, |clip| clip.seek_to);
    let mut args = Vec::new();
    if seek_to > 0.0 {
        args.extend(words(&["-noaccurate_seek", "-ss", &format!("{seek_to:.6}")]));
    }
    let offset = seek_to - plan.start_offset;
    if offset < 0.0 {
        args.extend(words(&["-itsoffset", &format!("{offset:.6}")]));
    }
    args.extend(corrected_timestamps(plan));
    args
}

/// Corrects the time stamps of packets before anything is decoded.
fn corrected_timestamps(plan: &Plan) -> Vec<OsString> {
    let streams: BTreeSet<_> = plan.corrections.iter().map(|correction| correction.stream).collect();
    let filter = |stream: u32| {
        let sum = |name: &str, is_pts: bool| {
            let own = |correction: &&TimestampCorrection| {
                correction.stream == stream && (is_pts || !correction.pts_only)
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
    let mut args = Vec::new();
    for (number, video) in plan.videos.iter().enumerate() {
        args.extend(rendition(plan, video, number, false));
    }
    for (number, audio) in plan.audios.iter().enumerate() {
        args.extend(audio_stream(audio, number));
        for (name, value) in [("language", &audio.language), ("title", &audio.title)] {
            if !value.is_empty() {
                args.extend(words(&[&format!("-metadata:s:a:{number}"), &format!("{name}={value}")]));
            }
        }
    }
    args.extend(words(&NO_METADATA));
    if !plan.title.is_empty() {
        args.extend(words(&["-metadata", &format!("title={}", plan.title)]));
    }
    args.extend(words(&["-map_chapters", if plan.chapters { "0" } else { "-1" }]));
    // audio that begins late leaves the video waiting for the file's header
    args.extend(words(&["-max_muxing_queue_size", "1000000"]));
    args.extend(words(muxer(plan.format)));
    let file = OutputLayout::dir(work).join(OutputLayout::main_file(plan.format));
    args.push(file_url(&file));
    args
}

fn video_pipe(plan: &Plan, video: &VideoPlan, number: usize, work: &Path) -> Vec<OsString> {
    let mut args = rendition(plan, video, number, true);
    args.extend(words(&NO_METADATA));
    args.extend(words(&["-map_chapters", "-1"]));
    args.extend(words(&PIPE_MUXER));
    args.push("+frag_keyframe+delay_moov+default_base_moof".into());
    if plan.is_growing {
        args.extend(words(&["-frag_duration", GROWING_FRAGMENT_MICROS]));
    }
    args.push(file_url(&pipe(work, &video.name)));
    args
}

/// Encoder delay (priming): the first packets hold nothing but silence from before 0. They are dropped, so
/// that the audio begins at 0 without an edit list, which not every player reads.
fn audio_pipe(audio: &AudioPlan, number: usize, work: &Path) -> Vec<OsString> {
    let mut args = audio_stream(audio, number);
    args.extend(drop_before_zero(audio, "-bsf:a"));
    args.extend(words(&NO_METADATA));
    args.extend(words(&["-map_chapters", "-1"]));
    args.extend(words(&PIPE_MUXER));
    args.extend(words(&["+delay_moov+default_base_moof", "-frag_duration", "1000000"]));
    args.push(file_url(&pipe(work, &audio.name)));
    args
}

/// The muxer of a single file, with its options; none for what the packager writes.
fn muxer(format: Format) -> &'static [&'static str] {
    match format {
        // `moov` before `mdat`, so that it plays while it loads; a track of time codes is not carried on
        Format::Mp4 => &["-write_tmcd", "0", "-movflags", "+faststart", "-f", "mp4"],
        // an index of key frames in the metadata, by which players seek
        Format::Flv => &["-flvflags", "+add_keyframe_index", "-f", "flv"],
        Format::Hls | Format::Dash => &[],
    }
}

/// A rendition: which stream it is made from, and its codec. `fixed` as in [`video_arguments`].
pub(in crate::run) fn rendition(plan: &Plan, video: &VideoPlan, number: usize, fixed: bool) -> Vec<OsString> {
    let mut args = match video.copied() {
        None => map_label('v', number),
        Some(copied) => words(&["-map", &format!("0:{}", copied.index)]),
    };
    args.extend(video_arguments(video, fixed, plan.threads).into_iter().map(OsString::from));
    if video.copied().is_some() && plan.format != Format::Flv {
        args.extend(words(&["-tag:v", codecs::video(video.codec).sample_entry()]));
    }
    args
}

/// An audio: which stream it is made from, and its codec.
pub(in crate::run) fn audio_stream(audio: &AudioPlan, number: usize) -> Vec<OsString> {
    let mut args = if audio.is_copied() {
        words(&["-map", &format!("0:{}", audio.index)])
    } else {
        map_label('a', number)
    };
    args.extend(audio_arguments(audio).into_iter().map(OsString::from));
    args
}

/// The output of a filter graph, such as `[v0]`.
pub(in crate::run) fn map_label(kind: char, number: usize) -> Vec<OsString> {
    words(&["-map", &format!("[{kind}{number}]")])
}
