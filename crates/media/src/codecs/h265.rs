//! H.265 by x265: profile Main or Main 10, 4:2:0, Main tier, at the lowest level that allows the
//! stream.

use model::{Box2d, Rational};

use super::{
    CodedStream, VideoCodecSpec,
    h26x::{self, Level},
    options, tenths,
};
use crate::{
    plan::{Encoding, PlanSettings, RateControl, VideoPlan},
    source::MasteringDisplay,
};

const fn level_of(
    name: &'static str,
    max_frame_blocks: u64,
    max_blocks_per_sec: u64,
    max_bitrate: u64,
) -> Level {
    Level { name, max_frame_blocks, max_blocks_per_sec, max_bitrate, max_buffer: max_bitrate }
}

/// The limits of levels in the Main tier (ITU-T H.265, tables A.8 and A.9): luma samples in a frame and a second, and
/// kbit/s, which are also the kbit of the buffer.
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

/// The lowest level when no bit rate is asked for.
const MIN_UNBOUNDED_LEVEL: &str = "3.0";

pub(super) struct H265;

impl VideoCodecSpec for H265 {
    /// With the parameter sets in the header alone (ISO/IEC 14496-15, 8.4.1), which Apple's players ask for.
    fn sample_entry(&self) -> &'static str {
        "hvc1"
    }

    fn max_bit_depth(&self) -> u8 {
        10
    }

    /// What x265 takes at least.
    fn min_side(&self) -> u32 {
        16
    }

    fn allows_size(&self, width: u32, height: u32) -> bool {
        LEVELS.iter().any(|level| level.allows_frame((width.into(), height.into())))
    }

    fn level(&self, size: Box2d, frame_rate: Rational, rate_control: RateControl) -> &'static str {
        let frame = (size.width.into(), size.height.into());
        h26x::lowest_level(LEVELS, MIN_UNBOUNDED_LEVEL, frame, frame_rate, rate_control)
    }

    fn profile(&self, bit_depth: u8) -> &'static str {
        if bit_depth > 8 { "Main 10" } else { "Main" }
    }

    /// In thirtieths (ITU-T H.265, A.4.1: `general_level_idc`).
    fn header_level(&self, planned: &str, _found: i32) -> Option<i32> {
        Some(tenths(planned) * 3)
    }

    /// BLA and IDR (ITU-T H.265, table 7-1).
    fn idr_nal_types(&self) -> Option<&'static str> {
        Some("16-20")
    }

    /// `hvc1.P.C.TLL.…`: profile, compatible profiles, tier and level, constraints (ISO/IEC 14496-15, E.3).
    fn matches_rfc6381(&self, value: &str, stream: &CodedStream<'_>) -> bool {
        let profile = if stream.profile == "Main 10" { "2" } else { "1" };
        let fields: Vec<&str> = value.split('.').collect();
        matches!(fields[..], ["hvc1", found, _, tier, ..]
            if found == profile && (tier == format!("l{}", stream.level)
                || stream.is_copied && tier == format!("h{}", stream.level)))
    }

    fn crf(&self, quality: f64) -> f64 {
        38.0 - 2.0 * quality
    }

    fn preset(&self, settings: &PlanSettings) -> String {
        settings.x265_preset.clone()
    }

    fn arguments(
        &self,
        video: &VideoPlan,
        encoding: &Encoding,
        fixed_gop: bool,
        threads: u32,
    ) -> Vec<String> {
        let mut arguments = options([
            ("-c:v", "libx265".to_owned()),
            ("-preset", encoding.preset.clone()),
            ("-profile:v", video.profile.to_lowercase().replace(' ', "")),
            ("-tag:v", "hvc1".to_owned()),
        ]);
        arguments.extend(h26x::rate_options(encoding, LEVELS, &video.level));
        arguments.extend(options([("-x265-params", parameters(video, encoding, fixed_gop, threads))]));
        arguments
    }
}

fn parameters(video: &VideoPlan, encoding: &Encoding, fixed_gop: bool, threads: u32) -> String {
    let mut parameters = format!("log-level=error:level-idc={}:high-tier=0:open-gop=0", video.level);
    if fixed_gop {
        parameters.push_str(&format!(":keyint={0}:min-keyint={0}:scenecut=0", encoding.gop));
    }
    if let Some(MasteringDisplay { chromaticities: [r, g, b, w], luminance: (max, min) }) =
        video.hdr_metadata.mastering_display
    {
        let point = |(x, y): (u32, u32)| format!("({x},{y})");
        let (r, g, b, w) = (point(r), point(g), point(b), point(w));
        parameters.push_str(&format!(":master-display=G{g}B{b}R{r}WP{w}L({max},{min})"));
    }
    if let Some((max_cll, max_fall)) = video.hdr_metadata.content_light {
        parameters.push_str(&format!(":max-cll={max_cll},{max_fall}"));
    }
    if threads > 0 {
        parameters.push_str(&format!(":pools={threads}"));
    }
    parameters
}
