//! One file for each codec that comes out: its limits, how its encoder is told, and how manifests name it.
//!
//! A codec is one `impl` of [`VideoCodecSpec`] or [`AudioCodecSpec`]; [`video`] and [`audio`] are the only lists of them.

use model::{AudioCodec, Box2d, Rational, VideoCodec};

use crate::plan::{AudioPlan, Coding, Encoding, PlanSettings, RateControl, VideoPlan};

mod aac;
mod ac3;
mod av1;
mod h264;
mod h265;
mod h26x;
mod mp3;
mod opus;
mod vp9;

/// What this house knows of a video codec.
pub(crate) const fn video(codec: VideoCodec) -> &'static dyn VideoCodecSpec {
    match codec {
        VideoCodec::H264 => &h264::H264,
        VideoCodec::H265 => &h265::H265,
        VideoCodec::Av1 => &av1::Av1,
        VideoCodec::Vp9 => &vp9::Vp9,
    }
}

/// What this house knows of an audio codec.
pub(crate) const fn audio(codec: AudioCodec) -> &'static dyn AudioCodecSpec {
    match codec {
        AudioCodec::Aac => &aac::Aac,
        AudioCodec::Mp3 => &mp3::Mp3,
        AudioCodec::Opus => &opus::Opus,
        AudioCodec::Ac3 => &ac3::Ac3,
    }
}

/// A video codec: its names, its limits, and what its encoder is told.
pub(crate) trait VideoCodecSpec {
    /// The sample entry in ISO files (ISO/IEC 14496-15 and the codecs' own bindings).
    fn sample_entry(&self) -> &'static str;

    /// The most bits of a sample that are encoded: a source that has more than 8 becomes one of so many.
    fn max_bit_depth(&self) -> u8;

    /// Pixels that a side has at least.
    fn min_side(&self) -> u32;

    /// Whether any level allows a frame of this size.
    fn allows_size(&self, width: u32, height: u32) -> bool;

    /// The lowest level that allows a stream, such as `4.0`; the highest when none does.
    fn level(&self, size: Box2d, frame_rate: Rational, rate_control: RateControl) -> &'static str;

    /// FFmpeg's name of the profile for samples of so many bits.
    fn profile(&self, bit_depth: u8) -> &'static str;

    /// Whether a profile that was found asks less of a decoder than the planned one: the fastest presets use less than
    /// they may.
    fn is_lower_profile(&self, _found: &str, _planned: &str) -> bool {
        false
    }

    /// The level that the header of a stream has to state, as the codec counts; none when headers state none. `found` is
    /// what it states: an encoder that chooses the level itself may go higher.
    fn header_level(&self, planned: &str, found: i32) -> Option<i32>;

    /// NAL unit types of the coded pictures that decoding can begin at, whatever came before; none where every key frame is
    /// one.
    fn idr_nal_types(&self) -> Option<&'static str> {
        None
    }

    /// Whether a `codecs` value of a manifest (RFC 6381, in lower case) says what the header of the stream does.
    fn matches_rfc6381(&self, value: &str, stream: &CodedStream<'_>) -> bool;

    /// The encoder's constant rate factor for a quality from 1 to 10.
    fn crf(&self, quality: f64) -> f64;

    /// The operator's preset of the encoder.
    fn preset(&self, settings: &PlanSettings) -> String;

    /// The encoder's arguments. `fixed_gop` puts a key frame exactly every `gop` frames and nowhere else.
    fn arguments(&self, video: &VideoPlan, encoding: &Encoding, fixed_gop: bool, threads: u32)
    -> Vec<String>;
}

/// What the header of a stream states, and a manifest repeats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CodedStream<'a> {
    /// FFmpeg's name of the profile that was found.
    pub profile: &'a str,
    /// The level that was found, as the codec counts.
    pub level: i32,
    /// The level that was planned, such as `4.0`.
    pub planned_level: &'a str,
    /// Bits of a sample.
    pub bit_depth: u8,
    /// Whether it was copied: its tier, which FFmpeg does not show, is then as the source has it.
    pub is_copied: bool,
}

/// The arguments of a rendition's encoder, or of its copy. `fixed_gop` puts a key frame exactly every `gop` frames and
/// nowhere else; GOPs are closed, so that each can be decoded without those before it.
pub(crate) fn video_arguments(video: &VideoPlan, fixed_gop: bool, threads: u32) -> Vec<String> {
    match &video.coding {
        Coding::Encoded(encoding) => self::video(video.codec).arguments(video, encoding, fixed_gop, threads),
        Coding::Copied(_) => options([("-c:v", "copy".to_owned())]),
    }
}

/// Ten times a level: `4.1` is 41.
fn tenths(level: &str) -> i32 {
    level.parse::<f64>().map_or(0, |level| (level * 10.0).round() as i32)
}

/// Encoders that have no threads of their own in their parameters take them from FFmpeg.
fn threads_option(threads: u32) -> Vec<String> {
    if threads > 0 { options([("-threads:v", threads.to_string())]) } else { Vec::new() }
}

/// Options with their values as arguments.
fn options<const N: usize>(options: [(&str, String); N]) -> Vec<String> {
    options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
}

/// An audio codec: its names, its frames, and what its encoder takes.
pub(crate) trait AudioCodecSpec {
    /// FFmpeg's name of the encoder.
    fn encoder(&self) -> &'static str;

    /// The sample entry in ISO files.
    fn sample_entry(&self) -> &'static str;

    /// Its `codecs` value in playlists and manifests, in lower case (RFC 6381).
    fn rfc6381(&self) -> &'static str;

    /// FFmpeg's name of the profile that comes out; empty where there are none.
    fn profile(&self) -> &'static str {
        ""
    }

    /// Samples in a frame.
    fn frame_samples(&self, sample_rate: u32) -> u32;

    /// Priming: samples that the encoder puts before the first one.
    fn priming_samples(&self) -> u32;

    /// FFmpeg's name of the sample format that the encoder takes.
    fn sample_format(&self) -> &'static str {
        "fltp"
    }

    /// kbit/s: as asked, else the default for so many channels; always what the codec can do.
    fn bitrate(&self, asked: Option<u32>, channels: u32, sample_rate: u32) -> u32;

    /// FFmpeg's name of the channel layout that a decoder finds.
    fn decoded_layout(&self, channels: u32) -> &'static str {
        layout(channels)
    }

    /// Frames of priming: they lie before 0 where a file says so.
    fn priming_frames(&self, sample_rate: u32) -> u32 {
        self.priming_samples().div_ceil(self.frame_samples(sample_rate))
    }

    /// Samples of silence to begin with, so that a frame begins exactly at 0 and the frames of priming before it can be
    /// dropped whole.
    fn priming_padding(&self, sample_rate: u32) -> u32 {
        self.priming_frames(sample_rate) * self.frame_samples(sample_rate) - self.priming_samples()
    }
}

/// FFmpeg's name of the channel layout that goes in; `5.1` has the surround channels at the back, which is the
/// configuration of AAC that every player knows: with `5.1(side)` the encoder writes one of its own.
pub(crate) const fn layout(channels: u32) -> &'static str {
    match channels {
        0 | 1 => "mono",
        2 => "stereo",
        _ => "5.1",
    }
}

/// The arguments of an audio track's encoder, or of its copy.
pub(crate) fn audio_arguments(audio: &AudioPlan) -> Vec<String> {
    match audio.bitrate {
        Some(bitrate) => options([
            ("-c:a", self::audio(audio.codec).encoder().to_owned()),
            ("-b:a", format!("{bitrate}k")),
        ]),
        None => options([("-c:a", "copy".to_owned())]),
    }
}

/// The bit rate that there is and that is nearest to the asked one.
fn nearest(bitrates: &[u32], asked: u32) -> u32 {
    bitrates.iter().copied().min_by_key(|bitrate| bitrate.abs_diff(asked)).unwrap_or(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tier_of_a_copy_is_its_own() {
        let stream = |is_copied| CodedStream {
            profile: "Main",
            level: 120,
            planned_level: "4.0",
            bit_depth: 8,
            is_copied,
        };
        for (codec, value, level) in
            [(VideoCodec::H265, "hvc1.1.6.h120.90", 120), (VideoCodec::Av1, "av01.0.08h.08", 8)]
        {
            let matches = |stream| video(codec).matches_rfc6381(value, &CodedStream { level, ..stream });
            assert!(matches(stream(true)), "{value}");
            assert!(!matches(stream(false)), "{value}");
        }
    }

    #[test]
    fn a_frame_begins_at_zero() {
        assert_eq!(audio(AudioCodec::Aac).priming_padding(48_000), 0);
        assert_eq!(audio(AudioCodec::Opus).priming_padding(48_000), 648);
        assert_eq!(audio(AudioCodec::Ac3).priming_padding(48_000), 1280);
        assert_eq!(audio(AudioCodec::Mp3).priming_frames(22_050), 2);
    }
}
