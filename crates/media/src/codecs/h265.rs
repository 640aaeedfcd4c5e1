//! H.265 by x265: profile Main or Main 10, 4:2:0, Main tier, at the lowest level that holds the stream.

use model::{Box2d, Rational};

use super::{Named, options};
use crate::{Encoding, MasteringDisplay, RateControl, VideoPlan};

/// One row of the limits of levels in the Main tier (ITU-T H.265, tables A.8 and A.9).
struct Level {
    name: &'static str,
    /// Pixels of a frame.
    frame: u64,
    /// Pixels a second.
    rate: u64,
    /// kbit/s, and kbit of the buffer.
    bitrate: u32,
}

const fn level_of(name: &'static str, frame: u64, rate: u64, bitrate: u32) -> Level {
    Level { name, frame, rate, bitrate }
}

const LEVELS: &[Level] = &[
    level_of("1.0", 36_864, 552_960, 128),
    level_of("2.0", 122_880, 3_686_400, 1_500),
    level_of("2.1", 245_760, 7_372_800, 3_000),
    level_of("3.0", 552_960, 16_588_800, 6_000),
    level_of("3.1", 983_040, 33_177_600, 10_000),
    level_of("4.0", 2_228_224, 66_846_720, 12_000),
    level_of("4.1", 2_228_224, 133_693_440, 20_000),
    level_of("5.0", 8_912_896, 267_386_880, 25_000),
    level_of("5.1", 8_912_896, 534_773_760, 40_000),
    level_of("5.2", 8_912_896, 1_069_547_520, 60_000),
    level_of("6.0", 35_651_584, 1_069_547_520, 60_000),
    level_of("6.1", 35_651_584, 2_139_095_040, 120_000),
    level_of("6.2", 35_651_584, 4_278_190_080, 240_000),
];

/// The lowest level when no bit rate is asked for: the limits of lower ones would show.
const LEAST_UNBOUNDED: &str = "3.0";

/// x265 takes no smaller pictures.
pub(super) const LEAST_SIDE: u32 = 16;

pub(super) fn crf(quality: f64) -> f64 {
    38.0 - 2.0 * quality
}

pub(super) fn level(size: Box2d, rate: Rational, rate_control: RateControl) -> &'static str {
    let (peak, buffer) = rate_control.peak().unwrap_or_default();
    let least = LEVELS.iter().position(|level| peak == 0 && level.name == LEAST_UNBOUNDED);
    let pixels = u64::from(size.width) * u64::from(size.height);
    LEVELS[least.unwrap_or(0)..]
        .iter()
        .find(|level| {
            fits(level, size.width, size.height)
                && pixels * rate.num() <= level.rate * rate.den()
                && peak.max(buffer) <= level.bitrate
        })
        .map_or("6.2", |level| level.name)
}

pub(super) fn holds(width: u32, height: u32) -> bool {
    LEVELS.iter().any(|level| fits(level, width, height))
}

/// A side may be no longer than the root of eight times the frame (A.4.1).
fn fits(level: &Level, width: u32, height: u32) -> bool {
    let (width, height, most) = (u64::from(width), u64::from(height), 8 * level.frame);
    width * height <= level.frame && width * width <= most && height * height <= most
}

/// kbit/s and kbit that a stream of a level may take.
fn bounds(level: &str) -> (u32, u32) {
    let bitrate = LEVELS.iter().find(|one| one.name == level).map_or(0, |level| level.bitrate);
    (bitrate, bitrate)
}

pub(super) fn arguments(video: &VideoPlan, encoding: &Encoding, fixed: bool, threads: u32) -> Vec<String> {
    let mut arguments = options([
        ("-c:v", "libx265".to_owned()),
        ("-preset", encoding.preset.clone()),
        ("-profile:v", video.profile.to_lowercase().replace(' ', "")),
        ("-tag:v", "hvc1".to_owned()),
    ]);
    match encoding.rate_control {
        RateControl::Crf { crf, .. } => arguments.extend(options([("-crf", crf.to_string())])),
        RateControl::Average(average) => arguments.extend(options([("-b:v", format!("{average}k"))])),
    }
    let (peak, buffer) = encoding.rate_control.peak().unwrap_or_else(|| bounds(&video.level));
    arguments.extend(options([
        ("-maxrate:v", format!("{peak}k")),
        ("-bufsize:v", format!("{buffer}k")),
        ("-g", encoding.gop.to_string()),
        ("-x265-params", parameters(video, encoding, fixed, threads)),
    ]));
    arguments
}

fn parameters(video: &VideoPlan, encoding: &Encoding, fixed: bool, threads: u32) -> String {
    let mut parameters = format!("log-level=error:level-idc={}:high-tier=0:open-gop=0", video.level);
    if fixed {
        parameters.push_str(&format!(":keyint={0}:min-keyint={0}:scenecut=0", encoding.gop));
    }
    if let Some(MasteringDisplay { chromaticities: [r, g, b, w], luminance: (max, min) }) =
        video.hdr_metadata.mastering_display
    {
        let point = |(x, y): (u32, u32)| format!("({x},{y})");
        let (r, g, b, w) = (point(r), point(g), point(b), point(w));
        parameters.push_str(&format!(":master-display=G{g}B{b}R{r}WP{w}L({max},{min})"));
    }
    if let Some((most, average)) = video.hdr_metadata.content_light {
        parameters.push_str(&format!(":max-cll={most},{average}"));
    }
    if threads > 0 {
        parameters.push_str(&format!(":pools={threads}"));
    }
    parameters
}

/// `hvc1.P.C.TLL.…`: profile, compatible profiles, tier and level, constraints (ISO/IEC 14496-15, E.3).
pub(super) fn is_claimed(claim: &str, stream: &Named<'_>) -> bool {
    let profile = if stream.profile == "Main 10" { "2" } else { "1" };
    let fields: Vec<&str> = claim.split('.').collect();
    matches!(fields[..], ["hvc1", found, _, tier, ..]
        if found == profile && (tier == format!("l{}", stream.level)
            || stream.copied && tier == format!("h{}", stream.level)))
}
