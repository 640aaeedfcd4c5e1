//! Filter graphs. The video's graph does what is common once, then splits; each audio has a graph of its
//! own, because FFmpeg starts a graph only when all of its inputs have a frame: audio that begins late
//! would hold all video frames until then in memory.

use super::{CommandContext, logo, thumbnails};
use crate::{
    codecs,
    colour::Colour,
    plan::{Plan, VideoFilter, VideoPlan},
    source::{FieldOrder, Orientation},
};

/// dB of full scale that peaks are held below before encoding, where they may be above it: EBU R 128 and
/// players have them at -1 at most, and an encoder adds a little.
pub(in crate::run) const CEILING_DBFS: f64 = -1.5;

/// How the loudness of an audio is changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::run) struct Gain {
    /// From start to end.
    pub decibels: f64,
    /// dBTP that peaks are held below; none where none is that high.
    pub ceiling: Option<f64>,
}

/// The graph of the video: `[v0]`, `[v1]`, … are its outputs, and `[p0]` and `[p1]` the thumbnails and the
/// sheets of them; none without video.
pub(super) fn video_graph(plan: &Plan) -> Option<String> {
    let video_filter = plan.video_filter.as_ref()?;
    let top = plan.videos.first()?;
    let same_rate = plan.videos.iter().all(|video| video.frame_rate == top.frame_rate);
    let mut common = vec![set_params(&video_filter.source_colour)];
    common.extend(weave(video_filter));
    common.push(scale_to_planned_size(video_filter));
    common.extend(deinterlace(video_filter));
    if same_rate {
        common.extend(constant_rate(plan, video_filter, top));
    }
    common.extend(rotate(video_filter.orientation));
    let same_colour = plan.videos.iter().all(|video| colour_key(video) == colour_key(top));
    if same_colour {
        common.extend(to_bt709(video_filter, top));
    }
    // after this nothing of the source is left but its samples: no matrix, captions or HDR metadata
    common.push("sidedata=mode=delete".to_owned());

    let branch = |number: usize, video: &VideoPlan| {
        let mut filters = Vec::new();
        if scaled_from(plan, number).is_some() {
            filters.extend([format!("scale=w={}:h={}", video.width, video.height), "setsar=1".to_owned()]);
        } else {
            if !same_rate {
                filters.extend(constant_rate(plan, video_filter, video));
            }
            if !same_colour {
                filters.extend(to_bt709(video_filter, video));
            }
            filters.extend(finish(video_filter, video, if same_colour { top } else { video }));
        }
        let smaller =
            (number + 1..plan.videos.len()).filter(|other| scaled_from(plan, *other) == Some(number));
        let smaller: Vec<_> = smaller.map(|other| format!("[s{other}]")).collect();
        if !smaller.is_empty() {
            filters.push(format!("split={}", smaller.len() + 1));
        }
        let (label, overlay) = match &plan.logo {
            None => ('v', String::new()),
            Some(logo) => ('b', logo::overlay(logo, video, number)),
        };
        format!("{}[{label}{number}]{}{overlay}", filters.join(","), smaller.concat())
    };
    let all = plan.videos.iter().enumerate().map(|(number, video)| (number, branch(number, video)));
    let (mut branches, smaller): (Vec<_>, Vec<_>) =
        all.partition(|(number, _)| scaled_from(plan, *number).is_none());
    if let Some(thumbnails) = &plan.thumbnails {
        let mut filters = if same_rate { Vec::new() } else { constant_rate(plan, video_filter, top) };
        if !(same_colour && needs_linear_light(video_filter, top)) {
            filters.extend(to_bt709(video_filter, &as_sdr(video_filter, top)));
        }
        filters.push(thumbnails::graph(thumbnails, top.frame_rate.as_f64()));
        branches.push((plan.videos.len(), filters.join(",")));
    }
    let mut graph = format!("[0:{}]{}", video_filter.index, common.join(","));
    let labelled = |(number, branch): &(usize, String)| format!(";[s{number}]{branch}");
    if let [(_, branch)] = branches.as_slice() {
        graph.push_str(&format!(",{branch}"));
    } else {
        let labels: String = branches.iter().map(|(number, _)| format!("[s{number}]")).collect();
        graph.push_str(&format!(",split={}{labels}", branches.len()));
        graph.extend(branches.iter().map(labelled));
    }
    graph.extend(smaller.iter().map(labelled));
    if plan.logo.is_some() {
        graph.push_str(&logo::split(plan.videos.len()));
    }
    Some(graph)
}

/// The rendition that this one is scaled from instead of from the source: the smallest that has twice its
/// sides at least. Less is computed, and as little is lost (docs/decisions/0013).
fn scaled_from(plan: &Plan, number: usize) -> Option<usize> {
    let video = &plan.videos[number];
    let serves = |larger: &VideoPlan| {
        larger.width >= 2 * video.width
            && larger.height >= 2 * video.height
            && larger.frame_rate == video.frame_rate
            && colour_key(larger) == colour_key(video)
    };
    plan.videos[..number].iter().rposition(serves)
}

/// The graph of the audio with this number, from a stream specifier of FFmpeg's. It begins at 0 whatever the
/// time stamps say: with silence until the first sample. Channels that are downmixed add up to more than one
/// of them can hold (docs/decisions/0015).
pub(in crate::run) fn audio_graph(context: &CommandContext<'_>, number: usize, stream: &str) -> String {
    let plan = context.plan;
    let audio = &plan.audios[number];
    let before = if plan.segmenting.is_some() {
        codecs::audio(audio.codec).priming_padding(audio.sample_rate)
    } else {
        0
    };
    let samples = codecs::audio(audio.codec).sample_format();
    let mut graph = format!(
        "[{stream}]aresample=osr={}:ochl={}:osf={}:async=1:first_pts={}",
        audio.sample_rate,
        codecs::layout(audio.channels),
        samples,
        -i64::from(before)
    );
    if audio.silence > 0.0 {
        // padded up to the end of the output, wherever this audio really ends
        let before = f64::from(before) / f64::from(audio.sample_rate);
        graph.push_str(&format!(",apad=whole_dur={}", seconds(plan.duration + before)));
    }
    if plan.clip.is_some() {
        graph.push_str(&format!(",atrim=end={}", seconds(plan.duration)));
    }
    if (audio.is_downmixed || context.is_resampled(audio)) && audio.loudness.is_none() {
        graph.push_str(&format!(",{},aresample=osf={samples}", limiter(CEILING_DBFS)));
    }
    let Some(Gain { decibels, ceiling }) = context.gain(number) else { return graph };
    graph.push_str(&format!(",volume={decibels:.2}dB"));
    if let Some(ceiling) = ceiling {
        // true peaks lie between the samples: four times as many show them
        let (over, rate) = (4 * audio.sample_rate, audio.sample_rate);
        graph.push_str(&format!(",aresample={over},{},aresample={rate}:osf={samples}", limiter(ceiling)));
    }
    graph
}

/// Holds peaks below so many dB of full scale, and does nothing to what has none above them.
fn limiter(ceiling: f64) -> String {
    format!("alimiter=limit={ceiling}dB:level=false:latency=true")
}

/// Frames of a source whose size changes on the way are scaled to the size that it was planned with; the
/// others pass as they are.
fn scale_to_planned_size(video_filter: &VideoFilter) -> String {
    let (width, height) = match video_filter.orientation.quarters % 2 {
        0 => (video_filter.width, video_filter.height),
        _ => (video_filter.height, video_filter.width),
    };
    format!("scale=w={width}:h={height}")
}

/// Two fields after each other become the lines of one frame, at half the rate.
fn weave(video_filter: &VideoFilter) -> Option<String> {
    let first = if video_filter.top_field_first { "top" } else { "bottom" };
    match video_filter.field_order {
        FieldOrder::SeparateFields => Some(format!("weave=first_field={first}")),
        FieldOrder::Progressive | FieldOrder::Interlaced => None,
    }
}

fn deinterlace(video_filter: &VideoFilter) -> Vec<String> {
    let parity = if video_filter.top_field_first { "tff" } else { "bff" };
    match video_filter.field_order {
        FieldOrder::Progressive => Vec::new(),
        FieldOrder::Interlaced | FieldOrder::SeparateFields => {
            vec![format!("bwdif=mode=send_frame:parity={parity}:deint=all")]
        }
    }
}

/// Frames at a constant rate from 0 on: the first one is shown from the start, the last one is held
/// up to the end of the audio. Frames are repeated or dropped here by reference, at no cost.
fn constant_rate(plan: &Plan, video_filter: &VideoFilter, video: &VideoPlan) -> Vec<String> {
    let mut filters = vec![format!("fps=fps={}:start_time=0", video.frame_rate)];
    if video_filter.end_padding > 0.0 {
        filters.push(format!("tpad=stop_mode=clone:stop_duration={}", seconds(video_filter.end_padding)));
    }
    if plan.clip.is_some() {
        let frames = (plan.duration * video.frame_rate.as_f64()).round().max(1.0);
        filters.push(format!("trim=end_frame={frames}"));
    }
    filters
}

/// One filter where one does, so that each frame is written once.
fn rotate(orientation: Orientation) -> Vec<String> {
    let filters: &[&str] = match (orientation.quarters % 4, orientation.mirrored) {
        (0, false) => &[],
        (1, false) => &["transpose=clock"],
        (2, false) => &["hflip", "vflip"],
        (_, false) => &["transpose=cclock"],
        (0, true) => &["hflip"],
        (1, true) => &["transpose=clock_flip"],
        (2, true) => &["vflip"],
        (_, true) => &["transpose=cclock_flip"],
    };
    filters.iter().map(|filter| (*filter).to_owned()).collect()
}

/// What renditions have in common that share the conversion of their colours.
fn colour_key(video: &VideoPlan) -> (&Colour, bool, u8) {
    (&video.colour, video.tone_map, video.bit_depth)
}

/// A rendition as every screen shows it: thumbnails are never HDR.
fn as_sdr(video_filter: &VideoFilter, video: &VideoPlan) -> VideoPlan {
    let tone_map = video_filter.source_colour.is_hdr();
    VideoPlan { colour: Colour::bt709(), tone_map, bit_depth: 8, ..video.clone() }
}

/// Whether the samples have to be recomputed in linear light.
fn needs_linear_light(video_filter: &VideoFilter, video: &VideoPlan) -> bool {
    video.tone_map || video_filter.source_colour.is_wide() && !video.colour.is_wide()
}

/// HDR and wide gamuts, which zscale knows by the tags that were set, become BT.709 in linear light, at
/// the size of the top rendition that needs it, since this is slow.
fn to_bt709(video_filter: &VideoFilter, top: &VideoPlan) -> Vec<String> {
    if !needs_linear_light(video_filter, top) {
        return Vec::new();
    }
    let mut filters = vec![
        format!("zscale=w={}:h={}:filter=bicubic:transfer=linear:npl=100", top.width, top.height),
        "format=gbrpf32le".to_owned(),
        "zscale=primaries=bt709".to_owned(),
    ];
    if top.tone_map {
        filters.push("tonemap=tonemap=mobius:desat=0".to_owned());
    }
    filters.push("zscale=matrix=bt709:transfer=bt709:primaries=bt709:range=limited".to_owned());
    filters.push(format!("format={}", top.pixel_format()));
    filters
}

/// The last filters of a rendition: its size, square pixels, 4:2:0 in its depth, and tagged colours.
/// `linear` is the rendition whose colours were converted before, if any had to be.
fn finish(video_filter: &VideoFilter, video: &VideoPlan, linear: &VideoPlan) -> Vec<String> {
    let (given, planned) = (&video_filter.source_colour, &video.colour);
    let converted = needs_linear_light(video_filter, linear);
    let size =
        if converted { (linear.width, linear.height) } else { (video_filter.width, video_filter.height) };
    let mut scale = Vec::new();
    if size != (video.width, video.height) {
        scale.push(format!("w={}:h={}", video.width, video.height));
    }
    if !converted && given.full_range {
        scale.push("out_range=limited".to_owned());
    }
    if !converted && given.matrix != planned.matrix {
        scale.push(format!("out_color_matrix={}", planned.matrix));
    }
    let mut filters = Vec::new();
    if !scale.is_empty() {
        filters.push(format!("scale={}", scale.join(":")));
    }
    if !converted && video_filter.pixel_format != video.pixel_format() {
        filters.push(format!("format={}", video.pixel_format()));
    }
    filters.push("setsar=1".to_owned());
    if given != planned {
        filters.push(set_params(planned));
    }
    filters
}

/// Sets what the samples mean, without touching them: decoders pass on what files say wrongly, or not at
/// all.
fn set_params(colour: &Colour) -> String {
    format!(
        "setparams=range={}:colorspace={}:color_trc={}:color_primaries={}",
        range(colour.full_range),
        colour.matrix,
        colour.transfer,
        colour.primaries
    )
}

fn range(full: bool) -> &'static str {
    if full { "full" } else { "limited" }
}

/// Microseconds are all that FFmpeg keeps.
fn seconds(seconds: f64) -> String {
    let text = format!("{seconds:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
