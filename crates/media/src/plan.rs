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
    /// What is done to the picture once, before it is scaled to each rendition; none without picture, and
    /// where it is copied.
    pub video_filter: Option<VideoFilter>,
    /// Renditions, best first; empty without picture.
    pub videos: Vec<VideoPlan>,
    /// Sound tracks; the default first.
    pub audios: Vec<AudioPlan>,
    /// Pictures taken out of the video.
    pub thumbnails: Option<ThumbnailPlan>,
    /// Whether playlists grow from the start; of HLS alone.
    pub is_growing: bool,
    /// What is laid over every rendition: the picture in [`crate::logo_file`].
    pub logo: Option<LogoPlan>,
    /// Seconds that come out, as expected.
    pub duration: f64,
    /// Seconds by which the file's clock runs before the first stream or the piece that is taken; cut
    /// off.
    pub start_offset: f64,
    /// What puts the time stamps of the streams that are taken right.
    pub corrections: Vec<TimestampCorrection>,
    /// The piece that is taken, which is cut off at `duration`; none: all there is.
    pub clip: Option<Clip>,
    /// The title that the output carries on; may be empty.
    pub title: String,
    /// Whether chapters are carried on: in MP4, where they are a text track beside picture and sound.
    pub chapters: bool,
    /// Encoder threads of each rendition; 0 leaves it to the encoder.
    pub threads: u32,
}

impl Plan {
    /// Whether anything of the source is taken untouched.
    pub(crate) fn copies(&self) -> bool {
        self.videos.iter().any(|video| video.copied().is_some())
            || self.audios.iter().any(AudioPlan::is_copied)
    }

    /// Whether its streams lie in MP4 or fragments of it.
    pub(crate) fn is_in_iso_files(&self) -> bool {
        match self.segmenting {
            Some(segmenting) => segmenting.kind == SegmentType::Fmp4,
            None => self.format == Format::Mp4,
        }
    }
}

/// How an output is cut into segments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segmenting {
    /// What segments are.
    pub kind: SegmentType,
    /// Exact length of a segment in seconds: a whole number of frames of the picture. Copies are cut at
    /// their own key frames, the first one after it.
    pub seconds: Rational,
}

impl Segmenting {
    /// Seconds that a segment of a copy may last at most: players hold whole ones in memory, and seek by
    /// them.
    pub(crate) fn longest_copied(self) -> f64 {
        f64::max(20.0, 1.5 * self.seconds.as_f64())
    }
}

/// What is done to the picture once.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoFilter {
    /// The stream's index in the source.
    pub index: u32,
    /// Whether two fields become one frame first.
    pub field_order: FieldOrder,
    /// Whether the upper lines are the earlier field; means nothing when progressive.
    pub top_field_first: bool,
    /// What shows it upright.
    pub orientation: Orientation,
    /// Pixels across after the turn and before any scaling.
    pub width: u32,
    /// Pixels down after the turn and before any scaling.
    pub height: u32,
    /// What the source's samples are in memory, such as `yuv420p10le`.
    pub pixel_format: String,
    /// What the source's colours mean.
    pub given: Colour,
    /// Seconds of the sound's lead: the picture's first frame is shown until then.
    pub start: f64,
    /// Seconds for which the last frame is held beyond its end, because the sound lasts longer.
    pub hold: f64,
}

/// Pictures taken out of the video.
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
    /// Pictures across a sheet.
    pub columns: u32,
    /// Pictures down a sheet.
    pub rows: u32,
}

impl ThumbnailPlan {
    /// How many sheets so many thumbnails fill.
    pub(crate) fn sheets(&self, thumbnails: u32) -> u32 {
        thumbnails.div_ceil(self.columns * self.rows)
    }
}

/// A picture that is laid over every rendition, at its final size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogoPlan {
    /// The box that it fits into; none: its own size.
    pub size: Option<LogoSize>,
    /// Where it stands.
    pub offset: LogoOffset,
}

/// How bits are spent.
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
    /// kbit/s that a second may peak at, and kbit of the buffer; none when only the level bounds them.
    pub(crate) fn peak_and_buffer(self) -> Option<(u32, u32)> {
        match self {
            Self::Average(average) => Some((average * 3 / 2, average * 2)),
            Self::Crf { cap: Some(cap), .. } => Some((cap, cap * 2)),
            Self::Crf { cap: None, .. } => None,
        }
    }
}

/// One rendition of the picture.
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
    pub rate: Rational,
    /// How it comes about.
    pub coding: Coding,
    /// FFmpeg's name, such as `High`; what the fastest presets write may demand less.
    pub profile: String,
    /// Such as `4.0`: the lowest level that fits.
    pub level: String,
    /// Bits of a sample, 8 or 10; always 4:2:0.
    pub depth: u8,
    /// What its colours mean; always written.
    pub colour: Colour,
    /// Whether PQ or HLG becomes BT.709.
    pub tone_map: bool,
    /// What is said of its light; where HDR is kept alone.
    pub hdr_metadata: HdrMetadata,
}

impl VideoPlan {
    /// FFmpeg's name of what its samples are.
    pub(crate) const fn pixel_format(&self) -> &'static str {
        if self.depth > 8 { "yuv420p10le" } else { "yuv420p" }
    }

    /// The picture of the source that it is a copy of.
    pub(crate) fn copied(&self) -> Option<&VideoStream> {
        match &self.coding {
            Coding::Copied(picture) => Some(picture),
            Coding::Encoded(_) => None,
        }
    }
}

/// How a rendition comes about.
#[derive(Clone, Debug, PartialEq)]
pub enum Coding {
    /// By an encoder.
    Encoded(Encoding),
    /// The packets of this picture are taken as they are.
    Copied(Box<VideoStream>),
}

/// What an encoder is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoding {
    /// Frames from one keyframe to the next; fixed when the output is segmented, a maximum otherwise.
    pub gop: u32,
    /// How bits are spent.
    pub rate_control: RateControl,
    /// The encoder's preset.
    pub preset: String,
}

/// One sound track.
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
    /// How loud it becomes; none: as it is.
    pub loudness: Option<Loudness>,
    /// Seconds of silence before it begins.
    pub start: f64,
    /// Seconds of silence after its end, because the picture or another sound lasts longer.
    pub silence: f64,
    /// Whether its rate or its channels may change on the way.
    pub may_change: bool,
}

impl AudioPlan {
    /// Whether the source's own packets are taken.
    pub(crate) const fn is_copied(&self) -> bool {
        self.bitrate.is_none()
    }
}
