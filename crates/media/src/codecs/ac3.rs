//! AC-3 (ATSC A/52) by FFmpeg's own encoder.

use super::{AudioCodecSpec, layout, nearest};

/// kbit/s that there are (A/52, table 5.18).
const BITRATES: &[u32] =
    &[32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640];

pub(super) struct Ac3;

impl AudioCodecSpec for Ac3 {
    fn encoder(&self) -> &'static str {
        "ac3"
    }

    fn sample_entry(&self) -> &'static str {
        "ac-3"
    }

    fn rfc6381(&self) -> &'static str {
        "ac-3"
    }

    fn frame_samples(&self, _sample_rate: u32) -> u32 {
        1536
    }

    /// Half a transform.
    fn priming_samples(&self) -> u32 {
        256
    }

    /// kbit/s: the nearest that there is.
    fn bitrate(&self, asked: Option<u32>, channels: u32, _sample_rate: u32) -> u32 {
        let default = match channels {
            0 | 1 => 96,
            2 => 192,
            _ => 448,
        };
        nearest(BITRATES, asked.unwrap_or(default))
    }

    /// A/52 has its surround channels at the side.
    fn decoded_layout(&self, channels: u32) -> &'static str {
        if channels > 2 { "5.1(side)" } else { layout(channels) }
    }
}
