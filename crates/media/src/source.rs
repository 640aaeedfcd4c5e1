//! What came in: the one description of an input that the planner reads.
//!
//! Everything here is what will be shown and heard, already judged: one picture or none (never cover
//! art), the sound that decodes, a duration that is believed.

use model::{ErrorCode, ExtraOptions, Rational, SourceFacts};

use crate::error::MediaError;

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
    pub start_offset: f64,
    /// Whether an index in the file vouches for the duration (MP4 with `moov`, AVI); a mere hint
    /// otherwise. What ends early by more than the larger of 1 s and 2 % of an indexed duration is
    /// truncated.
    pub duration_is_indexed: bool,
    /// The best real picture.
    pub video: Option<VideoStream>,
    /// The sound that is taken for single-track outputs, first; then all others that decode.
    pub audios: Vec<AudioStream>,
    /// What it has and nobody here can decode.
    pub undecodable: UndecodableCodecs,
    /// The container's title; may be empty.
    pub title: String,
    /// Whether it is divided into chapters.
    pub has_chapters: bool,
    /// What puts its time stamps right, where others contradict them; of healthy files there are none.
    pub corrections: Vec<TimestampCorrection>,
    /// The piece of it that is taken; none: all of it.
    pub clip: Option<Clip>,
    /// Bit rates and names as the customer sees them.
    pub facts: SourceFacts,
}

/// How far the time stamps of a stream are ahead of what is true, from one of its packets on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampCorrection {
    /// The stream's index in the file.
    pub stream: u32,
    /// The packet's number among those of its stream, from 0.
    pub packet: u64,
    /// Ticks of the stream's time base, more than before it.
    pub offset: i64,
    /// Whether that is so only of when a packet is shown, not of when it is decoded.
    pub pts_only: bool,
}

/// What cannot be decoded where nothing else of its kind can be: its codec, or how the file names that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UndecodableCodecs {
    /// Of the picture.
    pub video: Option<String>,
    /// Of the sound.
    pub audio: Option<String>,
}

/// A piece of an input: all times of its source count from where it begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clip {
    /// Where reading begins, in seconds of the file's own clock: far enough before the piece that what
    /// is seen and heard at its start is decoded.
    pub seek_to: f64,
}

/// Containers that lead to any time without a guess: by an index, or by time stamps at every step.
const SEEKABLE: [&str; 2] = ["mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"];

/// Seconds that are decoded before a piece: a decoder may need some frames before the first one that
/// is right.
const RUN_UP: f64 = 5.0;

impl Source {
    /// The piece of it that a task wishes for. Its facts stay those of the whole input.
    ///
    /// # Errors
    /// [`ErrorCode::NothingToTranscode`] when the piece begins where nothing is any more.
    pub fn clip(mut self, wishes: &ExtraOptions) -> Result<Self, MediaError> {
        if wishes.start.is_none() && wishes.duration.is_none() {
            return Ok(self);
        }
        let start = wishes.start.unwrap_or(0.0);
        if start >= self.duration {
            let detail = format!("extra_options.start is {start} s, and the input lasts {} s", self.duration);
            return Err(MediaError::new(ErrorCode::NothingToTranscode, detail));
        }
        let left = self.duration - start;
        self.duration = wishes.duration.map_or(left, |wanted| wanted.min(left));
        let (shifted, end) = (|time: f64| (time - start).max(0.0), self.duration);
        self.video = self.video.filter(|picture| picture.end > start).map(|picture| VideoStream {
            start: shifted(picture.start),
            end: shifted(picture.end).min(end),
            ..picture
        });
        self.audios.retain(|sound| sound.end > start && sound.start < start + end);
        for sound in &mut self.audios {
            (sound.start, sound.end) = (shifted(sound.start), shifted(sound.end).min(end));
        }
        self.start_offset += start;
        // corrections go by the numbers of packets
        let seekable = SEEKABLE.contains(&self.container.as_str()) && self.corrections.is_empty();
        let seek_to = if seekable { (self.start_offset - RUN_UP).max(0.0) } else { 0.0 };
        self.clip = Some(Clip { seek_to });
        self.has_chapters = false;
        Ok(self)
    }
}

/// A quarter-turn clockwise that shows the picture upright, and a mirror before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orientation {
    /// Clockwise quarter turns, 0 to 3.
    pub quarters: u8,
    /// Whether the picture is mirrored left to right before it is turned.
    pub mirrored: bool,
}

/// The display that an HDR picture was made on (SMPTE ST 2086), in the units of the codecs' messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MasteringDisplay {
    /// x and y of red, green, blue and white, in 0.00002.
    pub chromaticities: [(u32, u32); 4],
    /// The brightest and the darkest, in 0.0001 cd/m².
    pub luminance: (u32, u32),
}

/// What is known of the light of an HDR picture; players adapt it to their screens by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HdrMetadata {
    /// The display it was made on.
    pub mastering_display: Option<MasteringDisplay>,
    /// The brightest pixel and the brightest frame on average (CTA-861.3), in cd/m².
    pub content_light: Option<(u32, u32)>,
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
pub struct VideoStream {
    /// The stream's index in the file.
    pub index: u32,
    /// Such as `h264`.
    pub codec: String,
    /// FFmpeg's name, such as `High`; empty when unknown.
    pub profile: String,
    /// Coded pixels across, before turning and before square pixels.
    pub width: u32,
    /// Coded pixels down.
    pub height: u32,
    /// Sample aspect ratio; 1 when unknown.
    pub sample_aspect: Rational,
    /// What shows it upright.
    pub orientation: Orientation,
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
    /// What is known of its light, where it is HDR.
    pub hdr_metadata: HdrMetadata,
    /// Seconds from the start of the earliest chosen stream to the picture's.
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

/// One sound track of an input.
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
    /// Seconds from the start of the earliest chosen stream to the sound's.
    pub start: f64,
    /// Seconds from the start of the earliest chosen stream to the sound's end.
    pub end: f64,
}
