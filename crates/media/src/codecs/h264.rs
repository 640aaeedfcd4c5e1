//! H.264 by x264: profile High, 8 bits, 4:2:0, at the lowest level that allows the stream.

use model::{Box2d, Rational};

use super::{CodedStream, VideoCodecSpec, options, tenths, threads_option};
use crate::plan::{Encoding, PlanSettings, RateControl, VideoPlan};

/// One row of the limits of levels (ITU-T H.264, table A-1).
struct Level {
    name: &'static str,
    max_macroblocks_per_sec: u64,
    max_frame_macroblocks: u64,
    /// kbit/s, and kbit of the buffer; High allows 1.25 times as much.
    max_bitrate: u64,
    max_buffer: u64,
}

const fn level_of(
    name: &'static str,
    max_macroblocks_per_sec: u64,
    max_frame_macroblocks: u64,
    max_bitrate: u64,
    max_buffer: u64,
) -> Level {
    Level { name, max_macroblocks_per_sec, max_frame_macroblocks, max_bitrate, max_buffer }
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

/// The lowest level when no bit rate is asked for: the bit rates of lower ones would be seen.
const MIN_UNBOUNDED_LEVEL: &str = "2.0";

/// Profiles by FFmpeg's names, from the one that asks least of a decoder.
const PROFILES: [&str; 4] = ["Constrained Baseline", "Baseline", "Main", "High"];

pub(super) struct H264;

impl VideoCodecSpec for H264 {
    fn sample_entry(&self) -> &'static str {
        "avc1"
    }

    fn max_bit_depth(&self) -> u8 {
        8
    }

    fn min_side(&self) -> u32 {
        2
    }

    fn allows_size(&self, width: u32, height: u32) -> bool {
        let (across, down) = macroblocks(width, height);
        LEVELS.iter().any(|level| level.allows_frame(across, down))
    }

    fn level(&self, size: Box2d, frame_rate: Rational, rate_control: RateControl) -> &'static str {
        let (across, down) = macroblocks(size.width, size.height);
        let frame = across * down;
        let (bitrate, buffer) = rate_control.peak_and_buffer().unwrap_or_default();
        let is_unbounded = bitrate == 0;
        let first = LEVELS.iter().position(|level| is_unbounded && level.name == MIN_UNBOUNDED_LEVEL);
        LEVELS[first.unwrap_or(0)..]
            .iter()
            .find(|level| {
                level.allows_frame(across, down)
                    && frame * frame_rate.num() <= level.max_macroblocks_per_sec * frame_rate.den()
                    && u64::from(bitrate) * 4 <= level.max_bitrate * 5
                    && u64::from(buffer) * 4 <= level.max_buffer * 5
            })
            .map_or("6.2", |level| level.name)
    }

    fn profile(&self, _bit_depth: u8) -> &'static str {
        "High"
    }

    fn is_lower_profile(&self, found: &str, planned: &str) -> bool {
        PROFILES.iter().take_while(|profile| **profile != planned).any(|profile| *profile == found)
    }

    fn header_level(&self, planned: &str, _found: i32) -> Option<i32> {
        Some(tenths(planned))
    }

    /// IDR (ITU-T H.264, table 7-1).
    fn idr_nal_types(&self) -> Option<&'static str> {
        Some("5")
    }

    /// `avc1.PPCCLL`: profile, constraints, which FFmpeg does not show, and level, in hex digits.
    fn matches_rfc6381(&self, value: &str, stream: &CodedStream<'_>) -> bool {
        let profile = match stream.profile {
            "High" => "64",
            "Main" => "4d",
            _ => "42",
        };
        value.len() == "avc1.640028".len()
            && value.starts_with(&format!("avc1.{profile}"))
            && value.ends_with(&format!("{:02x}", stream.level))
    }

    fn crf(&self, quality: f64) -> f64 {
        33.0 - 2.0 * quality
    }

    fn preset(&self, settings: &PlanSettings) -> String {
        settings.x264_preset.clone()
    }

    fn arguments(
        &self,
        video: &VideoPlan,
        encoding: &Encoding,
        fixed_gop: bool,
        threads: u32,
    ) -> Vec<String> {
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
        let asked = encoding.rate_control.peak_and_buffer();
        let (peak, buffer) =
            asked.map_or_else(|| bounds(&video.level), |(peak, buffer)| (peak.into(), buffer.into()));
        let key_frames = if fixed_gop {
            format!("keyint={0}:min-keyint={0}:scenecut=0:", encoding.gop)
        } else {
            String::new()
        };
        arguments.extend(options([
            ("-maxrate:v", format!("{peak}k")),
            ("-bufsize:v", format!("{buffer}k")),
            ("-g", encoding.gop.to_string()),
            ("-x264-params", format!("{key_frames}open-gop=0")),
        ]));
        arguments.extend(threads_option(threads));
        arguments
    }
}

impl Level {
    /// A side may be no longer than the square root of eight times the frame (A.3.1).
    fn allows_frame(&self, across: u64, down: u64) -> bool {
        let max_square = 8 * self.max_frame_macroblocks;
        across * down <= self.max_frame_macroblocks
            && across * across <= max_square
            && down * down <= max_square
    }
}

fn macroblocks(width: u32, height: u32) -> (u64, u64) {
    (u64::from(width.div_ceil(16)), u64::from(height.div_ceil(16)))
}

/// kbit/s and kbit of the buffer that a level allows.
fn bounds(level: &str) -> (u64, u64) {
    let found = LEVELS.iter().find(|one| one.name == level);
    found.map_or((0, 0), |level| (level.max_bitrate * 5 / 4, level.max_buffer * 5 / 4))
}
