//! The templates that the server ships.

use super::{Format, Resolution, Template, TemplateName};
use crate::VideoMode;

/// All of them, in the order in which they are listed.
pub fn predefined_templates() -> Vec<Template> {
    let base = |name: &str, format, description: &str| Template {
        description: Some(description.to_owned()),
        ..Template::new(TemplateName(name.to_owned()), format)
    };
    let sized = |side, template| Template { resolution: Some(Resolution::ShortSide(side)), ..template };
    vec![
        sized(720, base("mp4-720p", Format::Mp4, "Progressive MP4, H.264 and AAC, 720p at most")),
        sized(1080, base("mp4-1080p", Format::Mp4, "Progressive MP4, H.264 and AAC, 1080p at most")),
        base("hls-h264", Format::Hls, "HLS, H.264 ladder from 1080p to 234p, TS segments of 6 s"),
        base("dash-h264", Format::Dash, "DASH, H.264 ladder from 1080p to 234p, CMAF segments of 4 s"),
        Template {
            also: Some(Format::Dash),
            ..base(
                "cmaf-h264",
                Format::Hls,
                "HLS and DASH over one set of CMAF segments of 6 s, H.264 ladder",
            )
        },
        sized(720, base("flv-720p", Format::Flv, "FLV, H.264 and AAC, 720p at most")),
        Template {
            vcodec: Some(VideoMode::None),
            ..base("audio-aac", Format::Mp4, "Audio alone, AAC in MP4")
        },
    ]
}
