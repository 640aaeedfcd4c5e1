//! Filter graphs. The picture's graph does what is common once, then splits; each sound has a graph
//! of its own, because FFmpeg starts a graph only when all of its inputs have a frame: sound that
//! begins late would hold all frames until then in memory.

use super::{CEILING, Gain, logo, stills};
use crate::{AudioPlan, Colour, FieldOrder, Orientation, Plan, VideoFilter, VideoPlan, codecs};

/// The graph of the picture: `[v0]`, `[v1]`, … are its outputs, and `[p0]` and `[p1]` the pictures taken
/// out of it; none without picture.
pub(super) fn picture(plan: &Plan) -> Option<String> {
    let picture = plan.video_filter.as_ref()?;
    let top = plan.videos.first()?;
    let one_rate = plan.videos.iter().all(|video| video.rate == top.rate);
    let mut common = vec![tagged(&picture.given), same_size(picture)];
    common.extend(fields(picture));
    if one_rate {
        common.extend(rate(plan, picture, top));
    }
    common.extend(turn(picture.orientation));
    let one_look = plan.videos.iter().all(|video| look(video) == look(top));
    if one_look {
        common.extend(gamut(picture, top));
    }
    // after this nothing of the source is left but its samples: no matrix, captions or HDR metadata
    common.push("sidedata=mode=delete".to_owned());

    let branch = |number: usize, video: &VideoPlan| {
        let mut filters = Vec::new();
        if scaled_from(plan, number).is_some() {
            filters.extend([format!("scale=w={}:h={}", video.width, video.height), "setsar=1".to_owned()]);
        } else {
            if !one_rate {
                filters.extend(rate(plan, picture, video));
            }
            if !one_look {
                filters.extend(gamut(picture, video));
            }
            filters.extend(finish(picture, video, if one_look { top } else { video }));
        }
        let smaller = (number + 1..plan.videos.len()).filter(|one| scaled_from(plan, *one) == Some(number));
        let smaller: Vec<_> = smaller.map(|one| format!("[s{one}]")).collect();
        if !smaller.is_empty() {
            filters.push(format!("split={}", smaller.len() + 1));
        }
        let (label, logo) = match &plan.logo {
            None => ('v', String::new()),
            Some(logo) => ('b', logo::over(logo, video, number)),
        };
        format!("{}[{label}{number}]{}{logo}", filters.join(","), smaller.concat())
    };
    let all = plan.videos.iter().enumerate().map(|(number, video)| (number, branch(number, video)));
    let (mut branches, smaller): (Vec<_>, Vec<_>) =
        all.partition(|(number, _)| scaled_from(plan, *number).is_none());
    if let Some(stills) = &plan.thumbnails {
        let mut filters = if one_rate { Vec::new() } else { rate(plan, picture, top) };
        if !(one_look && is_linear(picture, top)) {
            filters.extend(gamut(picture, &plain(picture, top)));
        }
        filters.push(stills::graph(stills, top.rate.as_f64()));
        branches.push((plan.videos.len(), filters.join(",")));
    }
    let mut graph = format!("[0:{}]{}", picture.index, common.join(","));
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
            && larger.rate == video.rate
            && look(larger) == look(video)
    };
    plan.videos[..number].iter().rposition(serves)
}

/// The graph of a sound, by FFmpeg's name of it, which begins at 0 whatever its time stamps say: silence until
/// it sets in. Channels that are mixed add up to more than one of them can hold (docs/decisions/0015).
pub(super) fn heard(plan: &Plan, audio: &AudioPlan, name: &str, gain: Option<Gain>) -> String {
    let before = if plan.segmenting.is_some() {
        codecs::audio(audio.codec).priming_padding(audio.sample_rate)
    } else {
        0
    };
    let samples = codecs::audio(audio.codec).sample_format();
    let mut graph = format!(
        "[{name}]aresample=osr={}:ochl={}:osf={}:async=1:first_pts={}",
        audio.sample_rate,
        codecs::layout(audio.channels),
        samples,
        -i64::from(before)
    );
    if audio.silence > 0.0 {
        // up to the end of all, wherever it really ends
        let before = f64::from(before) / f64::from(audio.sample_rate);
        graph.push_str(&format!(",apad=whole_dur={}", seconds(plan.duration + before)));
    }
    if plan.clip.is_some() {
        graph.push_str(&format!(",atrim=end={}", seconds(plan.duration)));
    }
    if (audio.is_downmixed || audio.is_resampled) && audio.loudness.is_none() {
        graph.push_str(&format!(",{},aresample=osf={samples}", below(CEILING)));
    }
    let Some(Gain { decibels, ceiling }) = gain else { return graph };
    graph.push_str(&format!(",volume={decibels:.2}dB"));
    if let Some(ceiling) = ceiling {
        // true peaks lie between the samples: four times as many show them
        let (over, rate) = (4 * audio.sample_rate, audio.sample_rate);
        graph.push_str(&format!(",aresample={over},{},aresample={rate}:osf={samples}", below(ceiling)));
    }
    graph
}

/// Holds peaks below so many dB of full scale, and does nothing to what has none above them.
fn below(ceiling: f64) -> String {
    format!("alimiter=limit={ceiling}dB:level=false:latency=true")
}

/// Frames of a source whose size changes on the way are scaled to the size that it was planned with; the
/// others pass as they are.
fn same_size(picture: &VideoFilter) -> String {
    let (width, height) = match picture.orientation.quarters % 2 {
        0 => (picture.width, picture.height),
        _ => (picture.height, picture.width),
    };
    format!("scale=w={width}:h={height}")
}

fn fields(picture: &VideoFilter) -> Vec<String> {
    let parity = if picture.top_field_first { "tff" } else { "bff" };
    match picture.field_order {
        FieldOrder::Progressive => Vec::new(),
        FieldOrder::Interlaced => vec![format!("bwdif=mode=send_frame:parity={parity}:deint=all")],
    }
}

/// Frames at a constant rate from 0 on: the first one is shown from the start, the last one is held
/// as long as the sound lasts. Frames are repeated or dropped here by reference, at no cost.
fn rate(plan: &Plan, picture: &VideoFilter, video: &VideoPlan) -> Vec<String> {
    let mut filters = vec![format!("fps=fps={}:start_time=0", video.rate)];
    if picture.hold > 0.0 {
        filters.push(format!("tpad=stop_mode=clone:stop_duration={}", seconds(picture.hold)));
    }
    if plan.clip.is_some() {
        let frames = (plan.duration * video.rate.as_f64()).round().max(1.0);
        filters.push(format!("trim=end_frame={frames}"));
    }
    filters
}

/// Each case is one filter, so that the picture is written once.
fn turn(turn: Orientation) -> Vec<String> {
    let filters: &[&str] = match (turn.quarters % 4, turn.mirrored) {
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

/// What renditions have to have in common to share the conversion of their colours.
fn look(video: &VideoPlan) -> (&Colour, bool, u8) {
    (&video.colour, video.tone_map, video.depth)
}

/// A rendition as every screen shows it: pictures that are taken out are never HDR.
fn plain(picture: &VideoFilter, video: &VideoPlan) -> VideoPlan {
    let tone_map = picture.given.is_hdr();
    VideoPlan { colour: Colour::bt709(), tone_map, depth: 8, ..video.clone() }
}

/// Whether the samples have to be recomputed in linear light.
fn is_linear(picture: &VideoFilter, video: &VideoPlan) -> bool {
    video.tone_map || picture.given.is_wide() && !video.colour.is_wide()
}

/// HDR and wide gamuts, which zscale knows by the tags that were set, become BT.709 in linear light, at
/// the size of the top rendition that needs it, since this is slow.
fn gamut(picture: &VideoFilter, top: &VideoPlan) -> Vec<String> {
    if !is_linear(picture, top) {
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

/// The last filters of a rendition: its size, square pixels, 4:2:0 in its depth, and colours that are
/// said. `linear` is the rendition whose colours were converted before, if any had to be.
fn finish(picture: &VideoFilter, video: &VideoPlan, linear: &VideoPlan) -> Vec<String> {
    let (given, wanted) = (&picture.given, &video.colour);
    let converted = is_linear(picture, linear);
    let size = if converted { (linear.width, linear.height) } else { (picture.width, picture.height) };
    let mut scale = Vec::new();
    if size != (video.width, video.height) {
        scale.push(format!("w={}:h={}", video.width, video.height));
    }
    if !converted && given.full_range {
        scale.push("out_range=limited".to_owned());
    }
    if !converted && given.matrix != wanted.matrix {
        scale.push(format!("out_color_matrix={}", wanted.matrix));
    }
    let mut filters = Vec::new();
    if !scale.is_empty() {
        filters.push(format!("scale={}", scale.join(":")));
    }
    if !converted && picture.pixel_format != video.pixel_format() {
        filters.push(format!("format={}", video.pixel_format()));
    }
    filters.push("setsar=1".to_owned());
    if given != wanted {
        filters.push(tagged(wanted));
    }
    filters
}

/// Says what the samples mean, without touching them: decoders pass on what files say wrongly, or
/// not at all.
fn tagged(colour: &Colour) -> String {
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
