//! Video: what is done to it once, and what each rendition is.

use model::{Hdr, Rational, Template, VideoCodec};

use super::{audio, colour, frame_rate, ladder::LadderRendition};
use crate::{
    codecs,
    plan::{Coding, Encoding, PlanSettings, Segmenting, VideoFilter, VideoPlan},
    source::{HdrMetadata, VideoStream},
};

/// What is done once, before the video is scaled to each rendition.
pub(super) fn filter(video: &VideoStream, frame_rates: &[Rational], duration: f64) -> VideoFilter {
    let is_upright = video.orientation.quarters.is_multiple_of(2);
    let frame = frame_rates.first().map_or(0.0, |rate| 1.0 / rate.as_f64());
    let missing = duration - video.end;
    VideoFilter {
        index: video.index,
        field_order: video.field_order,
        top_field_first: video.top_field_first,
        orientation: video.orientation,
        width: if is_upright { video.width } else { video.height },
        height: if is_upright { video.height } else { video.width },
        pixel_format: video.pixel_format.clone(),
        source_colour: colour::of_source(video),
        start: video.start,
        // audio seldom ends where a frame does: less than a frame needs no filling
        end_padding: if missing > frame { missing } else { 0.0 },
    }
}

/// The renditions, best first.
pub(super) fn renditions(
    template: &Template,
    settings: &PlanSettings,
    video: &VideoStream,
    ladder: &[LadderRendition],
    frame_rates: &[Rational],
    segmenting: Option<Segmenting>,
) -> Vec<VideoPlan> {
    let gops =
        frame_rate::gops(template, frame_rates, segmenting.map(|segmenting| segmenting.segment_duration));
    let source_colour = colour::of_source(video);
    let mut names = Vec::new();
    let mut videos = Vec::new();
    for (rendition, (frame_rate, gop)) in ladder.iter().zip(frame_rates.iter().zip(gops)) {
        let spec = codecs::video(rendition.codec);
        let bit_depth = if is_deep(&video.pixel_format) { spec.max_bit_depth() } else { 8 };
        let hdr_colour =
            if keeps_hdr(template, rendition.codec, bit_depth) { colour::hdr(&source_colour) } else { None };
        videos.push(VideoPlan {
            name: name(rendition, &mut names),
            codec: rendition.codec,
            width: rendition.size.width,
            height: rendition.size.height,
            frame_rate: *frame_rate,
            coding: Coding::Encoded(Encoding {
                gop,
                rate_control: rendition.rate_control,
                preset: spec.preset(settings),
            }),
            profile: spec.profile(bit_depth).to_owned(),
            level: spec.level(rendition.size, *frame_rate, rendition.rate_control).to_owned(),
            bit_depth,
            tone_map: video.is_hdr() && hdr_colour.is_none(),
            hdr_metadata: if hdr_colour.is_some() { video.hdr_metadata } else { HdrMetadata::default() },
            colour: hdr_colour.unwrap_or_else(|| colour::sdr(&source_colour)),
        });
    }
    videos
}

fn keeps_hdr(template: &Template, codec: VideoCodec, bit_depth: u8) -> bool {
    template.hdr == Some(Hdr::Keep) && codec.keeps_hdr() && bit_depth > 8
}

/// Whether samples have more than 8 bits, by FFmpeg's name: only then does the byte order matter,
/// which it ends in. RGB in 16 bits for all three is the exception.
fn is_deep(pixel_format: &str) -> bool {
    let packed_rgb = ["rgb565", "rgb555", "rgb444", "bgr565", "bgr555", "bgr444"];
    (pixel_format.ends_with("le") || pixel_format.ends_with("be"))
        && !packed_rgb.iter().any(|prefix| pixel_format.starts_with(prefix))
}

/// Such as `720p`, by the short side; `720p_2` when that is taken.
fn name(rendition: &LadderRendition, taken: &mut Vec<String>) -> String {
    let plain = format!("{}p", rendition.size.width.min(rendition.size.height));
    let name = audio::unique(&plain, '_', taken);
    taken.push(name.clone());
    name
}
