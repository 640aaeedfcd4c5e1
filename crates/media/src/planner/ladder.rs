//! The ladder: which renditions there are, their sizes, caps of the frame rate and rate control.

use std::num::NonZeroU32;

use model::{Box2d, Rendition, Resolution, Template, VideoCodec};

use super::size;
use crate::{codecs, plan::RateControl, source::VideoStream};

/// Short sides of the default ladder.
const DEFAULT_SHORT_SIDES: [u32; 5] = [1080, 720, 540, 360, 234];
/// A source between two of these is a rendition at its own size when the next one below it has less than this
/// share of its sides: else a third of the pixels and more would be lost.
const MIN_SHARE_OF_SOURCE_SIDE: f64 = 0.8;
/// `quality` when neither it nor a bit rate is given.
const DEFAULT_QUALITY: f64 = 5.0;
/// Bit rates grow more slowly than pixels, by this power.
const BITRATE_POWER: f64 = 0.75;
/// kbit/s that a rendition has at least when its bit rate is derived from the top one's.
const MIN_DERIVED_BITRATE: f64 = 64.0;

/// One rendition of the ladder, before its frame rate and GOP are decided.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LadderRendition {
    pub codec: VideoCodec,
    pub size: Box2d,
    pub max_frame_rate: Option<NonZeroU32>,
    pub rate_control: RateControl,
}

/// The ladder, best first, none above the source; at least one when there is video.
pub(super) fn renditions(template: &Template, video: Option<&VideoStream>) -> Vec<LadderRendition> {
    let Some(video) = video else { return Vec::new() };
    let display_size = video.display_size();
    let mut renditions = match &template.adaptive_streams {
        Some(streams) if template.format.is_segmented() => requested(template, streams, display_size),
        _ if template.format.is_segmented() => default(template, display_size),
        _ => {
            let scale = scale(template.resolution, display_size);
            vec![rendition(template, &Rendition::default(), scale, display_size)]
        }
    };
    renditions.sort_by_key(|rendition| std::cmp::Reverse(pixels(rendition.size)));
    let mut distinct = Vec::new();
    for rendition in renditions {
        if !distinct.contains(&rendition) {
            distinct.push(rendition);
        }
    }
    distinct
}

/// Encoder threads of each rendition; 0 leaves it to the encoder.
pub(super) fn threads(total: u32, renditions: usize) -> u32 {
    if total == 0 {
        return 0;
    }
    (total / u32::try_from(renditions).unwrap_or(u32::MAX).max(1)).max(1)
}

/// Those that `adaptive_streams` asks for.
fn requested(template: &Template, streams: &[Rendition], display_size: (f64, f64)) -> Vec<LadderRendition> {
    let scale_of = |stream: &Rendition| scale(stream.resolution.or(template.resolution), display_size);
    let fitting: Vec<_> = streams
        .iter()
        .filter(|stream| !size::enlarges(scale_of(stream)))
        .map(|stream| rendition(template, stream, scale_of(stream), display_size))
        .collect();
    if !fitting.is_empty() {
        return fitting;
    }
    // all are above the source: the least of them, at the source's own size
    let least = streams.iter().min_by(|a, b| scale_of(a).total_cmp(&scale_of(b)));
    least.map(|stream| rendition(template, stream, 1.0, display_size)).into_iter().collect()
}

/// The default ladder, up to the template's resolution.
fn default(template: &Template, display_size: (f64, f64)) -> Vec<LadderRendition> {
    let sides = DEFAULT_SHORT_SIDES.map(|side| size::scale(Resolution::ShortSide(side), display_size));
    let cap = scale(template.resolution, display_size);
    let mut scales: Vec<f64> = sides.into_iter().filter(|scale| !size::enlarges(*scale)).collect();
    let is_below_the_top = size::enlarges(sides[0]);
    if template.resolution.is_some() && !size::enlarges(cap) {
        scales.retain(|scale| *scale < cap / 1.02);
        scales.insert(0, cap);
    } else if is_below_the_top && scales.first().is_none_or(|scale| *scale < MIN_SHARE_OF_SOURCE_SIDE) {
        scales.insert(0, 1.0);
    }
    let top = scales[0];
    scales
        .into_iter()
        .map(|scale| {
            let mut rendition = rendition(template, &Rendition::default(), scale, display_size);
            rendition.rate_control = at_share_of_pixels(rendition.rate_control, (scale / top).powi(2));
            rendition
        })
        .collect()
}

fn scale(resolution: Option<Resolution>, display_size: (f64, f64)) -> f64 {
    resolution.map_or(1.0, |resolution| size::scale(resolution, display_size))
}

fn rendition(
    template: &Template,
    stream: &Rendition,
    scale: f64,
    display_size: (f64, f64),
) -> LadderRendition {
    let mode = stream.vcodec.unwrap_or(template.video_mode());
    // a template that asks for `copy` or `none` here is refused before
    let codec = mode.codec().unwrap_or(VideoCodec::H264);
    LadderRendition {
        codec,
        size: size::scaled(display_size, scale, codec),
        max_frame_rate: stream.framerate.or(template.framerate),
        rate_control: rate_control(template, stream, codec),
    }
}

/// A rendition that has a quality or a bit rate takes nothing of the template's; else the template decides.
fn rate_control(template: &Template, stream: &Rendition, codec: VideoCodec) -> RateControl {
    let (quality, bitrate) = match (stream.quality, stream.video_bitrate) {
        (None, None) => (template.quality, template.video_bitrate),
        (quality, bitrate) => (quality, bitrate),
    };
    match (quality, bitrate) {
        (None, Some(bitrate)) => RateControl::Average(bitrate),
        (quality, cap) => {
            RateControl::Crf { crf: codecs::video(codec).crf(quality.unwrap_or(DEFAULT_QUALITY)), cap }
        }
    }
}

/// A bit rate that was given for the top of the default ladder, for a rendition with this share of its pixels.
fn at_share_of_pixels(rate_control: RateControl, share: f64) -> RateControl {
    let derived = |bitrate: u32| {
        let min = MIN_DERIVED_BITRATE.min(bitrate.into());
        (f64::from(bitrate) * share.powf(BITRATE_POWER)).max(min).round() as u32
    };
    match rate_control {
        RateControl::Average(bitrate) => RateControl::Average(derived(bitrate)),
        RateControl::Crf { crf, cap } => RateControl::Crf { crf, cap: cap.map(derived) },
    }
}

fn pixels(size: Box2d) -> u64 {
    u64::from(size.width) * u64::from(size.height)
}
