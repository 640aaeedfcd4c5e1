//! One file for each codec that comes out: what its limits are, how its encoder is told, and how
//! manifests name it. The two enums here ask each of them.

use model::{AudioCodec, Box2d, Rational, VideoCodec};

use crate::{AudioPlan, Coding, PlanSettings, RateControl, VideoPlan};

mod aac;
mod ac3;
mod av1;
mod h264;
mod h265;
mod mp3;
mod opus;
mod vp9;

/// The codec of a picture that comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureCodec {
    /// H.264 (AVC).
    H264,
    /// H.265 (HEVC).
    H265,
    /// AV1.
    Av1,
    /// VP9.
    Vp9,
}

impl PictureCodec {
    /// What a template's word stands for; none for `copy` and `none`.
    pub(crate) const fn asked(word: VideoCodec) -> Option<Self> {
        match word {
            VideoCodec::H264 => Some(Self::H264),
            VideoCodec::H265 => Some(Self::H265),
            VideoCodec::Av1 => Some(Self::Av1),
            VideoCodec::Vp9 => Some(Self::Vp9),
            VideoCodec::Copy | VideoCodec::None => None,
        }
    }

    /// FFmpeg's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::H265 => "hevc",
            Self::Av1 => "av1",
            Self::Vp9 => "vp9",
        }
    }

    /// The type of its samples in ISO files (ISO/IEC 14496-15 and the codecs' own bindings).
    pub(crate) const fn sample_entry(self) -> &'static str {
        match self {
            Self::H264 => "avc1",
            Self::H265 => "hvc1",
            Self::Av1 => "av01",
            Self::Vp9 => "vp09",
        }
    }

    /// Bits of a sample, for a source that has more than 8 or not.
    pub(crate) const fn depth(self, deep: bool) -> u8 {
        match self {
            Self::H265 | Self::Av1 if deep => 10,
            _ => 8,
        }
    }

    /// The encoder's constant for a quality from 1 to 10.
    pub(crate) fn crf(self, quality: f64) -> f64 {
        match self {
            Self::H264 => h264::crf(quality),
            Self::H265 => h265::crf(quality),
            Self::Av1 => av1::crf(quality),
            Self::Vp9 => vp9::crf(quality),
        }
    }

    /// Pixels that a side has at least.
    pub(crate) const fn least_side(self) -> u32 {
        match self {
            Self::H264 | Self::Vp9 => 2,
            Self::H265 => h265::LEAST_SIDE,
            Self::Av1 => av1::LEAST_SIDE,
        }
    }

    /// Whether any level holds a frame of this size.
    pub(crate) fn holds(self, width: u32, height: u32) -> bool {
        match self {
            Self::H264 => h264::holds(width, height),
            Self::H265 => h265::holds(width, height),
            Self::Av1 => av1::holds(width, height),
            Self::Vp9 => vp9::holds(width, height),
        }
    }

    /// The lowest level that holds a stream, such as `4.0`; the highest when none does.
    pub(crate) fn level(self, size: Box2d, rate: Rational, rate_control: RateControl) -> &'static str {
        match self {
            Self::H264 => h264::level(size, rate, rate_control),
            Self::H265 => h265::level(size, rate, rate_control),
            Self::Av1 => av1::level(size, rate),
            Self::Vp9 => vp9::level(size, rate),
        }
    }

    /// FFmpeg's name of the profile for samples of so many bits.
    pub(crate) const fn profile(self, depth: u8) -> &'static str {
        match self {
            Self::H264 => "High",
            Self::H265 if depth > 8 => "Main 10",
            Self::H265 | Self::Av1 => "Main",
            Self::Vp9 => "Profile 0",
        }
    }

    /// Whether a profile that was found asks no more of a decoder than the planned one: the fastest
    /// presets use less than they may.
    pub(crate) fn demands_no_more(self, found: &str, planned: &str) -> bool {
        match self {
            Self::H264 => h264::PROFILES
                .iter()
                .take_while(|profile| **profile != planned)
                .any(|profile| *profile == found),
            Self::H265 | Self::Av1 | Self::Vp9 => false,
        }
    }

    /// What the header of a stream has to say about its level, as the codec counts; none when nothing
    /// is said there. `found` is what it says: an encoder that finds the level itself may go higher.
    pub(crate) fn stream_level(self, planned: &str, found: i32) -> Option<i32> {
        let tenths = planned.parse::<f64>().map_or(0, |level| (level * 10.0).round() as i32);
        match self {
            Self::H264 => Some(tenths),
            // a third of a tenth
            Self::H265 => Some(tenths * 3),
            Self::Av1 => Some(av1::index(planned).max(found)),
            Self::Vp9 => None,
        }
    }

    /// Whether a manifest's name of it (RFC 6381, in lower case) is what the header of the stream says.
    pub(crate) fn is_claimed(self, claim: &str, header: &Named<'_>) -> bool {
        match self {
            Self::H264 => h264::is_claimed(claim, header),
            Self::H265 => h265::is_claimed(claim, header),
            Self::Av1 => av1::is_claimed(claim, header),
            Self::Vp9 => vp9::is_claimed(claim, header),
        }
    }

    /// The units of a stream, by their numbers, that hold a picture which refers to none before it; none
    /// where each key frame is one.
    pub(crate) const fn units_alone(self) -> Option<&'static str> {
        match self {
            // IDR (ITU-T H.264, table 7-1)
            Self::H264 => Some("5"),
            // IDR and broken links (ITU-T H.265, table 7-1)
            Self::H265 => Some("16-20"),
            Self::Av1 | Self::Vp9 => None,
        }
    }

    /// The operator's preset of its encoder.
    pub(crate) fn preset(self, settings: &PlanSettings) -> String {
        match self {
            Self::H264 => settings.x264_preset.clone(),
            Self::H265 => settings.x265_preset.clone(),
            Self::Av1 => settings.svtav1_preset.to_string(),
            Self::Vp9 => settings.vp9_cpu_used.to_string(),
        }
    }
}

/// What a stream says of itself, and a manifest repeats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    /// FFmpeg's name of the profile that was found.
    pub profile: &'a str,
    /// The level that was found, as the codec counts.
    pub level: i32,
    /// The level that was planned, such as `4.0`.
    pub planned_level: &'a str,
    /// Bits of a sample.
    pub depth: u8,
    /// Whether it was copied: its tier, which FFmpeg does not show, is then its own affair.
    pub copied: bool,
}

/// The arguments of a rendition's encoder, or of its copy. `fixed` puts a keyframe exactly every `gop`
/// frames and nowhere else; groups are closed, so each can be decoded alone.
pub(crate) fn picture_arguments(video: &VideoPlan, fixed: bool, threads: u32) -> Vec<String> {
    let encoding = match &video.coding {
        Coding::Encoded(encoding) => encoding,
        Coding::Copied(_) => return options([("-c:v", "copy".to_owned())]),
    };
    let mut arguments = match video.codec {
        PictureCodec::H264 => h264::arguments(video, encoding, fixed),
        PictureCodec::H265 => h265::arguments(video, encoding, fixed, threads),
        PictureCodec::Av1 => av1::arguments(video, encoding, threads),
        PictureCodec::Vp9 => vp9::arguments(encoding, fixed),
    };
    let own_threads = matches!(video.codec, PictureCodec::H265 | PictureCodec::Av1);
    if threads > 0 && !own_threads {
        arguments.extend(["-threads:v".to_owned(), threads.to_string()]);
    }
    arguments
}

/// Options with their values as arguments.
fn options<const N: usize>(options: [(&str, String); N]) -> Vec<String> {
    options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
}

/// The codec of a sound that comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoundCodec {
    /// AAC-LC.
    Aac,
    /// MP3.
    Mp3,
    /// Opus.
    Opus,
    /// AC-3.
    Ac3,
}

impl SoundCodec {
    /// What a template's word stands for; none for `copy` and `none`.
    pub(crate) const fn asked(word: AudioCodec) -> Option<Self> {
        match word {
            AudioCodec::Aac => Some(Self::Aac),
            AudioCodec::Mp3 => Some(Self::Mp3),
            AudioCodec::Opus => Some(Self::Opus),
            AudioCodec::Ac3 => Some(Self::Ac3),
            AudioCodec::Copy | AudioCodec::None => None,
        }
    }

    /// FFmpeg's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aac => "aac",
            Self::Mp3 => "mp3",
            Self::Opus => "opus",
            Self::Ac3 => "ac3",
        }
    }

    /// The type of its samples in ISO files.
    pub(crate) const fn sample_entry(self) -> &'static str {
        match self {
            Self::Aac | Self::Mp3 => "mp4a",
            Self::Opus => "Opus",
            Self::Ac3 => "ac-3",
        }
    }

    /// Its name in playlists and manifests, in lower case (RFC 6381; MP3 never gets there).
    pub(crate) const fn claim(self) -> &'static str {
        match self {
            Self::Aac => "mp4a.40.2",
            Self::Mp3 => "mp4a.40.34",
            Self::Opus => "opus",
            Self::Ac3 => "ac-3",
        }
    }

    /// Samples in a frame.
    pub(crate) const fn frame(self, sample_rate: u32) -> u32 {
        match self {
            Self::Aac => aac::FRAME,
            Self::Mp3 => mp3::frame(sample_rate),
            Self::Opus => opus::FRAME,
            Self::Ac3 => ac3::FRAME,
        }
    }

    /// Samples that the encoder puts before the first one.
    const fn delay(self) -> u32 {
        match self {
            Self::Aac => aac::FRAME,
            Self::Mp3 => mp3::DELAY,
            Self::Opus => opus::DELAY,
            Self::Ac3 => ac3::DELAY,
        }
    }

    /// Frames that lie before 0 where a file says so.
    pub(crate) const fn frames_before_zero(self, sample_rate: u32) -> u32 {
        self.delay().div_ceil(self.frame(sample_rate))
    }

    /// Samples of silence to begin with, so that a frame begins exactly at 0 and what lies before it
    /// can be dropped whole.
    pub(crate) const fn before_zero(self, sample_rate: u32) -> u32 {
        self.frames_before_zero(sample_rate) * self.frame(sample_rate) - self.delay()
    }

    /// FFmpeg's name of the samples that the encoder takes.
    pub(crate) const fn sample_format(self) -> &'static str {
        match self {
            Self::Aac | Self::Mp3 | Self::Ac3 => "fltp",
            Self::Opus => "flt",
        }
    }

    /// kbit/s: as asked, else what is usual for so many channels; always what the codec can do.
    pub(crate) fn bitrate(self, asked: Option<u32>, channels: u32, sample_rate: u32) -> u32 {
        match self {
            Self::Aac => aac::bitrate(asked, channels, sample_rate),
            Self::Mp3 => mp3::bitrate(asked, channels, sample_rate),
            Self::Opus => opus::bitrate(asked, channels),
            Self::Ac3 => ac3::bitrate(asked, channels),
        }
    }

    /// FFmpeg's name of the profile that comes out; empty where there are none.
    pub(crate) const fn profile(self) -> &'static str {
        match self {
            Self::Aac => "LC",
            Self::Mp3 | Self::Opus | Self::Ac3 => "",
        }
    }

    /// FFmpeg's name of the layout that a decoder finds.
    pub(crate) const fn decoded_layout(self, channels: u32) -> &'static str {
        match self {
            // A/52 has its surround channels at the side
            Self::Ac3 if channels > 2 => "5.1(side)",
            _ => layout(channels),
        }
    }
}

/// FFmpeg's name of the layout that goes in; `5.1` has the surround channels at the back, which is the
/// configuration of AAC that every player knows: with `5.1(side)` the encoder writes one of its own.
pub(crate) const fn layout(channels: u32) -> &'static str {
    match channels {
        0 | 1 => "mono",
        2 => "stereo",
        _ => "5.1",
    }
}

/// The arguments of a sound's encoder, or of its copy.
pub(crate) fn sound_arguments(audio: &AudioPlan) -> Vec<String> {
    let Some(bitrate) = audio.bitrate else { return options([("-c:a", "copy".to_owned())]) };
    let encoder = match audio.codec {
        SoundCodec::Aac => "aac",
        SoundCodec::Mp3 => "libmp3lame",
        SoundCodec::Opus => "libopus",
        SoundCodec::Ac3 => "ac3",
    };
    options([("-c:a", encoder.to_owned()), ("-b:a", format!("{bitrate}k"))])
}

/// The nearest of some rates.
fn nearest(rates: &[u32], wanted: u32) -> u32 {
    rates.iter().copied().min_by_key(|rate| rate.abs_diff(wanted)).unwrap_or(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tier_of_a_copy_is_its_own() {
        let named = |copied| Named { profile: "Main", level: 120, planned_level: "4.0", depth: 8, copied };
        for (codec, claim, level) in
            [(PictureCodec::H265, "hvc1.1.6.h120.90", 120), (PictureCodec::Av1, "av01.0.08h.08", 8)]
        {
            assert!(codec.is_claimed(claim, &Named { level, ..named(true) }), "{claim}");
            assert!(!codec.is_claimed(claim, &Named { level, ..named(false) }), "{claim}");
        }
    }

    #[test]
    fn a_frame_begins_at_zero() {
        assert_eq!(SoundCodec::Aac.before_zero(48_000), 0);
        assert_eq!(SoundCodec::Opus.before_zero(48_000), 648);
        assert_eq!(SoundCodec::Ac3.before_zero(48_000), 1280);
        assert_eq!(SoundCodec::Mp3.frames_before_zero(22_050), 2);
    }
}
