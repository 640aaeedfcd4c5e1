//! The source: the one description of an input that the planner reads.
//!
//! It holds what probing found worth playing: one video stream or none (never cover art), the audio streams that can be
//! decoded, and a duration that the packets bear out. Times are in seconds.

use model::{ErrorCode, ExtraOptions, Rational, SourceFacts};

use crate::error::MediaError;

/// An input that can be transcoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The demuxer that reads it, such as `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    /// Bytes.
    pub size: u64,
    /// Seconds, as measured on the packets.
    pub duration: f64,
    /// Seconds from the file's first time stamp to that of the first of the streams below: other programmes and
    /// subtitles may begin earlier.
    pub start_offset: f64,
    /// Whether the duration is that of an index in the file (`moov` of MP4, `idx1` of AVI), and not an estimate. A file
    /// that ends earlier than its index says, by more than the larger of 1 s and 2 %, is truncated.
    pub duration_is_indexed: bool,
    /// The best video stream; none where there is none, or only cover art.
    pub video: Option<VideoStream>,
    /// The audio stream that single-track outputs take, then all others that can be decoded.
    pub audios: Vec<AudioStream>,
    /// Codecs of what it has besides, where nothing of that kind can be decoded.
    pub undecodable: UndecodableCodecs,
    /// The container's title; may be empty.
    pub title: String,
    /// Whether it is divided into chapters.
    pub has_chapters: bool,
    /// Corrections of time stamps that those of the other streams contradict; none in healthy files.
    pub corrections: Vec<TimestampCorrection>,
    /// The clip that a task asks for; none: all of it.
    pub clip: Option<Clip>,
    /// Bit rates and names as the customer sees them.
    pub facts: SourceFacts,
}

/// What has to be taken off the time stamps of a stream, from one of its packets on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampCorrection {
    /// The stream's index in the file.
    pub stream: u32,
    /// The packet's number among those of its stream, from 0.
    pub packet: u64,
    /// Units of the stream's time base, on top of the corrections before it.
    pub offset: i64,
    /// Whether only the PTS is wrong, and the DTS is right.
    pub pts_only: bool,
}

/// Codecs that cannot be decoded, by FFmpeg's name or the container's tag; of a kind of which nothing else can be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UndecodableCodecs {
    /// Of video.
    pub video: Option<String>,
    /// Of audio.
    pub audio: Option<String>,
}

/// A clip of an input: all times of its source count from where the clip begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clip {
    /// Where reading begins, in seconds of the file's own time stamps: far enough before the clip that decoders have
    /// what its first frames refer to.
    pub seek_to: f64,
}

/// Containers in which FFmpeg seeks exactly: by an index, or by the time stamps of clusters.
const SEEKABLE: [&str; 2] = ["mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"];

/// Pre-roll: seconds that are decoded before a clip, because a decoder may need some frames before the first one that
/// is right.
const PREROLL_SECS: f64 = 5.0;

impl Source {
    /// The clip that a task asks for. Its facts stay those of the whole input.
    ///
    /// # Errors
    /// [`ErrorCode::NothingToTranscode`] when the clip begins at or after the end.
    pub fn clip(mut self, options: &ExtraOptions) -> Result<Self, MediaError> {
        if options.start.is_none() && options.duration.is_none() {
            return Ok(self);
        }
        let start = options.start.unwrap_or(0.0);
        if start >= self.duration {
            let detail = format!(
                "extra_options.start is {start} s, and the duration of the input {} s",
                self.duration
            );
            return Err(MediaError::new(ErrorCode::NothingToTranscode, detail));
        }
        let rest = self.duration - start;
        self.duration = options.duration.map_or(rest, |asked| asked.min(rest));
        let (shifted, end) = (|time: f64| (time - start).max(0.0), self.duration);
        self.video = self.video.filter(|video| video.end > start).map(|video| VideoStream {
            start: shifted(video.start),
            end: shifted(video.end).min(end),
            ..video
        });
        self.audios.retain(|audio| audio.end > start && audio.start < start + end);
        for audio in &mut self.audios {
            (audio.start, audio.end) = (shifted(audio.start), shifted(audio.end).min(end));
        }
        self.start_offset += start;
        // corrections count the packets of a stream from its first one
        let is_seekable = SEEKABLE.contains(&self.container.as_str()) && self.corrections.is_empty();
        let seek_to = if is_seekable { (self.start_offset - PREROLL_SECS).max(0.0) } else { 0.0 };
        self.clip = Some(Clip { seek_to });
        self.has_chapters = false;
        Ok(self)
    }
}

/// How video has to be turned to be shown upright, by the display matrix: a mirror, then quarter turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orientation {
    /// Clockwise quarter turns, 0 to 3.
    pub quarters: u8,
    /// Whether it is mirrored left to right before it is turned.
    pub mirrored: bool,
}

/// The mastering display of HDR video (SMPTE ST 2086), in the units of the codecs' SEI messages and metadata OBUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MasteringDisplay {
    /// x and y of red, green, blue and white, in 0.00002.
    pub chromaticities: [(u32, u32); 4],
    /// The brightest and the darkest, in 0.0001 cd/m².
    pub luminance: (u32, u32),
}

/// Static HDR metadata: players adapt HDR to their screens by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HdrMetadata {
    /// The display that it was mastered on.
    pub mastering_display: Option<MasteringDisplay>,
    /// `MaxCLL`, the brightest pixel, and `MaxFALL`, the brightest average of a frame (CTA-861.3), in cd/m².
    pub content_light: Option<(u32, u32)>,
}

/// Whether frames are whole or made of two fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldOrder {
    /// All lines of a frame are of one time.
    #[default]
    Progressive,
    /// Two fields, by flag or by detection.
    Interlaced,
    /// Each coded picture is one field, and decoders give fields: two of them are woven into a frame.
    SeparateFields,
}

/// The video of an input.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoStream {
    /// The stream's index in the file.
    pub index: u32,
    /// Such as `h264`.
    pub codec: String,
    /// FFmpeg's name, such as `High`; empty when unknown.
    pub profile: String,
    /// Coded pixels across, before orientation and sample aspect ratio.
    pub width: u32,
    /// Coded pixels down.
    pub height: u32,
    /// Sample aspect ratio; 1 when unknown.
    pub sample_aspect: Rational,
    /// How it is shown upright.
    pub orientation: Orientation,
    /// The nearest constant frame rate.
    pub frame_rate: Rational,
    /// Whether the durations of frames vary.
    pub is_variable_frame_rate: bool,
    /// Whether it is interlaced.
    pub field_order: FieldOrder,
    /// Whether the upper lines are the earlier field; means nothing when progressive.
    pub top_field_first: bool,
    /// Such as `yuv420p10le`.
    pub pixel_format: String,
    /// FFmpeg's names; empty when untagged.
    pub color_range: String,
    /// FFmpeg's name, such as `bt709`; empty when untagged.
    pub color_space: String,
    /// FFmpeg's name, such as `smpte2084`; empty when untagged.
    pub color_transfer: String,
    /// FFmpeg's name, such as `bt2020`; empty when untagged.
    pub color_primaries: String,
    /// Its HDR metadata, where it is HDR.
    pub hdr_metadata: HdrMetadata,
    /// Seconds from the start of the earliest chosen stream to the start of this one.
    pub start: f64,
    /// Seconds from the start of the earliest chosen stream to the end of the last frame.
    pub end: f64,
}

impl VideoStream {
    /// Width and height as shown: square pixels, upright; not yet even.
    pub fn display_size(&self) -> (f64, f64) {
        let width = f64::from(self.width) * self.sample_aspect.as_f64();
        let height = f64::from(self.height);
        if self.orientation.quarters % 2 == 1 { (height, width) } else { (width, height) }
    }

    /// Whether it is HDR by its transfer function (PQ or HLG).
    pub fn is_hdr(&self) -> bool {
        matches!(self.color_transfer.as_str(), "smpte2084" | "arib-std-b67")
    }
}

/// One audio stream of an input.
#[derive(Clone, Debug, PartialEq)]
pub struct AudioStream {
    /// The stream's index in the file.
    pub index: u32,
    /// Such as `aac`.
    pub codec: String,
    /// FFmpeg's name, such as `LC`; empty when unknown.
    pub profile: String,
    /// Channels.
    pub channels: u32,
    /// FFmpeg's name, such as `5.1(side)`; empty when unknown.
    pub layout: String,
    /// Hz.
    pub sample_rate: u32,
    /// ISO 639-2, such as `eng`; empty when unknown or `und`.
    pub language: String,
    /// The track's title; may be empty.
    pub title: String,
    /// Seconds from the start of the earliest chosen stream to the start of this one.
    pub start: f64,
    /// Seconds from the start of the earliest chosen stream to the end of this one.
    pub end: f64,
}
