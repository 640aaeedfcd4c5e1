//! What H.264 and H.265 have in common: levels, which bound frames and bit rates (ITU-T H.264, A.3.1; H.265, A.4.1),
//! and the rate control of x264 and x265.

use model::Rational;

use super::options;
use crate::plan::{Encoding, RateControl};

/// One row of the limits of levels. Frames are counted in blocks: macroblocks in H.264, luma samples in H.265.
pub(super) struct Level {
    pub name: &'static str,
    pub max_frame_blocks: u64,
    pub max_blocks_per_sec: u64,
    /// kbit/s.
    pub max_bitrate: u64,
    /// kbit.
    pub max_buffer: u64,
}

impl Level {
    /// A side may be no longer than the square root of eight times the frame.
    pub(super) fn allows_frame(&self, (across, down): (u64, u64)) -> bool {
        let max_square = 8 * self.max_frame_blocks;
        across * down <= self.max_frame_blocks && across * across <= max_square && down * down <= max_square
    }

    fn allows_rate(&self, (across, down): (u64, u64), frame_rate: Rational) -> bool {
        across * down * frame_rate.num() <= self.max_blocks_per_sec * frame_rate.den()
    }
}

/// The lowest level that allows a stream with so many blocks across and down; the highest when none does. Without a bit
/// rate it is `min_unbounded` at least: the bit rates of lower ones would be seen.
pub(super) fn lowest_level(
    levels: &'static [Level],
    min_unbounded: &str,
    frame: (u64, u64),
    frame_rate: Rational,
    rate_control: RateControl,
) -> &'static str {
    let (first, peak, buffer) = match rate_control.peak_and_buffer() {
        Some((peak, buffer)) => (0, peak.into(), buffer.into()),
        None => (levels.iter().position(|level| level.name == min_unbounded).unwrap_or(0), 0, 0),
    };
    let allows = |level: &&Level| {
        level.allows_frame(frame)
            && level.allows_rate(frame, frame_rate)
            && peak <= level.max_bitrate
            && buffer <= level.max_buffer
    };
    levels[first..].iter().find(allows).map_or("6.2", |level| level.name)
}

/// Rate control and the distance of key frames. Where no bit rate is asked for, the level bounds it.
pub(super) fn rate_options(encoding: &Encoding, levels: &[Level], level: &str) -> Vec<String> {
    let rate = match encoding.rate_control {
        RateControl::Crf { crf, .. } => ("-crf", crf.to_string()),
        RateControl::Average(average) => ("-b:v", format!("{average}k")),
    };
    let (peak, buffer) = match encoding.rate_control.peak_and_buffer() {
        Some((peak, buffer)) => (peak.into(), buffer.into()),
        None => {
            let level = levels.iter().find(|one| one.name == level);
            level.map_or((0, 0), |level| (level.max_bitrate, level.max_buffer))
        }
    };
    options([
        rate,
        ("-maxrate:v", format!("{peak}k")),
        ("-bufsize:v", format!("{buffer}k")),
        ("-g", encoding.gop.to_string()),
    ])
}
