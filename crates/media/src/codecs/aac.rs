//! AAC-LC by FFmpeg's own encoder.

use super::AudioCodecSpec;

/// Samples in a frame, and of priming.
const FRAME_SAMPLES: u32 = 1024;

/// Bits of a frame for each channel, at most (ISO/IEC 14496-3, 4.5.3.3).
const MAX_FRAME_BITS_PER_CHANNEL: u64 = 6144;

pub(super) struct Aac;

impl AudioCodecSpec for Aac {
    fn encoder(&self) -> &'static str {
        "aac"
    }

    fn sample_entry(&self) -> &'static str {
        "mp4a"
    }

    fn rfc6381(&self) -> &'static str {
        "mp4a.40.2"
    }

    fn profile(&self) -> &'static str {
        "LC"
    }

    fn frame_samples(&self, _sample_rate: u32) -> u32 {
        FRAME_SAMPLES
    }

    fn priming_samples(&self) -> u32 {
        FRAME_SAMPLES
    }

    fn bitrate(&self, asked: Option<u32>, channels: u32, sample_rate: u32) -> u32 {
        let default = match channels {
            0 | 1 => 64,
            2 => 128,
            _ => 384,
        };
        let frame_bits = MAX_FRAME_BITS_PER_CHANNEL * u64::from(channels.max(1));
        let max = u64::from(sample_rate) * frame_bits / u64::from(FRAME_SAMPLES) / 1000;
        asked.unwrap_or(default).min(u32::try_from(max).unwrap_or(u32::MAX)).max(8)
    }
}
