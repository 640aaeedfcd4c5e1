//! What is known of the input and of the output of a task, as they were measured.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Format, SegmentType, field::word_enum};

/// What the probe found in the input. Bit rates are bit/s, sizes bytes, the duration seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceFacts {
    /// Seconds.
    pub duration: f64,
    /// Bytes.
    pub size: u64,
    /// bit/s of the whole file.
    pub bitrate: f64,
    /// Such as `1920x1080`, as it is displayed; empty without video.
    pub resolution: String,
    /// Frames a second; 0 without video.
    pub framerate: f64,
    /// bit/s; 0 when unknown.
    pub video_bitrate: f64,
    /// bit/s; 0 when unknown.
    pub audio_bitrate: f64,
    /// Such as `h264`; empty without video.
    pub video_codec: String,
    /// Such as `aac`; empty without audio.
    pub audio_codec: String,
}

/// The output, as measured on itself. Bit rates are bit/s, sizes bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OutputFacts {
    /// Seconds of the longest output stream.
    pub duration: f64,
    /// Bytes of all objects.
    pub size: u64,
    /// Bytes of the media alone, without playlists and manifests.
    pub media_size: u64,
    /// bit/s of the media.
    pub bitrate: f64,
    /// Of the top rendition; empty without video.
    pub resolution: String,
    /// Frames a second of the top rendition; 0 without video.
    pub framerate: f64,
    /// Such as `h264`; empty without video.
    pub video_codec: String,
    /// Such as `aac`; empty without audio.
    pub audio_codec: String,
    /// Hz; 0 without audio.
    pub audio_samplerate: u32,
    /// The manifests and files of the output.
    pub groups: Vec<OutputGroup>,
}

word_enum! {
    /// What an entry of `output_groups` is.
    GroupFormat {
        /// one progressive MP4 file
        Mp4 = "mp4",
        /// HTTP Live Streaming
        Hls = "hls",
        /// MPEG-DASH
        Dash = "dash",
        /// one FLV file
        Flv = "flv",
        /// the first of the thumbnails, `thumb_00001.jpg`; the others lie beside it
        Jpg = "jpg",
        /// a WebVTT storyboard over sprite sheets of the thumbnails
        Vtt = "vtt",
    }
}

impl From<Format> for GroupFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Mp4 => Self::Mp4,
            Format::Hls => Self::Hls,
            Format::Dash => Self::Dash,
            Format::Flv => Self::Flv,
        }
    }
}

/// One manifest or one file of an output, or its thumbnails.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OutputGroup {
    /// `thumbnails` or `storyboard`; empty for the output itself.
    pub custom_name: String,
    /// What it is.
    pub format: GroupFormat,
    /// What its segments are; empty for single files and thumbnails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seg_type: Option<SegmentType>,
    /// Seconds of a segment; 0 for single files and thumbnails.
    pub seg_time: u32,
    /// The URI of its main object.
    pub output: String,
}
