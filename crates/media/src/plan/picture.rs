//! The picture: what is done to it once, and what each rendition is.

use model::{Hdr, Rational, Template, VideoCodec};

use super::{
    Coding, Colour, Encoding, PlanSettings, Segmenting, VideoFilter, VideoPlan,
    rate::{self},
    rungs::Rung,
};
use crate::{HdrMetadata, VideoStream, codecs};

/// What is done once, before the picture is scaled to each rendition.
pub(super) fn filter(picture: &VideoStream, rates: &[Rational], duration: f64) -> VideoFilter {
    let upright = picture.orientation.quarters.is_multiple_of(2);
    let frame = rates.first().map_or(0.0, |rate| 1.0 / rate.as_f64());
    let left = duration - picture.end;
    VideoFilter {
        index: picture.index,
        field_order: picture.field_order,
        top_field_first: picture.top_field_first,
        orientation: picture.orientation,
        width: if upright { picture.width } else { picture.height },
        height: if upright { picture.height } else { picture.width },
        pixel_format: picture.pixel_format.clone(),
        given: Colour::given(picture),
        start: picture.start,
        // the packets of sound seldom end where a frame does
        hold: if left > frame { left } else { 0.0 },
    }
}

/// The renditions, best first.
pub(super) fn renditions(
    template: &Template,
    settings: &PlanSettings,
    picture: &VideoStream,
    rungs: &[Rung],
    rates: &[Rational],
    segmenting: Option<Segmenting>,
) -> Vec<VideoPlan> {
    let gops = rate::gops(template, rates, segmenting.map(|segmenting| segmenting.seconds));
    let mut names = Vec::new();
    rungs
        .iter()
        .zip(rates)
        .zip(gops)
        .map(|((rung, rate), gop)| {
            let codec = rung.codec;
            let spec = codecs::video(codec);
            let depth = if is_deep(&picture.pixel_format) { spec.max_bit_depth() } else { 8 };
            let given = Colour::given(picture);
            let kept = keeps_hdr(template, codec, depth).then(|| given.kept()).flatten();
            VideoPlan {
                name: name(rung, &mut names),
                codec,
                width: rung.size.width,
                height: rung.size.height,
                rate: *rate,
                coding: Coding::Encoded(Encoding {
                    gop,
                    rate_control: rung.rate_control,
                    preset: spec.preset(settings),
                }),
                profile: spec.profile(depth).to_owned(),
                level: spec.level(rung.size, *rate, rung.rate_control).to_owned(),
                depth,
                tone_map: picture.is_hdr() && kept.is_none(),
                hdr_metadata: if kept.is_some() { picture.hdr_metadata } else { HdrMetadata::default() },
                colour: kept.unwrap_or_else(|| given.wanted()),
            }
        })
        .collect()
}

fn keeps_hdr(template: &Template, codec: VideoCodec, depth: u8) -> bool {
    template.hdr == Some(Hdr::Keep) && codec.keeps_hdr() && depth > 8
}

/// Whether samples have more than 8 bits, by FFmpeg's name: only then does the order of bytes matter,
/// which it ends in. RGB in 16 bits for all three is the exception.
fn is_deep(pixel_format: &str) -> bool {
    let small = ["rgb565", "rgb555", "rgb444", "bgr565", "bgr555", "bgr444"];
    (pixel_format.ends_with("le") || pixel_format.ends_with("be"))
        && !small.iter().any(|start| pixel_format.starts_with(start))
}

fn name(rung: &Rung, taken: &mut Vec<String>) -> String {
    let plain = format!("{}p", rung.size.width.min(rung.size.height));
    let name = super::sound::unique(&plain, '_', taken);
    taken.push(name.clone());
    name
}
