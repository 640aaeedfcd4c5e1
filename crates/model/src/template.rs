//! A template: how to transcode.
//!
//! One struct is the wire, the stored form and what the planner reads; a new field is added here,
//! once, and used in the planner. Reading it checks each field alone, [`Template::check`] what the
//! fields say together.

use std::{fmt, num::NonZeroU32, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    FieldError, Input, LogoOffset, LogoSize,
    field::{cut, text_serde, within, words},
};

words! {
    /// What kind of output comes out.
    Format {
        /// one progressive MP4 file
        Mp4 = "mp4",
        /// HTTP Live Streaming
        Hls = "hls",
        /// MPEG-DASH
        Dash = "dash",
        /// one FLV file
        Flv = "flv",
    }
}

impl Format {
    /// File extensions of the main object; the first is the one that is added.
    pub const fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Mp4 => &["mp4", "m4v", "m4a"],
            Self::Hls => &["m3u8"],
            Self::Dash => &["mpd"],
            Self::Flv => &["flv"],
        }
    }

    /// The name of the main object in a folder, for formats that consist of many objects.
    pub const fn folder_main(self) -> Option<&'static str> {
        match self {
            Self::Mp4 | Self::Flv => None,
            Self::Hls => Some("master.m3u8"),
            Self::Dash => Some("manifest.mpd"),
        }
    }

    /// Whether the output is cut into segments.
    pub const fn is_segmented(self) -> bool {
        self.folder_main().is_some()
    }
}

words! {
    /// The codec of the picture.
    VideoCodec {
        /// H.264 (AVC)
        H264 = "h264",
        /// H.265 (HEVC)
        H265 = "h265",
        /// AV1
        Av1 = "av1",
        /// VP9
        Vp9 = "vp9",
        /// the source's own, untouched
        Copy = "copy",
        /// no picture
        None = "none",
    }
}

words! {
    /// The codec of the sound.
    AudioCodec {
        /// AAC-LC
        Aac = "aac",
        /// MP3
        Mp3 = "mp3",
        /// Opus
        Opus = "opus",
        /// AC-3
        Ac3 = "ac3",
        /// the source's own, untouched
        Copy = "copy",
        /// no sound
        None = "none",
    }
}

words! {
    /// How the encoding is done.
    TransMode {
        /// one encoder run
        Standard = "standard",
        /// the source is cut and its parts are encoded side by side
        Fast = "fast",
        /// content-adaptive
        Intelligent = "intelligent",
    }
}

words! {
    /// How loud the sound is.
    Loudness {
        /// -23 LUFS in all, true peaks below -1 dBTP (EBU R 128)
        EbuR128 = "ebu-r128",
    }
}

words! {
    /// What becomes of HDR.
    Hdr {
        /// kept, with its metadata, where the codec can: H.265 and AV1
        Keep = "keep",
        /// becomes BT.709, which every screen shows
        ToneMap = "tone-map",
    }
}

words! {
    /// What segments are.
    SegmentType {
        /// MPEG transport stream
        Ts = "ts",
        /// fragmented MP4 (CMAF)
        Fmp4 = "fmp4",
    }
}

/// A width and a height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Box2d {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

impl fmt::Display for Box2d {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// The size of a picture, as it is asked for. The source's aspect is always kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// `1280x720`: fits into this box, which turns with a portrait source.
    Fit(Box2d),
    /// `1280x`: this width.
    Width(u32),
    /// `x720`: this height.
    Height(u32),
    /// `720p`: this short side.
    ShortSide(u32),
}

const SIDES: std::ops::RangeInclusive<u32> = 16..=8192;

impl FromStr for Resolution {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let side = |text: &str| text.parse().ok().filter(|side| SIDES.contains(side));
        let lower = text.to_ascii_lowercase();
        let parsed = match lower.split_once('x') {
            Some((width, "")) => side(width).map(Self::Width),
            Some(("", height)) => side(height).map(Self::Height),
            Some((width, height)) => {
                side(width).zip(side(height)).map(|(width, height)| Self::Fit(Box2d { width, height }))
            }
            None => lower.strip_suffix('p').and_then(side).map(Self::ShortSide),
        };
        parsed.ok_or_else(|| {
            format!(
                "`{}` is not a resolution; give `1280x720`, `1280x`, `x720` or `720p`, sides from 16 to 8192",
                cut(text)
            )
        })
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fit(size) => size.fmt(f),
            Self::Width(width) => write!(f, "{width}x"),
            Self::Height(height) => write!(f, "x{height}"),
            Self::ShortSide(side) => write!(f, "{side}p"),
        }
    }
}

text_serde!(Resolution);

/// The name of a template: 1 to 64 letters, digits, `.`, `_` or `-`, since the SDK puts it into
/// URLs unescaped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemplateName(String);

impl TemplateName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TemplateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TemplateName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("`{}` is not a name; use 1 to 64 letters, digits, `.`, `_` or `-`", cut(text)))
        }
    }
}

text_serde!(TemplateName);

/// Samples a second, sent as text: `44100`, `48k`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SampleRate(pub u32);

/// Rates that any codec knows.
const SAMPLE_RATES: &[u32] = AudioCodec::Aac.sample_rates();

impl FromStr for SampleRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.to_ascii_lowercase();
        let rate = match lower.strip_suffix('k') {
            Some(kilo) => kilo.parse::<f64>().ok().map(|kilo| (kilo * 1000.0).round() as u32),
            None => lower.parse().ok(),
        };
        rate.filter(|rate| SAMPLE_RATES.contains(rate))
            .map(Self)
            .ok_or_else(|| format!("`{}` is not a sample rate; give one of {SAMPLE_RATES:?} Hz", cut(text)))
    }
}

impl fmt::Display for SampleRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text_serde!(SampleRate);

/// One rendition of an adaptive output. What is not set is taken from the template.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rendition {
    /// The codec of the picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vcodec: Option<VideoCodec>,
    /// 1 to 10; 5 is normal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<f64>,
    /// As in the template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "1280x720")]
    pub resolution: Option<Resolution>,
    /// A maximum, in frames a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>)]
    pub framerate: Option<NonZeroU32>,
    /// kbit/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_bitrate: Option<u32>,
    /// kbit/s; the renditions share their sound, so the highest of them counts, and the template's
    /// own goes before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_bitrate: Option<u32>,
}

/// Pictures taken out of the video: JPEG files `thumbnails/thumb_00001.jpg` and so on in the folder
/// beside the output, sheets of them (`sprite_001.jpg`), and a WebVTT storyboard over the sheets
/// (`storyboard.vtt`). `output_groups` names the first picture and the storyboard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Thumbnail {
    /// The time of the first picture, in seconds; after the end: the last frame.
    pub start_point: u32,
    /// From one picture to the next, in seconds; unset: `number` of them evenly, else 10.
    pub interval: u32,
    /// How many; unset: as many as there are until the end, at most 10000.
    pub number: u32,
    /// The box they fit into, in pixels; unset: `height` alone counts. They are never enlarged.
    pub width: u32,
    /// The box they fit into, in pixels; unset: `width` alone counts; neither: a short side of 180.
    pub height: u32,
}

/// How segments are encrypted and where the key comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Encryption {
    /// The key server's dialect.
    pub provider: String,
    /// `aes-128`, `cenc` or `cbcs`.
    pub mode: String,
    /// `widevine`, `playready`, `fairplay`, `clearkey`.
    pub drm_systems: Vec<String>,
    /// Where the key is asked for.
    pub key_url: String,
    /// `GET` or `POST`.
    pub http_method: String,
    /// Sent with the request for the key.
    pub headers: std::collections::BTreeMap<String, String>,
}

/// How to transcode. Every field that is not set has the meaning its comment gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Template {
    /// Its identity.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9._-]{1,64}$")]
    pub template_name: TemplateName,
    /// What kind of output comes out.
    pub format: Format,
    /// The codec of the picture; unset: `h264`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vcodec: Option<VideoCodec>,
    /// The codec of the sound; unset: `aac`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acodec: Option<AudioCodec>,
    /// How the encoding is done; unset: `standard`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trans_mode: Option<TransMode>,
    /// What becomes of HDR; unset: `tone-map`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hdr: Option<Hdr>,
    /// The size of the picture; unset: as the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "1280x720")]
    pub resolution: Option<Resolution>,
    /// A maximum, in frames a second; unset: as the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>)]
    pub framerate: Option<NonZeroU32>,
    /// 1 to 10; unset: 5, unless a bit rate is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<f64>,
    /// kbit/s: the average, or the cap when `quality` is set too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_bitrate: Option<u32>,
    /// kbit/s; unset: 64 for one channel, 128 for two, 384 for six.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "audioBitrate")]
    pub audio_bitrate: Option<u32>,
    /// Frames from one keyframe to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gop_size: Option<u32>,
    /// Seconds from one keyframe to the next; `gop_size` goes before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gop_seconds: Option<u32>,
    /// What segments are; unset: `ts` for HLS with H.264 and AAC, else `fmp4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seg_type: Option<SegmentType>,
    /// Seconds of a segment; unset: 6 (DASH: 4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seg_time: Option<u32>,
    /// Hz; unset: 48000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "48000")]
    pub audio_sample_rate: Option<SampleRate>,
    /// 1, 2 or 6; unset: 2, or 1 when the source has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_channels: Option<u32>,
    /// How loud the sound is, measured in a first pass and set in the second; unset: as the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loudness: Option<Loudness>,
    /// The URL of a PNG that is laid over every rendition, `http` or `https`, or an object such as
    /// `s3://bucket/key`; at most 10 MiB and 4096 pixels a side. It is fetched for every task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "https://example.com/logo.png")]
    pub logo_path: Option<Input>,
    /// The box it fits into, its aspect kept: `WxH`, `Wx` or `xH`, in pixels of each rendition or in
    /// percent of it (`15%x`); unset: its own size. It is never larger than the picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "15%x")]
    pub logo_size: Option<LogoSize>,
    /// `XxY` from the left and the top, in pixels or in percent; negative counts from the right and
    /// the bottom; unset: `0x0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "-5%x5%")]
    pub logo_offset: Option<LogoOffset>,
    /// The renditions of an adaptive output; unset, for `hls` and `dash`: 1080p, 720p, 540p, 360p
    /// and 234p, those not above the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adaptive_streams: Option<Vec<Rendition>>,
    /// `dash` beside format `hls`: a second manifest over the same segments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub also: Option<Format>,
    /// How segments are encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// Pictures taken out of the video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<Thumbnail>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl Template {
    /// The codec of the picture.
    pub fn video_codec(&self) -> VideoCodec {
        self.vcodec.unwrap_or(VideoCodec::H264)
    }

    /// The codec of the sound.
    pub fn audio_codec(&self) -> AudioCodec {
        self.acodec.unwrap_or(AudioCodec::Aac)
    }

    /// What segments are, for segmented formats.
    pub fn segment_type(&self) -> Option<SegmentType> {
        match self.format {
            Format::Mp4 | Format::Flv => None,
            Format::Dash => Some(SegmentType::Fmp4),
            Format::Hls => Some(self.seg_type.unwrap_or_else(|| self.usual_segments())),
        }
    }

    /// TS where every player is sure to know what is in it.
    fn usual_segments(&self) -> SegmentType {
        let plain = |codec| matches!(codec, VideoCodec::H264 | VideoCodec::None);
        let picture = self.video_codecs().into_iter().all(|(_, codec)| plain(codec));
        let sound = matches!(self.audio_codec(), AudioCodec::Aac | AudioCodec::None);
        if picture && sound && self.also.is_none() { SegmentType::Ts } else { SegmentType::Fmp4 }
    }

    /// The codecs of all pictures that are made, each with the field that asks for it.
    pub(crate) fn video_codecs(&self) -> Vec<(String, VideoCodec)> {
        match &self.adaptive_streams {
            None => vec![("vcodec".to_owned(), self.video_codec())],
            Some(streams) => {
                let codec = |(index, stream): (usize, &Rendition)| match stream.vcodec {
                    Some(codec) => (format!("adaptive_streams[{index}].vcodec"), codec),
                    None => ("vcodec".to_owned(), self.video_codec()),
                };
                streams.iter().enumerate().map(codec).collect()
            }
        }
    }

    /// Whether an output may be more than its main object.
    pub fn has_folder(&self) -> bool {
        self.format.is_segmented() || self.thumbnail.is_some()
    }

    /// Seconds of a segment, for segmented formats.
    pub fn segment_seconds(&self) -> u32 {
        self.seg_time.unwrap_or(if self.format == Format::Dash { 4 } else { 6 })
    }

    /// Checks what the fields say together, and that all of it can be done.
    ///
    /// # Errors
    /// The first field that is wrong, with what would be accepted.
    pub fn check(&self) -> Result<(), FieldError> {
        self.check_ranges()?;
        self.check_support()?;
        self.check_combinations()
    }

    fn check_ranges(&self) -> Result<(), FieldError> {
        within("quality", self.quality, 1.0, 10.0)?;
        within("framerate", self.framerate.map(NonZeroU32::get), 1, 240)?;
        within("video_bitrate", self.video_bitrate, 10, 200_000)?;
        within("audio_bitrate", self.audio_bitrate, 8, 640)?;
        within("gop_size", self.gop_size, 1, 1200)?;
        within("gop_seconds", self.gop_seconds, 1, 60)?;
        within("seg_time", self.seg_time, 1, 60)?;
        for (index, rendition) in self.adaptive_streams.iter().flatten().enumerate() {
            let field = |name: &str| format!("adaptive_streams[{index}].{name}");
            within(&field("quality"), rendition.quality, 1.0, 10.0)?;
            within(&field("framerate"), rendition.framerate.map(NonZeroU32::get), 1, 240)?;
            within(&field("video_bitrate"), rendition.video_bitrate, 10, 200_000)?;
            within(&field("audio_bitrate"), rendition.audio_bitrate, 8, 640)?;
        }
        if let Some(wish) = &self.thumbnail {
            let set = |value: u32| Some(value).filter(|value| *value > 0);
            within("thumbnail.number", set(wish.number), 1, 10_000)?;
            within("thumbnail.width", set(wish.width), 16, 4096)?;
            within("thumbnail.height", set(wish.height), 16, 4096)?;
        }
        match self.audio_channels {
            None | Some(1 | 2 | 6) => Ok(()),
            Some(other) => {
                Err(FieldError::new("audio_channels", format!("{other} is not supported; give 1, 2 or 6")))
            }
        }
    }

    fn check_support(&self) -> Result<(), FieldError> {
        let not_yet = |field: &str, value: &dyn fmt::Display, accepted: &str| {
            Err(FieldError::new(field, format!("`{value}` is not supported yet; {accepted}")))
        };
        if self.video_codec() == VideoCodec::Copy {
            return not_yet("vcodec", &VideoCodec::Copy, "give `h264`");
        }
        if self.audio_codec() == AudioCodec::Copy {
            return not_yet("acodec", &AudioCodec::Copy, "give `aac`");
        }
        if let Some(other) = self.trans_mode.filter(|mode| *mode != TransMode::Standard) {
            return not_yet("trans_mode", &other, "give `standard`");
        }
        match self.encryption {
            Some(_) => Err(FieldError::new("encryption", "is not supported yet; leave it unset")),
            None => Ok(()),
        }
    }

    fn check_combinations(&self) -> Result<(), FieldError> {
        let wrong = |field: &str, problem: String| Err(FieldError::new(field, problem));
        if self.video_codec() == VideoCodec::None {
            if self.audio_codec() == AudioCodec::None {
                return wrong("acodec", "`none` beside vcodec `none` leaves nothing to make".to_owned());
            }
            if self.adaptive_streams.is_some() {
                return wrong("adaptive_streams", "has renditions beside vcodec `none`".to_owned());
            }
            if self.thumbnail.is_some() {
                return wrong("thumbnail", "cannot be taken beside vcodec `none`".to_owned());
            }
            if self.logo_path.is_some() {
                return wrong("logo_path", "has nothing to be laid over beside vcodec `none`".to_owned());
            }
        }
        if self.loudness.is_some() && matches!(self.audio_codec(), AudioCodec::None | AudioCodec::Copy) {
            return wrong("loudness", format!("cannot be set beside acodec `{}`", self.audio_codec()));
        }
        for (field, set) in
            [("logo_size", self.logo_size.is_some()), ("logo_offset", self.logo_offset.is_some())]
        {
            if set && self.logo_path.is_none() {
                return wrong(field, "is set without a `logo_path`".to_owned());
            }
        }
        if self.adaptive_streams.is_some() && !self.format.is_segmented() {
            return wrong(
                "adaptive_streams",
                format!("cannot be put into {}; give format `hls` or `dash`", self.format),
            );
        }
        for (field, codec) in self.video_codecs() {
            let in_ladder = self.adaptive_streams.is_some();
            if in_ladder && matches!(codec, VideoCodec::Copy | VideoCodec::None) {
                return wrong(&field, format!("`{codec}` cannot be one of the renditions; give a codec"));
            }
        }
        match (self.format, self.also) {
            (_, None) | (Format::Hls, Some(Format::Dash)) => {}
            (format, Some(also)) => {
                let problem =
                    format!("`{also}` cannot be had beside {format}; give `dash` with format `hls`");
                return wrong("also", problem);
            }
        }
        if self.adaptive_streams.as_ref().is_some_and(|streams| streams.len() > 10) {
            return wrong("adaptive_streams", "has more than 10 renditions".to_owned());
        }
        if (self.format == Format::Dash || self.also.is_some()) && self.seg_type == Some(SegmentType::Ts) {
            return wrong("seg_type", "`ts` cannot be used with dash; give `fmp4`".to_owned());
        }
        crate::container::check(self)
    }
}

/// The templates that the server ships, in the order they are listed.
pub fn predefined() -> Vec<Template> {
    let base = |name: &str, format, description: &str| Template {
        description: Some(description.to_owned()),
        ..Template::new(TemplateName(name.to_owned()), format)
    };
    let sized = |side, template| Template { resolution: Some(Resolution::ShortSide(side)), ..template };
    vec![
        sized(720, base("mp4-720p", Format::Mp4, "Progressive MP4, H.264 and AAC, 720p at most")),
        sized(1080, base("mp4-1080p", Format::Mp4, "Progressive MP4, H.264 and AAC, 1080p at most")),
        base("hls-h264", Format::Hls, "HLS, H.264 ladder from 1080p to 234p, TS segments of 6 s"),
        base("dash-h264", Format::Dash, "DASH, H.264 ladder from 1080p to 234p, CMAF segments of 4 s"),
        Template {
            also: Some(Format::Dash),
            ..base(
                "cmaf-h264",
                Format::Hls,
                "HLS and DASH over one set of CMAF segments of 6 s, H.264 ladder",
            )
        },
        sized(720, base("flv-720p", Format::Flv, "FLV, H.264 and AAC, 720p at most")),
        Template {
            vcodec: Some(VideoCodec::None),
            ..base("audio-aac", Format::Mp4, "Sound alone, AAC in MP4")
        },
    ]
}

impl Template {
    /// A template with nothing set but its name and format.
    pub fn new(template_name: TemplateName, format: Format) -> Self {
        Self {
            template_name,
            format,
            vcodec: None,
            acodec: None,
            trans_mode: None,
            hdr: None,
            resolution: None,
            framerate: None,
            quality: None,
            video_bitrate: None,
            audio_bitrate: None,
            gop_size: None,
            gop_seconds: None,
            seg_type: None,
            seg_time: None,
            audio_sample_rate: None,
            audio_channels: None,
            loudness: None,
            logo_path: None,
            logo_size: None,
            logo_offset: None,
            adaptive_streams: None,
            also: None,
            encryption: None,
            thumbnail: None,
            description: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::without_unset;

    /// What the newer Go SDK sends for a template of which only name and format are set.
    fn sdk_body() -> serde_json::Value {
        json!({
            "template_name": "t", "format": "hls", "vcodec": "", "acodec": "", "trans_mode": "",
            "resolution": "", "framerate": 0, "quality": 0.0, "video_bitrate": 0, "audio_bitrate": 0,
            "gop_size": 0, "gop_seconds": 0, "seg_type": "", "seg_time": 0, "audio_sample_rate": "",
            "audio_channels": 0, "logo_path": "", "logo_size": "", "logo_offset": "",
            "adaptive_streams": null, "also": "",
            "encryption": {"provider": "", "mode": "", "drm_systems": null, "key_url": "", "http_method": "", "headers": null},
            "thumbnail": {"start_point": 0, "interval": 0, "number": 0, "width": 0, "height": 0},
            "description": ""
        })
    }

    #[test]
    fn empty_strings_and_zeros_mean_unset() {
        let template: Template = serde_json::from_value(without_unset(sdk_body())).expect("a template");
        assert_eq!(template, Template::new("t".parse().expect("a name"), Format::Hls));
        template.check().expect("fine");
    }

    #[test]
    fn the_oldest_sdk_spells_audio_bitrate_its_own_way() {
        let template: Template =
            serde_json::from_value(json!({"template_name": "t", "format": "mp4", "audioBitrate": 96}))
                .expect("a template");
        assert_eq!(template.audio_bitrate, Some(96));
    }

    #[rstest]
    #[case("resolution", json!("12 x 7"), "`12 x 7` is not a resolution")]
    #[case("vcodec", json!("mpeg1"), "is not one of `h264`")]
    #[case("framerate", json!("fast"), "invalid type")]
    #[case("logo_path", json!("logo.png"), "`logo.png` is not a URL")]
    #[case("loudness", json!("loud"), "is not one of `ebu-r128`")]
    #[case("logo_size", json!("large"), "`large` is not a size; give `200x100`")]
    #[case("logo_offset", json!("5"), "`5` is not an offset; give `10x10`")]
    #[case("framerate", json!(-1), "invalid value")]
    #[case("audio_sample_rate", json!("1"), "is not a sample rate")]
    fn a_wrong_field_says_what_would_do(
        #[case] field: &str,
        #[case] value: serde_json::Value,
        #[case] problem: &str,
    ) {
        let mut body = sdk_body();
        body[field] = value;
        let error = serde_json::from_value::<Template>(without_unset(body)).expect_err("refused").to_string();
        assert!(error.contains(problem), "{error}");
    }

    #[rstest]
    #[case("acodec", json!("mp3"))]
    #[case("quality", json!(11))]
    #[case("seg_time", json!(61))]
    #[case("trans_mode", json!("fast"))]
    #[case("also", json!("mp4"))]
    #[case("thumbnail.number", json!({"number": 10001}))]
    #[case("thumbnail.width", json!({"width": 8}))]
    #[case("audio_channels", json!(5))]
    #[case("logo_size", json!("10x10"))]
    #[case("logo_offset", json!("10x10"))]
    fn what_cannot_be_done_is_refused(#[case] field: &str, #[case] value: serde_json::Value) {
        let mut body = sdk_body();
        body[field.split('.').next().expect("a name")] = value;
        let template: Template = serde_json::from_value(without_unset(body)).expect("readable");
        assert_eq!(template.check().expect_err("refused").field, field);
    }

    #[test]
    fn predefined_templates_are_right() {
        for template in predefined() {
            template.check().unwrap_or_else(|error| panic!("{}: {error}", template.template_name));
        }
    }
}
