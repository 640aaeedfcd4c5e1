//! Opus by libopus, always at 48 kHz.

/// Samples in a frame: 20 ms.
pub(super) const FRAME: u32 = 960;

/// Samples that the encoder puts before the first one.
pub(super) const DELAY: u32 = 312;

/// kbit/s: 6 at least, and 256 a channel at most.
pub(super) fn bitrate(asked: Option<u32>, channels: u32) -> u32 {
    let usual = match channels {
        0 | 1 => 64,
        2 => 128,
        _ => 256,
    };
    asked.unwrap_or(usual).clamp(6, 256 * channels.max(1))
}
