//! Codecs, and what a template's `vcodec` and `acodec` say: a codec to encode to, `copy` or `none`.

use std::{borrow::Cow, fmt, str::FromStr};

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

use crate::field::{serde_as_text, word_enum};

word_enum! {
    /// A video codec that is encoded to.
    VideoCodec {
        /// H.264 (AVC)
        H264 = "h264",
        /// H.265 (HEVC)
        H265 = "h265",
        /// AV1
        Av1 = "av1",
        /// VP9
        Vp9 = "vp9",
    }
}

word_enum! {
    /// An audio codec that is encoded to.
    AudioCodec {
        /// AAC-LC
        Aac = "aac",
        /// MP3
        Mp3 = "mp3",
        /// Opus
        Opus = "opus",
        /// AC-3
        Ac3 = "ac3",
    }
}

impl VideoCodec {
    /// FFmpeg's name of it.
    pub const fn ffmpeg_name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::H265 => "hevc",
            Self::Av1 => "av1",
            Self::Vp9 => "vp9",
        }
    }

    /// Whether HDR stays HDR in it.
    pub const fn keeps_hdr(self) -> bool {
        match self {
            Self::H265 | Self::Av1 => true,
            Self::H264 | Self::Vp9 => false,
        }
    }
}

impl AudioCodec {
    /// FFmpeg's name of it.
    pub const fn ffmpeg_name(self) -> &'static str {
        match self {
            Self::Aac => "aac",
            Self::Mp3 => "mp3",
            Self::Opus => "opus",
            Self::Ac3 => "ac3",
        }
    }

    /// Sample rates that its encoder takes and its players know, in Hz.
    pub const fn sample_rates(self) -> &'static [u32] {
        match self {
            // ISO/IEC 14496-3, table 1.16, as far as MP4, HLS, DASH and FLV players know it; and
            // MPEG-1, 2 and 2.5 have the same
            Self::Aac | Self::Mp3 => &[8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000],
            // it is decoded at 48 kHz, whatever the rate of the encoder's input (RFC 7845, 5.1)
            Self::Opus => &[48000],
            // ATSC A/52, 5.3
            Self::Ac3 => &[32000, 44100, 48000],
        }
    }

    /// The most channels that it is encoded with here.
    pub const fn max_channels(self) -> u32 {
        match self {
            Self::Mp3 => 2,
            Self::Aac | Self::Opus | Self::Ac3 => 6,
        }
    }
}

/// A mode: one of a list of codecs to encode to, or `copy`, or `none`.
macro_rules! mode {
    ($(#[$doc:meta])* $name:ident, $codec:ident, $description:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            /// Encoded to this codec.
            Encode($codec),
            /// The source's own packets, untouched.
            Copy,
            /// Left out.
            None,
        }

        impl $name {
            /// All modes, in the order of the documentation.
            pub const ALL: &[Self] = &{
                let mut all = [Self::None; $codec::ALL.len() + 2];
                let mut index = 0;
                while index < $codec::ALL.len() {
                    all[index] = Self::Encode($codec::ALL[index]);
                    index += 1;
                }
                all[index] = Self::Copy;
                all
            };

            /// Its word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    Self::Encode(codec) => codec.as_str(),
                    Self::Copy => "copy",
                    Self::None => "none",
                }
            }

            /// The codec to encode to, if it is encoded.
            pub const fn codec(self) -> Option<$codec> {
                match self {
                    Self::Encode(codec) => Some(codec),
                    Self::Copy | Self::None => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().find(|mode| mode.as_str() == text).copied().ok_or_else(|| {
                    let words: Vec<_> = Self::ALL.iter().map(|mode| format!("`{mode}`")).collect();
                    format!("is not one of {}", words.join(", "))
                })
            }
        }

        serde_as_text!($name);

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .description(Some($description))
                    .enum_values(Some(Self::ALL.iter().map(|mode| mode.as_str())))
                    .into()
            }
        }

        impl ToSchema for $name {
            // the name that clients generate their types by
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($codec))
            }
        }
    };
}

mode! {
    /// How the video of an output comes about.
    VideoMode, VideoCodec, "The video codec."
}

mode! {
    /// How the audio of an output comes about.
    AudioMode, AudioCodec, "The audio codec."
}

impl AudioMode {
    /// Sample rates in Hz: those of its codec; every one that a template may ask for where nothing is
    /// encoded.
    pub const fn sample_rates(self) -> &'static [u32] {
        match self {
            Self::Encode(codec) => codec.sample_rates(),
            Self::Copy | Self::None => AudioCodec::Aac.sample_rates(),
        }
    }

    /// The most channels: those of its codec; as many as a template may ask for where nothing is encoded.
    pub const fn max_channels(self) -> u32 {
        match self {
            Self::Encode(codec) => codec.max_channels(),
            Self::Copy | Self::None => 6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What clients generate their types from: the words, under the name that they have always had.
    #[test]
    fn the_schema_is_a_list_of_words() {
        let schema = serde_json::to_value(VideoMode::schema()).expect("a schema");
        let words = serde_json::json!(["h264", "h265", "av1", "vp9", "copy", "none"]);
        assert_eq!((&schema["type"], &schema["enum"]), (&"string".into(), &words));
        assert_eq!(VideoMode::name(), "VideoCodec");
    }

    #[test]
    fn every_mode_is_parsed_from_its_word() {
        let words: Vec<_> = VideoMode::ALL.iter().map(|mode| mode.as_str()).collect();
        assert_eq!(words, ["h264", "h265", "av1", "vp9", "copy", "none"]);
        for mode in AudioMode::ALL {
            assert_eq!(mode.as_str().parse(), Ok(*mode));
        }
        let refused = "flac".parse::<AudioMode>().expect_err("refused");
        assert_eq!(refused, "is not one of `aac`, `mp3`, `opus`, `ac3`, `copy`, `none`");
    }
}
