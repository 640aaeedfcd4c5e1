//! The packager's argument list: each pipe becomes a folder `out/files/<name>/` with its segments and
//! its playlist, and all together one main playlist or manifest.
//!
//! All paths are relative to the work folder, where the packager runs: a comma in the folder's own path
//! would end a field, and a `$` begin a number's place.

use std::{ffi::OsString, path::Path};

use model::{Format, Rational, SegmentType};

use super::pipe;
use crate::{
    layout::OutputLayout,
    plan::{AudioPlan, Coding, Plan, Segmenting, VideoPlan},
};

/// Frames by which decoding may begin before the first frame is shown (B-frames), with a reserve.
const MAX_REORDER_FRAMES: f64 = 3.0;
/// The same of a copy: as many as a decoder may hold back (`max_dec_frame_buffering`, ITU-T H.264, A.3.1).
const MAX_REORDER_FRAMES_COPIED: f64 = 16.0;

/// Seconds that a DASH player buffers before it begins, where segments are shorter.
const MIN_BUFFER_SECS: f64 = 2.0;

/// Bytes that the packager reads at once where somebody waits for the first segment: of the usual 64 KiB
/// it would wait for the last byte, which is seconds of audio.
const GROWING_IO_BLOCK_BYTES: &str = "4096";

pub(super) fn args(plan: &Plan, segmenting: Segmenting) -> Vec<OsString> {
    let mut args: Vec<OsString> = Vec::new();
    for video in &plan.videos {
        args.push(video_stream(plan, video, segmenting.segment_type));
    }
    for (number, audio) in plan.audios.iter().enumerate() {
        args.push(audio_stream(plan, audio, number == 0, segmenting.segment_type));
    }
    let mut add = |flag: &str, value: OsString| {
        let mut argument = OsString::from(format!("--{flag}="));
        argument.push(value);
        args.push(argument);
    };
    add("segment_duration", packager_seconds(segmenting.segment_duration).into());
    if let Some(language) = plan.audios.first().map(|audio| &audio.language).filter(|code| !code.is_empty()) {
        add("default_language", language.into());
    }
    match segmenting.segment_type {
        SegmentType::Ts => {
            add("transport_stream_timestamp_offset_ms", timestamp_offset_ms(&plan.videos).to_string().into());
        }
        SegmentType::Fmp4 => {
            if let Some(gop) = plan.videos.first().and_then(gop_seconds) {
                add("fragment_duration", packager_seconds(gop).into());
            }
        }
    }
    for (format, file) in OutputLayout::manifests(plan) {
        let file = OutputLayout::dir(Path::new("")).join(file);
        for (flag, value) in
            manifest_flags(format, plan.is_growing, segmenting.segment_duration.as_f64(), &file)
        {
            add(flag, value);
        }
    }
    if plan.is_growing {
        add("io_block_size", GROWING_IO_BLOCK_BYTES.into());
    }
    args
}

/// The flags for a main playlist or manifest; none for what the packager does not write. Of a growing
/// playlist (EVENT) the end is missing at first; `segment_secs` is the length of segments.
fn manifest_flags(
    format: Format,
    is_growing: bool,
    segment_secs: f64,
    file: &Path,
) -> Vec<(&'static str, OsString)> {
    let file = file.as_os_str().to_owned();
    match format {
        Format::Hls => {
            let playlist_type = if is_growing { "EVENT" } else { "VOD" };
            vec![("hls_master_playlist_output", file), ("hls_playlist_type", playlist_type.into())]
        }
        Format::Dash => vec![
            ("mpd_output", file),
            // a static manifest with a timeline of segments
            ("generate_static_live_mpd", "true".into()),
            // bandwidths hold for players that have buffered a whole segment
            ("min_buffer_time", MIN_BUFFER_SECS.max(segment_secs).to_string().into()),
        ],
        Format::Mp4 | Format::Flv => Vec::new(),
    }
}

fn video_stream(plan: &Plan, video: &VideoPlan, kind: SegmentType) -> OsString {
    let mut fields = stream("video", &video.name, kind);
    if plan.format == Format::Hls {
        field(&mut fields, "playlist_name", &OutputLayout::media_playlist(&video.name));
        field(&mut fields, "iframe_playlist_name", &OutputLayout::i_frame_playlist(&video.name));
    }
    fields
}

fn audio_stream(plan: &Plan, audio: &AudioPlan, first: bool, kind: SegmentType) -> OsString {
    let mut fields = stream("audio", &audio.name, kind);
    if !audio.language.is_empty() {
        field(&mut fields, "language", &audio.language);
    }
    if plan.format == Format::Hls {
        field(&mut fields, "playlist_name", &OutputLayout::media_playlist(&audio.name));
        field(&mut fields, "hls_group_id", "audio");
        field(&mut fields, "hls_name", &audio.label);
    }
    if OutputLayout::manifests(plan).iter().any(|(format, _)| *format == Format::Dash) {
        field(&mut fields, "dash_roles", if first { "main" } else { "alternate" });
        // audios of one language and role would otherwise be one audio in several bit rates
        field(&mut fields, "dash_label", &audio.label);
    }
    fields
}

/// The fields that every stream has.
fn stream(what: &str, name: &str, kind: SegmentType) -> OsString {
    let dir = OutputLayout::dir(Path::new(""));
    let mut fields = OsString::from("in=");
    fields.push(pipe(Path::new(""), name));
    field(&mut fields, "stream", what);
    let mut file = |key: &str, path: String| {
        fields.push(format!(",{key}="));
        fields.push(dir.join(path));
    };
    if kind == SegmentType::Fmp4 {
        file("init_segment", OutputLayout::init_segment(&OutputLayout::stream_folder(name)));
    }
    file("segment_template", OutputLayout::segment_template(name, kind));
    fields
}

fn field(fields: &mut OsString, key: &str, value: &str) {
    fields.push(format!(",{key}={value}"));
}

/// How long a fragment is at least, which begins with a key frame that players may look for: of a copy, whose groups
/// are as long as they are, half a second.
fn gop_seconds(video: &VideoPlan) -> Option<Rational> {
    match &video.coding {
        Coding::Encoded(encoding) => {
            Rational::new(u64::from(encoding.gop) * video.frame_rate.den(), video.frame_rate.num())
        }
        Coding::Copied(_) => Rational::new(1, 2),
    }
}

/// Seconds as the packager should read them: it cuts `seconds × timescale` down to a whole
/// number, which a fraction such as 6.006 may just miss from below.
fn packager_seconds(seconds: Rational) -> String {
    format!("{:.7}", seconds.as_f64() + 1e-7)
}

/// Milliseconds by which time stamps in a transport stream are moved, all alike: decoding begins
/// before 0, and there is nothing before 0.
fn timestamp_offset_ms(videos: &[VideoPlan]) -> u64 {
    let before = |video: &VideoPlan| {
        let frames = if video.copied().is_some() { MAX_REORDER_FRAMES_COPIED } else { MAX_REORDER_FRAMES };
        frames * 1000.0 / video.frame_rate.as_f64()
    };
    videos.iter().map(before).fold(100.0, f64::max).ceil() as u64
}
