//! What an output says of itself: its tracks, their segments, and what playlists or the manifest
//! claim of them.

use std::path::{Path, PathBuf};

use model::{ErrorCode, Format};

use crate::{error::MediaError, plan::Plan};

/// How a track's bytes are wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrapping {
    /// MPEG transport stream.
    Ts,
    /// Fragmented MP4.
    Fragments,
    /// One MP4 file.
    Mp4,
    /// One FLV file.
    Flv,
}

impl Wrapping {
    /// FFmpeg's demuxer.
    pub(super) const fn demuxer(self) -> &'static str {
        match self {
            Self::Ts => "mpegts",
            Self::Fragments | Self::Mp4 => "mp4",
            Self::Flv => "flv",
        }
    }

    /// Seconds that its clock may be off by rounding.
    pub(super) const fn tick(self) -> f64 {
        match self {
            // a tick for the first time stamp, from which the others are counted, and one for theirs
            Self::Ts => 2.0 / 90_000.0,
            Self::Flv => 0.001,
            Self::Fragments | Self::Mp4 => 0.000_05,
        }
    }
}

/// One of the streams that were planned, by its place in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Planned {
    /// A rendition.
    Video(usize),
    /// A sound track.
    Audio(usize),
}

impl Planned {
    /// Whether it is a copy of the source's own packets.
    pub(super) fn is_copied(self, plan: &Plan) -> bool {
        match self {
            Self::Video(number) => plan.videos[number].copied().is_some(),
            Self::Audio(number) => plan.audios[number].is_copied(),
        }
    }

    /// In the customer's words.
    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::Video(_) => "picture",
            Self::Audio(_) => "sound",
        }
    }
}

/// Everything that is listed.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    /// Of what kind the list is.
    pub format: Format,
    /// Renditions and sounds; a single file is one track with both.
    pub tracks: Vec<Track>,
    /// Seconds of the whole presentation, where that is listed.
    pub seconds: Option<f64>,
    /// Seconds that a player buffers before it begins, for which bandwidths hold, where that is listed.
    pub buffer: Option<f64>,
    /// The files that list: playlists or the manifest; none where a file is all there is.
    pub lists: Vec<PathBuf>,
}

impl Listing {
    /// Two lists of one output name the same files in the same order.
    pub(super) fn has_the_files_of(&self, other: &Self) -> Result<(), MediaError> {
        let same = |a: &Track, b: &Track| a.planned == b.planned && a.pieces().eq(b.pieces());
        let tracks = || self.tracks.iter().zip(&other.tracks);
        if self.tracks.len() == other.tracks.len() && tracks().all(|(a, b)| same(a, b)) {
            return Ok(());
        }
        Err(wrong("the playlists and the manifest do not name the same files"))
    }
}

/// Segments that follow each other, or one file.
#[derive(Clone, Debug)]
pub(super) struct Track {
    /// Its name in paths.
    pub name: String,
    /// What is in it, in the order of its streams.
    pub planned: Vec<Planned>,
    /// How it is wrapped.
    pub wrapping: Wrapping,
    /// The initialization segment.
    pub init: Option<Piece>,
    /// In order; a single file is one segment.
    pub segments: Vec<Segment>,
    /// What is claimed of it.
    pub claims: Claims,
    /// Where a player finds its pictures that stand alone; empty where nothing of the kind is listed.
    pub i_frames: Vec<Range>,
}

impl Track {
    /// The one file that has to be sought in; none for segments.
    pub(super) fn file(&self) -> Option<&Path> {
        let is_file = matches!(self.wrapping, Wrapping::Mp4 | Wrapping::Flv);
        self.segments.first().filter(|_| is_file).map(|segment| segment.piece.path.as_path())
    }

    /// The initialization segment and all segments, as bytes follow each other.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.init.iter().chain(self.segments.iter().map(|segment| &segment.piece))
    }
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where.
    pub path: PathBuf,
    /// Bytes; never 0.
    pub bytes: u64,
}

impl Piece {
    /// Finds a file below `dir`, by a URI of ours: no scheme, nothing escaped, no way out.
    pub(super) fn find(dir: &Path, uri: &str) -> Result<Self, MediaError> {
        let plain = |part: &str| !matches!(part, "" | "." | "..");
        let path = dir.join(uri);
        match path.metadata() {
            _ if !uri.split('/').all(plain) => Err(wrong(format!("`{uri}` is not a path of the output"))),
            Ok(meta) if !meta.is_file() => Err(wrong(format!("`{uri}` is listed and is no file"))),
            Ok(meta) if meta.len() == 0 => Err(wrong(format!("`{uri}` is listed and is empty"))),
            Ok(meta) => Ok(Self { path, bytes: meta.len() }),
            Err(_) => Err(wrong(format!("`{uri}` is listed and is not there"))),
        }
    }
}

/// A segment as it is listed.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// The file.
    pub piece: Piece,
    /// Seconds; none for a single file, of which nothing is claimed.
    pub seconds: Option<f64>,
    /// Seconds from the start of the presentation, where that is listed.
    pub start: Option<f64>,
}

/// A range of bytes in a segment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Range {
    /// The segment's file.
    pub path: PathBuf,
    /// The first byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// Seconds that it is shown.
    pub seconds: f64,
}

/// What a playlist or manifest claims of a track; nothing is claimed of single files.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Claims {
    /// RFC 6381, such as `avc1.64001e`.
    pub codecs: Option<String>,
    /// Pixels.
    pub size: Option<(u64, u64)>,
    /// Frames a second.
    pub rate: Option<f64>,
    /// bit/s: peak and average of what is played when this is chosen.
    pub bandwidth: Option<f64>,
    /// bit/s.
    pub average: Option<f64>,
    /// Channels.
    pub channels: Option<u64>,
    /// Hz.
    pub sample_rate: Option<u64>,
    /// Whole seconds that no segment lasts longer than.
    pub target: Option<f64>,
    /// `PQ`, `HLG` or `SDR`; absent for the latter.
    pub range: Option<String>,
    /// Code points of the matrix, the transfer and the primaries (ISO/IEC 23091-2, 8), where they are said.
    pub colour: [Option<u32>; 3],
    /// RFC 5646, such as `en`; absent where it is not known.
    pub language: Option<String>,
    /// Ticks a second of its timeline.
    pub timescale: Option<u64>,
}

/// What comes out wrong is never the customer's fault.
pub(super) fn wrong(detail: impl Into<String>) -> MediaError {
    MediaError::new(ErrorCode::EncodingFailed, detail)
}
