//! Which renditions there are: sizes, caps of the frame rate and how bits are spent.

use std::num::NonZeroU32;

use model::{Box2d, Rendition, Resolution, Template, VideoCodec};

use super::{RateControl, size};
use crate::{VideoStream, codecs};

/// Short sides of the usual ladder.
const LADDER: [u32; 5] = [1080, 720, 540, 360, 234];
/// Between two of these a source has a rung of its own when the next one below it has less than this
/// share of its sides: else a third of the pixels and more would be lost.
const NEAR: f64 = 0.8;
/// `quality` when neither it nor a bit rate is given.
const USUAL_QUALITY: f64 = 5.0;
/// Bit rates grow more slowly than pixels, by this power.
const RATE_POWER: f64 = 0.75;
/// kbit/s that a rung has at least when its rate is derived from the top one's.
const LEAST_RATE: f64 = 64.0;

/// A rendition as it is wanted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rung {
    pub codec: VideoCodec,
    pub size: Box2d,
    pub framerate: Option<NonZeroU32>,
    pub rate_control: RateControl,
}

/// The renditions, best first, none above the source; at least one when there is a picture.
pub(super) fn rungs(template: &Template, picture: Option<&VideoStream>) -> Vec<Rung> {
    let Some(picture) = picture else { return Vec::new() };
    let shown = picture.shown();
    let mut rungs = match &template.adaptive_streams {
        Some(streams) if template.format.is_segmented() => asked(template, streams, shown),
        _ if template.format.is_segmented() => ladder(template, shown),
        _ => vec![rung(template, &Rendition::default(), scale(template.resolution, shown), shown)],
    };
    rungs.sort_by_key(|rung| std::cmp::Reverse(pixels(rung.size)));
    let mut seen = Vec::new();
    rungs.retain(|rung| {
        let first = !seen.contains(rung);
        seen.push(rung.clone());
        first
    });
    rungs
}

/// Encoder threads for each of so many renditions.
pub(super) fn threads(in_all: u32, renditions: usize) -> u32 {
    match (in_all, u32::try_from(renditions).unwrap_or(u32::MAX)) {
        (0, _) => 0,
        (in_all, renditions) => (in_all / renditions.max(1)).max(1),
    }
}

fn asked(template: &Template, streams: &[Rendition], shown: (f64, f64)) -> Vec<Rung> {
    let scaled = |stream: &Rendition| scale(stream.resolution.or(template.resolution), shown);
    let fitting: Vec<_> = streams
        .iter()
        .filter(|stream| !size::enlarges(scaled(stream)))
        .map(|stream| rung(template, stream, scaled(stream), shown))
        .collect();
    if !fitting.is_empty() {
        return fitting;
    }
    // all are above the source: the least of them, at the source's own size
    let least = streams.iter().min_by(|a, b| scaled(a).total_cmp(&scaled(b)));
    least.map(|stream| rung(template, stream, 1.0, shown)).into_iter().collect()
}

fn ladder(template: &Template, shown: (f64, f64)) -> Vec<Rung> {
    let sides = LADDER.map(|side| size::scale(Resolution::ShortSide(side), shown));
    let cap = scale(template.resolution, shown);
    let mut scales: Vec<f64> = sides.into_iter().filter(|scale| !size::enlarges(*scale)).collect();
    let below_the_ladder = size::enlarges(sides[0]);
    if template.resolution.is_some() && !size::enlarges(cap) {
        scales.retain(|scale| *scale < cap / 1.02);
        scales.insert(0, cap);
    } else if below_the_ladder && scales.first().is_none_or(|scale| *scale < NEAR) {
        scales.insert(0, 1.0);
    }
    let top = scales[0];
    scales
        .into_iter()
        .map(|scale| {
            let mut rung = rung(template, &Rendition::default(), scale, shown);
            rung.rate_control = at_size(rung.rate_control, (scale / top).powi(2));
            rung
        })
        .collect()
}

fn scale(wish: Option<Resolution>, shown: (f64, f64)) -> f64 {
    wish.map_or(1.0, |wish| size::scale(wish, shown))
}

fn rung(template: &Template, stream: &Rendition, scale: f64, shown: (f64, f64)) -> Rung {
    let mode = stream.vcodec.unwrap_or(template.video_mode());
    // a template that asks for anything but a codec here is refused before
    let codec = mode.codec().unwrap_or(VideoCodec::H264);
    Rung {
        codec,
        size: size::scaled(shown, scale, codec),
        framerate: stream.framerate.or(template.framerate),
        rate_control: rate_control(template, stream, codec),
    }
}

/// A rendition that says anything about bits is taken at its word; else the template speaks.
fn rate_control(template: &Template, stream: &Rendition, codec: VideoCodec) -> RateControl {
    let (quality, bitrate) = match (stream.quality, stream.video_bitrate) {
        (None, None) => (template.quality, template.video_bitrate),
        (quality, bitrate) => (quality, bitrate),
    };
    match (quality, bitrate) {
        (None, Some(bitrate)) => RateControl::Average(bitrate),
        (quality, cap) => {
            RateControl::Crf { crf: codecs::video(codec).crf(quality.unwrap_or(USUAL_QUALITY)), cap }
        }
    }
}

/// A bit rate that was given for the top of the usual ladder, for a rung with this share of pixels.
fn at_size(rate_control: RateControl, share: f64) -> RateControl {
    let less = |rate: u32| {
        let least = LEAST_RATE.min(rate.into());
        (f64::from(rate) * share.powf(RATE_POWER)).max(least).round() as u32
    };
    match rate_control {
        RateControl::Average(rate) => RateControl::Average(less(rate)),
        RateControl::Crf { crf, cap } => RateControl::Crf { crf, cap: cap.map(less) },
    }
}

fn pixels(size: Box2d) -> u64 {
    u64::from(size.width) * u64::from(size.height)
}
