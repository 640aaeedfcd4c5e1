//! MP3 by LAME, in single files alone: its frames lean on the bits of those before them.

/// Samples that the encoder puts before the first one, its decoder's own among them.
pub(super) const DELAY: u32 = 1105;

/// kbit/s that there are: MPEG-1, and MPEG-2 with its half sample rates (ISO/IEC 11172-3, 13818-3).
const RATES: &[u32] = &[32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const LOW_RATES: &[u32] = &[8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];

const fn is_low(sample_rate: u32) -> bool {
    sample_rate < 32_000
}

/// Samples in a frame.
pub(super) const fn frame(sample_rate: u32) -> u32 {
    if is_low(sample_rate) { 576 } else { 1152 }
}

/// kbit/s: the nearest that there is.
pub(super) fn bitrate(asked: Option<u32>, channels: u32, sample_rate: u32) -> u32 {
    let usual = if channels < 2 { 64 } else { 128 };
    super::nearest(if is_low(sample_rate) { LOW_RATES } else { RATES }, asked.unwrap_or(usual))
}
