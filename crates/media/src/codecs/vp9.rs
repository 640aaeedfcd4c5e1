//! VP9 by libvpx: profile 0, 8 bits, 4:2:0. Its stream states no level; containers do.

use model::{Box2d, Rational};

use super::{CodedStream, VideoCodecSpec, options, threads_option};
use crate::plan::{Encoding, PlanSettings, RateControl, VideoPlan};

/// One row of the limits of levels (VP9 levels, webmproject.org/vp9/levels).
struct Vp9Level {
    name: &'static str,
    max_frame_pixels: u64,
    max_pixels_per_sec: u64,
}

const fn level_of(name: &'static str, max_frame_pixels: u64, max_pixels_per_sec: u64) -> Vp9Level {
    Vp9Level { name, max_frame_pixels, max_pixels_per_sec }
}

const LEVELS: &[Vp9Level] = &[
    level_of("1.0", 36_864, 829_440),
    level_of("1.1", 73_728, 2_764_800),
    level_of("2.0", 122_880, 4_608_000),
    level_of("2.1", 245_760, 9_216_000),
    level_of("3.0", 552_960, 20_736_000),
    level_of("3.1", 983_040, 36_864_000),
    level_of("4.0", 2_228_224, 83_558_400),
    level_of("4.1", 2_228_224, 160_432_128),
    level_of("5.0", 8_912_896, 311_951_360),
    level_of("5.1", 8_912_896, 588_251_136),
    level_of("5.2", 8_912_896, 1_176_502_272),
    level_of("6.0", 35_651_584, 1_176_502_272),
    level_of("6.1", 35_651_584, 2_353_004_544),
    level_of("6.2", 35_651_584, 4_706_009_088),
];

/// Pixels of a side that the highest level allows.
const MAX_SIDE: u32 = 16_384;

pub(super) struct Vp9;

impl VideoCodecSpec for Vp9 {
    fn sample_entry(&self) -> &'static str {
        "vp09"
    }

    fn max_bit_depth(&self) -> u8 {
        8
    }

    fn min_side(&self) -> u32 {
        2
    }

    fn allows_size(&self, width: u32, height: u32) -> bool {
        let pixels = u64::from(width) * u64::from(height);
        width.max(height) <= MAX_SIDE && LEVELS.iter().any(|level| pixels <= level.max_frame_pixels)
    }

    fn level(&self, size: Box2d, frame_rate: Rational, _rate_control: RateControl) -> &'static str {
        let pixels = u64::from(size.width) * u64::from(size.height);
        LEVELS
            .iter()
            .find(|level| {
                pixels <= level.max_frame_pixels
                    && pixels * frame_rate.num() <= level.max_pixels_per_sec * frame_rate.den()
            })
            .map_or("6.2", |level| level.name)
    }

    fn profile(&self, _bit_depth: u8) -> &'static str {
        "Profile 0"
    }

    fn header_level(&self, _planned: &str, _found: i32) -> Option<i32> {
        None
    }

    /// `vp09.PP.LL.DD` and colours: profile, level, and bits of a sample.
    fn matches_rfc6381(&self, value: &str, stream: &CodedStream<'_>) -> bool {
        let level = stream.planned_level.replace('.', "");
        let colours = value.strip_prefix(&format!("vp09.00.{level}.{:02}", stream.bit_depth));
        stream.profile == "Profile 0" && colours.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    fn crf(&self, quality: f64) -> f64 {
        46.0 - 3.0 * quality
    }

    fn preset(&self, settings: &PlanSettings) -> String {
        settings.vp9_cpu_used.to_string()
    }

    /// A constant quality is a whole number here; a cap bounds its average.
    fn arguments(
        &self,
        _video: &VideoPlan,
        encoding: &Encoding,
        fixed_gop: bool,
        threads: u32,
    ) -> Vec<String> {
        let mut arguments = options([
            ("-c:v", "libvpx-vp9".to_owned()),
            ("-deadline", "good".to_owned()),
            ("-cpu-used", encoding.preset.clone()),
            ("-row-mt", "1".to_owned()),
        ]);
        match encoding.rate_control {
            RateControl::Crf { crf, cap } => arguments.extend(options([
                ("-crf", crf.round().to_string()),
                ("-b:v", format!("{}k", cap.unwrap_or(0))),
            ])),
            RateControl::Average(average) => arguments.extend(options([("-b:v", format!("{average}k"))])),
        }
        if let Some((peak, buffer)) = encoding.rate_control.peak_and_buffer() {
            arguments
                .extend(options([("-maxrate:v", format!("{peak}k")), ("-bufsize:v", format!("{buffer}k"))]));
        }
        arguments.extend(options([("-g", encoding.gop.to_string())]));
        if fixed_gop {
            arguments.extend(options([("-keyint_min", encoding.gop.to_string())]));
        }
        arguments.extend(threads_option(threads));
        arguments
    }
}
