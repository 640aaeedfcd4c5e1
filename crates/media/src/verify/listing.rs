//! What an output says of itself: its tracks, their segments, and what playlists or the manifest claim of
//! them.

use std::path::{Path, PathBuf};

use model::{ErrorCode, Format, VideoCodec};

use crate::{
    error::{MediaError, damaged_copy},
    format::mp4::audio_entry::AudioParams,
    plan::Plan,
    work_folder::{NotPlain, WorkFolder},
};

/// The container of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TrackContainer {
    /// MPEG transport stream.
    Ts,
    /// Fragmented MP4.
    FragmentedMp4,
    /// One MP4 file.
    Mp4,
    /// One FLV file.
    Flv,
}

impl TrackContainer {
    /// FFmpeg's demuxer.
    pub(super) const fn demuxer(self) -> &'static str {
        match self {
            Self::Ts => "mpegts",
            Self::FragmentedMp4 | Self::Mp4 => "mp4",
            Self::Flv => "flv",
        }
    }

    /// Seconds by which rounding to the timescale may move a time stamp.
    pub(super) const fn rounding_secs(self) -> f64 {
        match self {
            // one unit for the first time stamp, from which the others are counted, and one for theirs
            Self::Ts => 2.0 / 90_000.0,
            Self::Flv => 0.001,
            Self::FragmentedMp4 | Self::Mp4 => 0.000_05,
        }
    }
}

/// One of the streams that were planned, by its position in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamRef {
    /// A rendition.
    Video(usize),
    /// An audio stream.
    Audio(usize),
}

impl StreamRef {
    /// Whether it is a copy of the source's own packets.
    pub(super) fn is_copied(self, plan: &Plan) -> bool {
        match self {
            Self::Video(number) => plan.videos[number].copied().is_some(),
            Self::Audio(number) => plan.audios[number].is_copied(),
        }
    }

    /// Its kind, as FFmpeg and the customer call it.
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::Video(_) => "video",
            Self::Audio(_) => "audio",
        }
    }
}

/// Everything that is listed.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    /// Of what kind the list is.
    pub format: Format,
    /// Renditions, then audio; a single file is one track with all streams.
    pub tracks: Vec<Track>,
    /// Seconds of the whole presentation, where that is listed.
    pub duration: Option<f64>,
    /// `minBufferTime` of a manifest: the seconds that a player buffers first, for which bandwidths hold.
    pub min_buffer_time: Option<f64>,
    /// The playlists or the manifest themselves; none of a single file.
    pub manifest_files: Vec<PathBuf>,
}

impl Listing {
    /// A playlist and a manifest of one output name the same files in the same order.
    pub(super) fn check_same_files(&self, other: &Self) -> Result<(), MediaError> {
        let is_same = |a: &Track, b: &Track| a.planned == b.planned && a.files().eq(b.files());
        let mut pairs = self.tracks.iter().zip(&other.tracks);
        if self.tracks.len() == other.tracks.len() && pairs.all(|(a, b)| is_same(a, b)) {
            return Ok(());
        }
        Err(wrong_output("the playlists and the manifest do not name the same files"))
    }
}

/// Segments that follow each other, or one file.
#[derive(Clone, Debug)]
pub(super) struct Track {
    /// Its name in paths.
    pub name: String,
    /// What is in it, in the order of its streams.
    pub planned: Vec<StreamRef>,
    /// What its files are.
    pub container: TrackContainer,
    /// The initialization segment.
    pub init: Option<MediaFile>,
    /// In order; a single file is one segment.
    pub segments: Vec<Segment>,
    /// What is claimed of it.
    pub claims: Claims,
    /// Its I-frames, where a playlist lists them; else empty.
    pub i_frames: Vec<IFrameRange>,
}

impl Track {
    /// The file of a track that is one file; none of segments.
    pub(super) fn single_file(&self) -> Option<&Path> {
        let is_file = matches!(self.container, TrackContainer::Mp4 | TrackContainer::Flv);
        let first = if is_file { self.segments.first() } else { None };
        first.map(|segment| segment.file.path.as_path())
    }

    /// The initialization segment and all segments, in the order of their bytes.
    pub(super) fn files(&self) -> impl Iterator<Item = &MediaFile> {
        self.init.iter().chain(self.segments.iter().map(|segment| &segment.file))
    }
}

/// A file of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MediaFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its size; never 0.
    pub bytes: u64,
}

impl MediaFile {
    /// Finds a file below `dir` by a relative URI without escapes; one that leads out of it is refused.
    pub(super) fn find(dir: &WorkFolder, uri: &str) -> Result<Self, MediaError> {
        if uri.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(wrong_output(format!("`{uri}` is not a path of the output")));
        }
        match dir.bytes_of(uri) {
            Ok(0) => Err(wrong_output(format!("`{uri}` is listed and is empty"))),
            Ok(bytes) => Ok(Self { path: dir.path().join(uri), bytes }),
            Err(error) if NotPlain::is_cause_of(&error) => {
                Err(wrong_output(format!("`{uri}` is listed and is no file")))
            }
            Err(_) => Err(wrong_output(format!("`{uri}` is listed and is not there"))),
        }
    }
}

/// A segment as it is listed.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// The file.
    pub file: MediaFile,
    /// Its duration in seconds; none for a single file, of which nothing is claimed.
    pub duration: Option<f64>,
    /// Seconds from the start of the presentation, where that is listed.
    pub start: Option<f64>,
}

/// An I-frame as a playlist lists it: a range of bytes in a segment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct IFrameRange {
    /// The segment's file.
    pub path: PathBuf,
    /// The first byte.
    pub offset: u64,
    /// Bytes.
    pub bytes: u64,
    /// Seconds for which it is shown.
    pub duration: f64,
}

/// What a playlist or manifest claims of a track; nothing is claimed of single files.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Claims {
    /// RFC 6381, such as `avc1.64001e`.
    pub codecs: Option<String>,
    /// Pixels.
    pub size: Option<(u64, u64)>,
    /// Frames a second.
    pub frame_rate: Option<f64>,
    /// Peak bit/s of what is played when this is chosen.
    pub bandwidth: Option<f64>,
    /// Average bit/s of what is played when this is chosen.
    pub average_bandwidth: Option<f64>,
    /// Channels.
    pub channels: Option<u64>,
    /// Hz.
    pub sample_rate: Option<u64>,
    /// The target duration: whole seconds that no segment is longer than.
    pub target_duration: Option<f64>,
    /// `PQ`, `HLG` or `SDR`; absent for the latter.
    pub video_range: Option<String>,
    /// Code points of the matrix, the transfer function and the primaries (ISO/IEC 23091-2, 8).
    pub colour: [Option<u32>; 3],
    /// RFC 5646, such as `en`; absent where it is not known.
    pub language: Option<String>,
    /// Units a second of its segment timeline.
    pub timescale: Option<u64>,
}

/// What a track of segments should hold.
#[derive(Clone, Copy, Debug)]
pub(super) enum ExpectedTrack {
    /// A rendition.
    Video(VideoCodec),
    /// Audio, as a decoder is told of it.
    Audio(AudioParams),
}

/// A failure of the output, for which the customer's input is not to blame.
pub(super) fn wrong_output(detail: impl Into<String>) -> MediaError {
    MediaError::new(ErrorCode::EncodingFailed, detail)
}

/// What cannot be read or decoded is a failed output; of a copy, the input is to blame, whose packets it
/// has.
pub(super) fn damaged_output(plan: &Plan, track: &Track, verb: &str, log: &str) -> MediaError {
    if track.planned.iter().any(|planned| planned.is_copied(plan)) {
        return damaged_copy(log);
    }
    wrong_output(format!("`{}` cannot be {verb} without errors", track.name)).with_log(log)
}
