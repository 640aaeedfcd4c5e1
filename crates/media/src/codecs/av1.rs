//! AV1 by SVT-AV1: profile Main, 4:2:0, Main tier. The encoder chooses the level itself.

use model::{Box2d, Rational};

use super::{CodedStream, VideoCodecSpec, options};
use crate::{
    plan::{Encoding, PlanSettings, RateControl, VideoPlan},
    source::MasteringDisplay,
};

/// One row of the limits of levels (AV1 bitstream specification, A.3).
struct Av1Level {
    name: &'static str,
    /// `seq_level_idx` of sequence headers, which RFC 6381 values repeat.
    index: i32,
    max_frame_pixels: u64,
    max_width: u32,
    max_height: u32,
    /// Pixels a second that are shown.
    max_pixels_per_sec: u64,
}

const fn level_of(
    name: &'static str,
    index: i32,
    max_frame_pixels: u64,
    (max_width, max_height): (u32, u32),
    max_pixels_per_sec: u64,
) -> Av1Level {
    Av1Level { name, index, max_frame_pixels, max_width, max_height, max_pixels_per_sec }
}

const LEVELS: &[Av1Level] = &[
    level_of("2.0", 0, 147_456, (2048, 1152), 4_423_680),
    level_of("2.1", 1, 278_784, (2816, 1584), 8_363_520),
    level_of("3.0", 4, 665_856, (4352, 2448), 19_975_680),
    level_of("3.1", 5, 1_065_024, (5504, 3096), 31_950_720),
    level_of("4.0", 8, 2_359_296, (6144, 3456), 70_778_880),
    level_of("4.1", 9, 2_359_296, (6144, 3456), 141_557_760),
    level_of("5.0", 12, 8_912_896, (8192, 4352), 267_386_880),
    level_of("5.1", 13, 8_912_896, (8192, 4352), 534_773_760),
    level_of("5.2", 14, 8_912_896, (8192, 4352), 1_069_547_520),
    level_of("6.0", 16, 35_651_584, (16384, 8704), 1_069_547_520),
    level_of("6.1", 17, 35_651_584, (16384, 8704), 2_139_095_040),
    level_of("6.2", 18, 35_651_584, (16384, 8704), 4_278_190_080),
];

pub(super) struct Av1;

impl VideoCodecSpec for Av1 {
    fn sample_entry(&self) -> &'static str {
        "av01"
    }

    fn max_bit_depth(&self) -> u8 {
        10
    }

    /// What SVT-AV1 takes at least.
    fn min_side(&self) -> u32 {
        4
    }

    fn allows_size(&self, width: u32, height: u32) -> bool {
        LEVELS.iter().any(|level| level.allows_frame(width, height))
    }

    fn level(&self, size: Box2d, frame_rate: Rational, _rate_control: RateControl) -> &'static str {
        let pixels = u64::from(size.width) * u64::from(size.height);
        LEVELS
            .iter()
            .find(|level| {
                level.allows_frame(size.width, size.height)
                    && pixels * frame_rate.num() <= level.max_pixels_per_sec * frame_rate.den()
            })
            .map_or("6.2", |level| level.name)
    }

    fn profile(&self, _bit_depth: u8) -> &'static str {
        "Main"
    }

    fn header_level(&self, planned: &str, found: i32) -> Option<i32> {
        let planned = LEVELS.iter().find(|one| one.name == planned).map_or(0, |level| level.index);
        Some(planned.max(found))
    }

    /// `av01.P.LLT.DD` and colours: profile Main, level, Main tier, and bits of a sample.
    fn matches_rfc6381(&self, value: &str, stream: &CodedStream<'_>) -> bool {
        let after_tier = |tier: char| {
            value.strip_prefix(&format!("av01.0.{:02}{tier}.{:02}", stream.level, stream.bit_depth))
        };
        let mut colours = after_tier('m');
        if colours.is_none() && stream.is_copied {
            colours = after_tier('h');
        }
        stream.profile == "Main" && colours.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    fn crf(&self, quality: f64) -> f64 {
        50.0 - 3.0 * quality
    }

    fn preset(&self, settings: &PlanSettings) -> String {
        settings.svtav1_preset.to_string()
    }

    /// A constant quality is a whole number here, and an average bit rate takes no peak. Key frames stand at their
    /// distance and nowhere else (`scd=0`), whether that has to be so or not.
    fn arguments(
        &self,
        video: &VideoPlan,
        encoding: &Encoding,
        _fixed_gop: bool,
        threads: u32,
    ) -> Vec<String> {
        let mut arguments = options([("-c:v", "libsvtav1".to_owned()), ("-preset", encoding.preset.clone())]);
        match encoding.rate_control {
            RateControl::Crf { crf, cap } => {
                arguments.extend(options([("-crf", crf.round().to_string())]));
                if let Some(cap) = cap {
                    arguments.extend(options([
                        ("-maxrate:v", format!("{cap}k")),
                        ("-bufsize:v", format!("{}k", cap * 2)),
                    ]));
                }
            }
            RateControl::Average(average) => arguments.extend(options([("-b:v", format!("{average}k"))])),
        }
        arguments.extend(options([
            ("-g", encoding.gop.to_string()),
            ("-svtav1-params", parameters(video, threads)),
        ]));
        arguments
    }
}

impl Av1Level {
    fn allows_frame(&self, width: u32, height: u32) -> bool {
        u64::from(width) * u64::from(height) <= self.max_frame_pixels
            && width <= self.max_width
            && height <= self.max_height
    }
}

fn parameters(video: &VideoPlan, threads: u32) -> String {
    let mut parameters = "scd=0".to_owned();
    if let Some(MasteringDisplay { chromaticities: [r, g, b, w], luminance: (max, min) }) =
        video.hdr_metadata.mastering_display
    {
        let point = |(x, y): (u32, u32)| format!("({},{})", f64::from(x) / 5e4, f64::from(y) / 5e4);
        let (r, g, b, w) = (point(r), point(g), point(b), point(w));
        let (max, min) = (f64::from(max) / 1e4, f64::from(min) / 1e4);
        parameters.push_str(&format!(":mastering-display=G{g}B{b}R{r}WP{w}L({max},{min})"));
    }
    if let Some((max_cll, max_fall)) = video.hdr_metadata.content_light {
        parameters.push_str(&format!(":content-light={max_cll},{max_fall}"));
    }
    if threads > 0 {
        parameters.push_str(&format!(":lp={threads}"));
    }
    parameters
}
