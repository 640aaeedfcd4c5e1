//! MP3 by LAME, in single files alone: its frames use bits of those before them (the bit reservoir), so that no
//! segment could be decoded without the one before it.

use super::{AudioCodecSpec, nearest};

/// kbit/s that there are: MPEG-1, and MPEG-2 with its half sample rates (ISO/IEC 11172-3, 13818-3).
const BITRATES: &[u32] = &[32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const HALF_RATE_BITRATES: &[u32] = &[8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];

/// Whether it is one of MPEG-2's half sample rates.
const fn is_half_rate(sample_rate: u32) -> bool {
    sample_rate < 32_000
}

pub(super) struct Mp3;

impl AudioCodecSpec for Mp3 {
    fn encoder(&self) -> &'static str {
        "libmp3lame"
    }

    fn sample_entry(&self) -> &'static str {
        "mp4a"
    }

    fn rfc6381(&self) -> &'static str {
        "mp4a.40.34"
    }

    fn frame_samples(&self, sample_rate: u32) -> u32 {
        if is_half_rate(sample_rate) { 576 } else { 1152 }
    }

    /// Those of its decoder among them.
    fn priming_samples(&self) -> u32 {
        1105
    }

    /// kbit/s: the nearest that there is.
    fn bitrate(&self, asked: Option<u32>, channels: u32, sample_rate: u32) -> u32 {
        let default = if channels < 2 { 64 } else { 128 };
        let bitrates = if is_half_rate(sample_rate) { HALF_RATE_BITRATES } else { BITRATES };
        nearest(bitrates, asked.unwrap_or(default))
    }
}
