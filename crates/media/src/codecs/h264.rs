//! H.264 by x264: profile High, 8 bits, 4:2:0, at the lowest level that allows the stream.

use model::{Box2d, Rational};

use super::{
    CodedStream, VideoCodecSpec,
    h26x::{self, Level},
    options, tenths, threads_option,
};
use crate::plan::{Encoding, PlanSettings, RateControl, VideoPlan};

const fn level_of(
    name: &'static str,
    max_blocks_per_sec: u64,
    max_frame_blocks: u64,
    max_bitrate: u64,
    max_buffer: u64,
) -> Level {
    // High allows 1.25 times as much
    let (max_bitrate, max_buffer) = (max_bitrate * 5 / 4, max_buffer * 5 / 4);
    Level { name, max_frame_blocks, max_blocks_per_sec, max_bitrate, max_buffer }
}

/// The limits of levels (ITU-T H.264, table A-1): macroblocks a second and in a frame, kbit/s, and kbit of the buffer.
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

/// The lowest level when no bit rate is asked for.
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
        LEVELS.iter().any(|level| level.allows_frame(macroblocks(width, height)))
    }

    fn level(&self, size: Box2d, frame_rate: Rational, rate_control: RateControl) -> &'static str {
        let frame = macroblocks(size.width, size.height);
        h26x::lowest_level(LEVELS, MIN_UNBOUNDED_LEVEL, frame, frame_rate, rate_control)
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
        arguments.extend(h26x::rate_options(encoding, LEVELS, &video.level));
        let key_frames = if fixed_gop {
            format!("keyint={0}:min-keyint={0}:scenecut=0:", encoding.gop)
        } else {
            String::new()
        };
        arguments.extend(options([("-x264-params", format!("{key_frames}open-gop=0"))]));
        arguments.extend(threads_option(threads));
        arguments
    }
}

fn macroblocks(width: u32, height: u32) -> (u64, u64) {
    (u64::from(width.div_ceil(16)), u64::from(height.div_ceil(16)))
}
