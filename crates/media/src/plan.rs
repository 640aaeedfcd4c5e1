//! The plan: what is made of a source, decided before anything runs.
//!
//! It is data alone: [`crate::planner`] makes it, `run` does it, and `verify` holds the output to it: sizes, frame rates,
//! key frame distance, codecs, duration. Nobody changes a plan that was made.

use model::{
    AudioCodec, Box2d, Format, LogoOffset, LogoSize, Loudness, Rational, SegmentType, Template, VideoCodec,
};

use crate::{
    colour::Colour,
    source::{Clip, FieldOrder, HdrMetadata, Orientation, Source, TimestampCorrection, VideoStream},
};

/// What the operator decides about plans.
#[derive(Clone, Debug)]
pub struct PlanSettings {
    /// x264's preset.
    pub x264_preset: String,
    /// x265's preset.
    pub x265_preset: String,
    /// SVT-AV1's preset, 0 (slowest) to 13.
    pub svtav1_preset: u8,
    /// libvpx's `cpu-used` for VP9, 0 (slowest) to 8.
    pub vp9_cpu_used: u8,
    /// Encoder threads in all; 0 leaves it to the encoder.
    pub threads: u32,
}

impl Default for PlanSettings {
    fn default() -> Self {
        Self {
            x264_preset: "medium".to_owned(),
            x265_preset: "medium".to_owned(),
            svtav1_preset: 8,
            vp9_cpu_used: 4,
            threads: 0,
        }
    }
}

/// What a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct PlanRequest<'a> {
    /// What is asked for.
    pub template: &'a Template,
    /// What there is.
    pub source: &'a Source,
    /// What the operator decides.
    pub settings: &'a PlanSettings,
    /// Whether HLS playlists are published while they grow, from the first segment on.
    pub growing_playlists: bool,
}

impl<'a> PlanRequest<'a> {
    /// A request whose playlists are published when they are complete.
    pub const fn new(template: &'a Template, source: &'a Source, settings: &'a PlanSettings) -> Self {
        Self { template, source, settings, growing_playlists: false }
    }
}

/// What is made of a source.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What kind of output comes out.
    pub format: Format,
    /// A second kind over the same segments.
    pub also: Option<Format>,
    /// How it is cut; none for single files.
    pub segmenting: Option<Segmenting>,
    /// What is done to the video once, before it is scaled to each rendition; none without video, and
    /// where it is copied.
    pub video_filter: Option<VideoFilter>,
    /// Renditions, best first; empty without video.
    pub videos: Vec<VideoPlan>,
    /// Audio tracks, the default one first.
    pub audios: Vec<AudioPlan>,
    /// Thumbnails of the video.
    pub thumbnails: Option<ThumbnailPlan>,
    /// Whether HLS playlists are published while they grow, from the first segment on.
    pub is_growing: bool,
    /// What is laid over every rendition: the image in [`crate::logo_file`].
    pub logo: Option<LogoPlan>,
    /// The expected duration of the output in seconds.
    pub duration: f64,
    /// Seconds from the file's first time stamp to the start of the first stream or of the clip; cut off.
    pub start_offset: f64,
    /// Corrections of the time stamps of the streams that are taken.
    pub corrections: Vec<TimestampCorrection>,
    /// The clip that is taken, which is cut off at `duration`; none: all there is.
    pub clip: Option<Clip>,
    /// The title that the output carries on; may be empty.
    pub title: String,
    /// Whether chapters are carried on: in MP4, where they are a text track beside video and audio.
    pub chapters: bool,
    /// Encoder threads of each rendition; 0 leaves it to the encoder.
    pub threads: u32,
}

impl Plan {
    /// Whether packets of the source are copied.
    pub(crate) fn copies(&self) -> bool {
        self.videos.iter().any(|video| video.copied().is_some())
            || self.audios.iter().any(AudioPlan::is_copied)
    }

    /// Whether its streams lie in MP4 or fragments of it.
    pub(crate) fn is_in_iso_files(&self) -> bool {
        match self.segmenting {
            Some(segmenting) => segmenting.segment_type == SegmentType::Fmp4,
            None => self.format == Format::Mp4,
        }
    }
}

/// How an output is cut into segments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segmenting {
    /// What segments are.
    pub segment_type: SegmentType,
    /// The exact duration of a segment: a whole number of video frames. Copies are cut at their own key
    /// frames, the first one after it.
    pub segment_duration: Rational,
}

impl Segmenting {
    /// The longest segment of a copy, in seconds: players hold whole segments in memory, and seek by them.
    pub(crate) fn max_copied_segment_secs(self) -> f64 {
        f64::max(20.0, 1.5 * self.segment_duration.as_f64())
    }
}

/// What is done to the video once.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoFilter {
    /// The stream's index in the source.
    pub index: u32,
    /// Whether two fields become one frame first.
    pub field_order: FieldOrder,
    /// Whether the upper lines are the earlier field; means nothing when progressive.
    pub top_field_first: bool,
    /// How it is shown upright.
    pub orientation: Orientation,
    /// Pixels across, upright, before any scaling.
    pub width: u32,
    /// Pixels down, upright, before any scaling.
    pub height: u32,
    /// What the source's samples are in memory, such as `yuv420p10le`.
    pub pixel_format: String,
    /// What the source's colours mean.
    pub source_colour: Colour,
    /// Seconds by which the video begins later than the audio: its first frame is shown until then.
    pub start: f64,
    /// Seconds for which the last frame is held beyond its end, because the audio is longer.
    pub end_padding: f64,
}

/// Thumbnails: JPEG files, and sheets of them for a storyboard.
#[derive(Clone, Debug, PartialEq)]
pub struct ThumbnailPlan {
    /// The time of the first one, in seconds.
    pub start: f64,
    /// Seconds from one to the next.
    pub interval: f64,
    /// How many: all of them lie before the end.
    pub number: u32,
    /// Of each.
    pub size: Box2d,
    /// Of each on a sheet.
    pub cell: Box2d,
    /// Thumbnails across a sheet.
    pub columns: u32,
    /// Thumbnails down a sheet.
    pub rows: u32,
}

impl ThumbnailPlan {
    /// How many sheets so many thumbnails fill.
    pub(crate) fn sheets(&self, thumbnails: u32) -> u32 {
        thumbnails.div_ceil(self.columns * self.rows)
    }
}

/// An image that is laid over every rendition, at its final size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogoPlan {
    /// The box that it fits into; none: its own size.
    pub size: Option<LogoSize>,
    /// Where it stands.
    pub offset: LogoOffset,
}

/// Rate control.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RateControl {
    /// Constant quality, with an optional cap; without one, what the level allows.
    Crf {
        /// The encoder's scale.
        crf: f64,
        /// kbit/s.
        cap: Option<u32>,
    },
    /// One-pass average in kbit/s; peak 1.5 ×, buffer 2 ×.
    Average(u32),
}

impl RateControl {
    /// The peak in kbit/s (`-maxrate`) and the buffer in kbit (`-bufsize`); none when only the level bounds them.
    pub(crate) fn peak_and_buffer(self) -> Option<(u32, u32)> {
        match self {
            Self::Average(average) => Some((average * 3 / 2, average * 2)),
            Self::Crf { cap: Some(cap), .. } => Some((cap, cap * 2)),
            Self::Crf { cap: None, .. } => None,
        }
    }
}

/// One rendition of the video.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoPlan {
    /// Its name in paths: `1080p`, by the short side; unique in the plan.
    pub name: String,
    /// What it is encoded as.
    pub codec: VideoCodec,
    /// Even, unless it is copied.
    pub width: u32,
    /// Even, unless it is copied.
    pub height: u32,
    /// Constant, unless it is copied.
    pub frame_rate: Rational,
    /// How it comes about.
    pub coding: Coding,
    /// FFmpeg's name, such as `High`; the fastest presets may write a lower one.
    pub profile: String,
    /// Such as `4.0`: the lowest level that fits.
    pub level: String,
    /// Bits of a sample, 8 or 10; always 4:2:0.
    pub bit_depth: u8,
    /// What its colours mean; always written.
    pub colour: Colour,
    /// Whether PQ or HLG becomes BT.709.
    pub tone_map: bool,
    /// Its HDR metadata; empty unless HDR is kept.
    pub hdr_metadata: HdrMetadata,
}

impl VideoPlan {
    /// FFmpeg's name of what its samples are.
    pub(crate) const fn pixel_format(&self) -> &'static str {
        if self.bit_depth > 8 { "yuv420p10le" } else { "yuv420p" }
    }

    /// The video stream that it is a copy of.
    pub(crate) fn copied(&self) -> Option<&VideoStream> {
        match &self.coding {
            Coding::Copied(video) => Some(video),
            Coding::Encoded(_) => None,
        }
    }
}

/// How a rendition comes about.
#[derive(Clone, Debug, PartialEq)]
pub enum Coding {
    /// By an encoder.
    Encoded(Encoding),
    /// The packets of this stream are taken as they are.
    Copied(Box<VideoStream>),
}

/// What an encoder does.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoding {
    /// Frames from one key frame to the next; fixed when the output is segmented, a maximum otherwise.
    pub gop: u32,
    /// Rate control.
    pub rate_control: RateControl,
    /// The encoder's preset.
    pub preset: String,
}

/// One audio track.
#[derive(Clone, Debug, PartialEq)]
pub struct AudioPlan {
    /// Its name in paths: `audio`, `audio_2`; unique in the plan.
    pub name: String,
    /// Its name for people, without quotes, commas and control characters; unique in the plan.
    pub label: String,
    /// The stream's index in the source.
    pub index: u32,
    /// What it is encoded as.
    pub codec: AudioCodec,
    /// kbit/s; none: the source's own packets are taken as they are.
    pub bitrate: Option<u32>,
    /// Hz.
    pub sample_rate: u32,
    /// 1, 2 or 6.
    pub channels: u32,
    /// Whether the source has more, which are mixed.
    pub is_downmixed: bool,
    /// ISO 639-2; empty when unknown.
    pub language: String,
    /// The track's title; may be empty.
    pub title: String,
    /// The loudness that it is brought to; none: as it is.
    pub loudness: Option<Loudness>,
    /// Seconds of silence before it begins.
    pub start: f64,
    /// Seconds of silence after its end, because the video or another track is longer.
    pub silence: f64,
    /// Whether its sample rate or its channels may change on the way.
    pub parameters_may_change: bool,
}

impl AudioPlan {
    /// Whether the source's own packets are taken.
    pub(crate) const fn is_copied(&self) -> bool {
        self.bitrate.is_none()
    }
}
