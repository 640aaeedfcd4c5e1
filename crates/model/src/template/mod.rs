//! A template: how to transcode.
//!
//! One struct is the form on the wire, the stored form and the planner's input; a new field is added here,
//! once, and used in the planner. Deserializing checks each field alone, [`Template::check`] their ranges
//! and combinations.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AudioCodec, AudioMode, Input, LogoOffset, LogoSize, VideoCodec, VideoMode};

mod check;
mod predefined;
#[cfg(test)]
mod tests;
mod values;
mod words;

pub use predefined::predefined_templates;
pub use values::{Box2d, Resolution, SampleRate, TemplateName};
pub use words::{Format, Hdr, Loudness, SegmentType, TransMode};

/// One rendition of an adaptive output. What is not set is taken from the template.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rendition {
    /// The video codec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vcodec: Option<VideoMode>,
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
    /// kbit/s; the renditions share one audio stream, so the highest of them counts; the template's own
    /// goes before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_bitrate: Option<u32>,
}

/// Thumbnails: JPEG files `thumbnails/thumb_00001.jpg` and so on in the folder beside the output, sprite
/// sheets of them (`sprite_001.jpg`), and a WebVTT storyboard over the sheets (`storyboard.vtt`).
/// `output_groups` names the first thumbnail and the storyboard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Thumbnail {
    /// The time of the first thumbnail, in seconds; after the end: the last frame.
    pub start_point: u32,
    /// From one thumbnail to the next, in seconds; unset: `number` of them evenly, else 10.
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
    /// The protocol of the key server.
    pub provider: String,
    /// `aes-128`, `cenc` or `cbcs`.
    pub mode: String,
    /// `widevine`, `playready`, `fairplay`, `clearkey`.
    pub drm_systems: Vec<String>,
    /// The URL that the key is requested from.
    pub key_url: String,
    /// `GET` or `POST`.
    pub http_method: String,
    /// Sent with the request for the key.
    pub headers: std::collections::BTreeMap<String, String>,
}

/// How to transcode. Every field that is not set has the meaning its comment gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Template {
    /// Its name, which is its id.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9._-]{1,64}$")]
    pub template_name: TemplateName,
    /// The format of the output.
    pub format: Format,
    /// The video codec; unset: `h264`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vcodec: Option<VideoMode>,
    /// The audio codec; unset: `aac`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acodec: Option<AudioMode>,
    /// How the encoding is done; unset: `standard`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trans_mode: Option<TransMode>,
    /// What becomes of HDR; unset: `tone-map`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hdr: Option<Hdr>,
    /// The size of the video; unset: as the source.
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
    /// The type of segments; unset: `ts` for HLS with H.264 and AAC, else `fmp4`.
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
    /// The loudness of the audio, measured in a first pass and set in the second; unset: as the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loudness: Option<Loudness>,
    /// The URL of a PNG that is laid over every rendition, `http` or `https`, or an object such as
    /// `s3://bucket/key`; at most 10 MiB and 4096 pixels a side. It is fetched for every task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "https://example.com/logo.png")]
    pub logo_path: Option<Input>,
    /// The box it fits into, its aspect ratio kept: `WxH`, `Wx` or `xH`, in pixels of each rendition or in
    /// percent of it (`15%x`); unset: its own size. It is never larger than the video.
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
    /// Thumbnails of the video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<Thumbnail>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl Template {
    /// Whether and how the video is encoded, without renditions of its own.
    pub fn video_mode(&self) -> VideoMode {
        self.vcodec.unwrap_or(VideoMode::Encode(VideoCodec::H264))
    }

    /// Whether and how the audio is encoded.
    pub fn audio_mode(&self) -> AudioMode {
        self.acodec.unwrap_or(AudioMode::Encode(AudioCodec::Aac))
    }

    /// Whether packets of the source are copied.
    pub fn copies(&self) -> bool {
        self.video_mode() == VideoMode::Copy || self.audio_mode() == AudioMode::Copy
    }

    /// The type of segments; none for single files.
    pub fn segment_type(&self) -> Option<SegmentType> {
        match self.format {
            Format::Mp4 | Format::Flv => None,
            Format::Dash => Some(SegmentType::Fmp4),
            Format::Hls => Some(self.seg_type.unwrap_or_else(|| self.default_segment_type())),
        }
    }

    /// TS where every player can play the codecs in TS.
    fn default_segment_type(&self) -> SegmentType {
        let is_plain_video = |mode| matches!(mode, VideoMode::Encode(VideoCodec::H264) | VideoMode::None);
        let video = self.video_modes().into_iter().all(|(_, mode)| is_plain_video(mode));
        let audio = matches!(self.audio_mode(), AudioMode::Encode(AudioCodec::Aac) | AudioMode::None);
        if video && audio && self.also.is_none() { SegmentType::Ts } else { SegmentType::Fmp4 }
    }

    /// The modes of all renditions, each with the field that asks for it.
    pub(crate) fn video_modes(&self) -> Vec<(String, VideoMode)> {
        match &self.adaptive_streams {
            None => vec![("vcodec".to_owned(), self.video_mode())],
            Some(streams) => {
                let mut modes = Vec::new();
                for (index, rendition) in streams.iter().enumerate() {
                    modes.push(match rendition.vcodec {
                        Some(mode) => (format!("adaptive_streams[{index}].vcodec"), mode),
                        None => ("vcodec".to_owned(), self.video_mode()),
                    });
                }
                modes
            }
        }
    }

    /// Whether an output may have more objects than its main one.
    pub fn has_folder(&self) -> bool {
        self.format.is_segmented() || self.thumbnail.is_some()
    }

    /// Seconds of a segment, for segmented formats.
    pub fn segment_seconds(&self) -> u32 {
        self.seg_time.unwrap_or(if self.format == Format::Dash { 4 } else { 6 })
    }
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
