//! What came in: the one description of an input that the planner reads.
//!
//! Everything here is what will be shown and heard, already judged: one picture or none (never cover
//! art), the sound that decodes, a duration that is believed.

use model::{Rational, SourceFacts};

/// An input that can be transcoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The demuxer that reads it, such as `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    /// Bytes.
    pub size: u64,
    /// Seconds, as believed.
    pub duration: f64,
    /// Seconds from the file's first time stamp to the first of the streams below: other programs and
    /// subtitles may begin earlier.
    pub lead: f64,
    /// Whether an index in the file vouches for the duration (MP4 with `moov`, AVI); a mere hint
    /// otherwise. What ends early by more than the larger of 1 s and 2 % of an indexed duration is
    /// truncated.
    pub duration_is_indexed: bool,
    /// The best real picture.
    pub picture: Option<Picture>,
    /// The sound that is taken for single-track outputs, first; then all others that decode.
    pub sounds: Vec<AudioStream>,
    /// The container's title; may be empty.
    pub title: String,
    /// Whether it is divided into chapters.
    pub has_chapters: bool,
    /// Bit rates and names as the customer sees them.
    pub facts: SourceFacts,
}

/// A quarter-turn clockwise that shows the picture upright, and a mirror before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Clockwise quarter turns, 0 to 3.
    pub quarters: u8,
    /// Whether the picture is mirrored left to right before it is turned.
    pub mirrored: bool,
}

/// How the lines of a frame were taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldOrder {
    /// All at once.
    #[default]
    Progressive,
    /// Two fields, by flag or by detection.
    Interlaced,
}

/// The picture of an input.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// The stream's index in the file.
    pub index: u32,
    /// Such as `h264`.
    pub codec: String,
    /// Coded pixels across, before turning and before square pixels.
    pub width: u32,
    /// Coded pixels down.
    pub height: u32,
    /// Sample aspect ratio; 1 when unknown.
    pub sample_aspect: Rational,
    /// What shows it upright.
    pub turn: Turn,
    /// The nearest real constant rate.
    pub rate: Rational,
    /// Whether the distances of frames vary.
    pub is_variable_rate: bool,
    /// How its lines were taken.
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
    /// Seconds from the start of the earliest chosen stream to the picture's.
    pub start: f64,
    /// Seconds from the start of the earliest chosen stream to the end of the last frame.
    pub end: f64,
}

impl Picture {
    /// Width and height as shown: square pixels, upright; not yet even.
    pub fn shown(&self) -> (f64, f64) {
        let width = f64::from(self.width) * self.sample_aspect.as_f64();
        let height = f64::from(self.height);
        if self.turn.quarters % 2 == 1 { (height, width) } else { (width, height) }
    }

    /// Whether it is HDR by its transfer function (PQ or HLG).
    pub fn is_hdr(&self) -> bool {
        matches!(self.color_transfer.as_str(), "smpte2084" | "arib-std-b67")
    }
}

/// One sound track of an input.
#[derive(Clone, Debug, PartialEq)]
pub struct AudioStream {
    /// The stream's index in the file.
    pub index: u32,
    /// Such as `aac`.
    pub codec: String,
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
    /// Seconds from the start of the earliest chosen stream to the sound's.
    pub start: f64,
    /// Seconds from the start of the earliest chosen stream to the sound's end.
    pub end: f64,
}
