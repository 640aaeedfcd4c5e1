//! AV1 by SVT-AV1: profile Main, 4:2:0, Main tier. The encoder finds the level itself.

use model::{Box2d, Rational};

use super::{Named, options};
use crate::{Encoding, MasteringDisplay, RateControl, VideoPlan};

/// One row of the limits of levels (AV1 bitstream specification, A.3).
struct Level {
    name: &'static str,
    /// How sequence headers and RFC 6381 count it.
    index: i32,
    /// Pixels of a frame.
    frame: u64,
    /// Pixels across, and down.
    sides: (u32, u32),
    /// Pixels a second that are shown.
    rate: u64,
}

const fn level_of(name: &'static str, index: i32, frame: u64, sides: (u32, u32), rate: u64) -> Level {
    Level { name, index, frame, sides, rate }
}

const LEVELS: &[Level] = &[
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

/// SVT-AV1 takes no smaller pictures.
pub(super) const LEAST_SIDE: u32 = 4;

pub(super) fn crf(quality: f64) -> f64 {
    50.0 - 3.0 * quality
}

pub(super) fn level(size: Box2d, rate: Rational) -> &'static str {
    let pixels = u64::from(size.width) * u64::from(size.height);
    LEVELS
        .iter()
        .find(|level| fits(level, size.width, size.height) && pixels * rate.num() <= level.rate * rate.den())
        .map_or("6.2", |level| level.name)
}

pub(super) fn holds(width: u32, height: u32) -> bool {
    LEVELS.iter().any(|level| fits(level, width, height))
}

fn fits(level: &Level, width: u32, height: u32) -> bool {
    let (across, down) = level.sides;
    u64::from(width) * u64::from(height) <= level.frame && width <= across && height <= down
}

/// How sequence headers count a level.
pub(super) fn index(level: &str) -> i32 {
    LEVELS.iter().find(|one| one.name == level).map_or(0, |level| level.index)
}

/// A constant quality is a whole number here, and an average takes no peak.
pub(super) fn arguments(video: &VideoPlan, encoding: &Encoding, threads: u32) -> Vec<String> {
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
    arguments
        .extend(options([("-g", encoding.gop.to_string()), ("-svtav1-params", parameters(video, threads))]));
    arguments
}

/// Keyframes stand at their distance and nowhere else, whether that has to be so or not.
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
    if let Some((most, average)) = video.hdr_metadata.content_light {
        parameters.push_str(&format!(":content-light={most},{average}"));
    }
    if threads > 0 {
        parameters.push_str(&format!(":lp={threads}"));
    }
    parameters
}

/// `av01.P.LLT.DD` and colours: profile Main, level, Main tier, and bits of a sample.
pub(super) fn is_claimed(claim: &str, stream: &Named<'_>) -> bool {
    let of_tier =
        |tier: char| claim.strip_prefix(&format!("av01.0.{:02}{tier}.{:02}", stream.level, stream.depth));
    let claim = of_tier('m').or_else(|| of_tier('h').filter(|_| stream.copied));
    stream.profile == "Main" && claim.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
