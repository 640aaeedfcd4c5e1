//! AAC-LC by FFmpeg's own encoder.

/// Samples in a frame, and of silence that the encoder puts before the first one.
pub(super) const FRAME: u32 = 1024;

/// kbit/s: never more than a frame can hold (6144 bits a channel, ISO/IEC 14496-3).
pub(super) fn bitrate(asked: Option<u32>, channels: u32, sample_rate: u32) -> u32 {
    let usual = match channels {
        0 | 1 => 64,
        2 => 128,
        _ => 384,
    };
    let most = u64::from(sample_rate) * 6144 * u64::from(channels.max(1)) / u64::from(FRAME) / 1000;
    asked.unwrap_or(usual).min(u32::try_from(most).unwrap_or(u32::MAX)).max(8)
}
