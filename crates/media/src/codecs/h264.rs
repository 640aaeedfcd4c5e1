//! H.264 by x264: profile High, 8 bits, 4:2:0, at the lowest level that holds the stream.

use model::{Box2d, Rational};

use super::{Named, options};
use crate::{Encoding, RateControl, VideoPlan};

/// One row of the limits of levels (ITU-T H.264, table A-1).
struct Level {
    name: &'static str,
    /// Macroblocks a second.
    rate: u64,
    /// Macroblocks of a frame.
    frame: u64,
    /// kbit/s, and kbit of the buffer; High allows 1.25 times as much.
    bitrate: u64,
    buffer: u64,
}

const fn level_of(name: &'static str, rate: u64, frame: u64, bitrate: u64, buffer: u64) -> Level {
    Level { name, rate, frame, bitrate, buffer }
}

const LEVELS: &[Level] = &[
    level_of("1.0", 1_485, 99, 64, 175),
    level_of("1.1", 3_000, 396, 192, 500),
    level_of("1.2", 6_000, 396, 384, 1_000),
    level_of("1.3", 11_880, 396, 768, 2_000),
    level_of("2.0", 11_880, 396, 2_000, 2_000),
    level_of("2.1", 19_800, 792, 4_000, 4_000),
    level_of("2.2", 20_250, 1_620, 4_000, 4_000),
    level_of("3.0", 40_500, 1_620, 10_000, 10_000),
    level_of("3.1", 108_000, 3_600, 14_000, 14_000),
    level_of("3.2", 216_000, 5_120, 20_000, 20_000),
    level_of("4.0", 245_760, 8_192, 20_000, 25_000),
    level_of("4.1", 245_760, 8_192, 50_000, 62_500),
    level_of("4.2", 522_240, 8_704, 50_000, 62_500),
    level_of("5.0", 589_824, 22_080, 135_000, 135_000),
    level_of("5.1", 983_040, 36_864, 240_000, 240_000),
    level_of("5.2", 2_073_600, 36_864, 240_000, 240_000),
    level_of("6.0", 4_177_920, 139_264, 240_000, 240_000),
    level_of("6.1", 8_355_840, 139_264, 480_000, 480_000),
    level_of("6.2", 16_711_680, 139_264, 800_000, 800_000),
];

/// The lowest level when no bit rate is asked for: the limits of lower ones would show.
const LEAST_UNBOUNDED: &str = "2.0";

/// Profiles by FFmpeg's names, by what they demand of a decoder.
pub(super) const PROFILES: [&str; 4] = ["Constrained Baseline", "Baseline", "Main", "High"];

pub(super) fn crf(quality: f64) -> f64 {
    33.0 - 2.0 * quality
}

pub(super) fn level(size: Box2d, rate: Rational, rate_control: RateControl) -> &'static str {
    let (across, down) = macroblocks(size.width, size.height);
    let frame = across * down;
    let (bitrate, buffer) = rate_control.peak().unwrap_or_default();
    let unbounded = bitrate == 0;
    let least = LEVELS.iter().position(|level| unbounded && level.name == LEAST_UNBOUNDED);
    LEVELS[least.unwrap_or(0)..]
        .iter()
        .find(|level| {
            fits(level, across, down)
                && frame * rate.num() <= level.rate * rate.den()
                && u64::from(bitrate) * 4 <= level.bitrate * 5
                && u64::from(buffer) * 4 <= level.buffer * 5
        })
        .map_or("6.2", |level| level.name)
}

pub(super) fn holds(width: u32, height: u32) -> bool {
    let (across, down) = macroblocks(width, height);
    LEVELS.iter().any(|level| fits(level, across, down))
}

/// A side may be no longer than the root of eight times the frame (A.3.1).
fn fits(level: &Level, across: u64, down: u64) -> bool {
    let most = 8 * level.frame;
    across * down <= level.frame && across * across <= most && down * down <= most
}

fn macroblocks(width: u32, height: u32) -> (u64, u64) {
    (u64::from(width.div_ceil(16)), u64::from(height.div_ceil(16)))
}

/// kbit/s and kbit that a stream of a level may take.
fn bounds(level: &str) -> (u64, u64) {
    let found = LEVELS.iter().find(|one| one.name == level);
    found.map_or((0, 0), |level| (level.bitrate * 5 / 4, level.buffer * 5 / 4))
}

pub(super) fn arguments(video: &VideoPlan, encoding: &Encoding, fixed: bool) -> Vec<String> {
    let mut arguments = options([
        ("-c:v", "libx264".to_owned()),
        ("-preset", encoding.preset.clone()),
        ("-profile:v", video.profile.to_lowercase()),
        ("-level:v", video.level.clone()),
    ]);
    match encoding.rate_control {
        RateControl::Crf { crf, .. } => arguments.extend(options([("-crf", crf.to_string())])),
        RateControl::Average(average) => arguments.extend(options([("-b:v", format!("{average}k"))])),
    }
    let asked = encoding.rate_control.peak().map(|(peak, buffer)| (peak.into(), buffer.into()));
    let (peak, buffer) = asked.unwrap_or_else(|| bounds(&video.level));
    let exact =
        if fixed { format!("keyint={0}:min-keyint={0}:scenecut=0:", encoding.gop) } else { String::new() };
    arguments.extend(options([
        ("-maxrate:v", format!("{peak}k")),
        ("-bufsize:v", format!("{buffer}k")),
        ("-g", encoding.gop.to_string()),
        ("-x264-params", format!("{exact}open-gop=0")),
    ]));
    arguments
}

/// `avc1.PPCCLL`: profile, constraints, which FFmpeg does not show, and level, in hex digits.
pub(super) fn is_claimed(claim: &str, stream: &Named<'_>) -> bool {
    let profile = match stream.profile {
        "High" => "64",
        "Main" => "4d",
        _ => "42",
    };
    claim.len() == "avc1.640028".len()
        && claim.starts_with(&format!("avc1.{profile}"))
        && claim.ends_with(&format!("{:02x}", stream.level))
}
