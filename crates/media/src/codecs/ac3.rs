//! AC-3 (ATSC A/52) by FFmpeg's own encoder.

/// Samples in a frame.
pub(super) const FRAME: u32 = 1536;

/// Samples that the encoder puts before the first one: half a transform.
pub(super) const DELAY: u32 = 256;

/// kbit/s that there are (A/52, table 5.18).
const RATES: &[u32] =
    &[32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640];

/// kbit/s: the nearest that there is.
pub(super) fn bitrate(asked: Option<u32>, channels: u32) -> u32 {
    let usual = match channels {
        0 | 1 => 96,
        2 => 192,
        _ => 448,
    };
    super::nearest(RATES, asked.unwrap_or(usual))
}
