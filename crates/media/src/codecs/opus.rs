//! Opus by libopus, always at 48 kHz.

use super::AudioCodecSpec;

pub(super) struct Opus;

impl AudioCodecSpec for Opus {
    fn encoder(&self) -> &'static str {
        "libopus"
    }

    fn sample_entry(&self) -> &'static str {
        "Opus"
    }

    fn rfc6381(&self) -> &'static str {
        "opus"
    }

    /// 20 ms.
    fn frame_samples(&self, _sample_rate: u32) -> u32 {
        960
    }

    fn priming_samples(&self) -> u32 {
        312
    }

    fn sample_format(&self) -> &'static str {
        "flt"
    }

    /// kbit/s: 6 at least, and 256 a channel at most.
    fn bitrate(&self, asked: Option<u32>, channels: u32, _sample_rate: u32) -> u32 {
        let default = match channels {
            0 | 1 => 64,
            2 => 128,
            _ => 256,
        };
        asked.unwrap_or(default).clamp(6, 256 * channels.max(1))
    }
}
