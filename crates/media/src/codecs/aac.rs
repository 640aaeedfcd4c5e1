//! AAC-LC by FFmpeg's own encoder.

use crate::AudioPlan;

/// Samples in a frame, and of silence that the encoder puts before the first one.
pub(crate) const FRAME: u32 = 1024;

/// kbit/s: as asked, else what is usual for so many channels; never more than a frame can hold
/// (6144 bits a channel, ISO/IEC 14496-3).
pub(crate) fn bitrate(asked: Option<u32>, channels: u32, sample_rate: u32) -> u32 {
    let usual = match channels {
        0 | 1 => 64,
        2 => 128,
        _ => 384,
    };
    let most = u64::from(sample_rate) * 6144 * u64::from(channels.max(1)) / u64::from(FRAME) / 1000;
    asked.unwrap_or(usual).min(u32::try_from(most).unwrap_or(u32::MAX)).max(8)
}

/// FFmpeg's name of the layout; `5.1` has the surround channels at the back, which is the
/// configuration that every player knows: with `5.1(side)` the encoder writes one of its own.
pub(crate) fn layout(channels: u32) -> &'static str {
    match channels {
        0 | 1 => "mono",
        2 => "stereo",
        _ => "5.1",
    }
}

/// The encoder's arguments.
pub(crate) fn arguments(audio: &AudioPlan) -> Vec<String> {
    ["-c:a", "aac", "-b:a", &format!("{}k", audio.bitrate)].map(str::to_owned).to_vec()
}
