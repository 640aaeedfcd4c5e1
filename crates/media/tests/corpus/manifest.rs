//! The corpus: its files, what its manifest expects of each, and where we have decided otherwise.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use model::ErrorCode;
use serde::Deserialize;

/// What the tests read of the manifest.
#[derive(Deserialize)]
struct Manifest {
    files: Vec<Entry>,
}

/// One file.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Entry {
    pub(crate) name: String,
    path: String,
    expected: String,
    #[serde(default)]
    reason: String,
    duration: Option<f64>,
    #[serde(default)]
    video: Vec<Video>,
    #[serde(default)]
    audio: Vec<serde_json::Value>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    frame_gap_s: Option<Gap>,
    #[serde(skip)]
    otherwise: Otherwise,
    #[serde(skip)]
    pub(crate) file: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
struct Video {
    width: Option<u32>,
    height: Option<u32>,
    sar: Option<String>,
    rotation: Option<f64>,
    #[serde(default)]
    transfer: String,
    decoded_frames: Option<u64>,
    #[serde(default)]
    attached_pic: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Gap {
    min: f64,
    max: f64,
}

/// What of an entry does not hold for us. Each has its reason in the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Otherwise {
    /// Why; for readers.
    #[serde(rename = "because")]
    _because: String,
    expected: Option<String>,
    duration: Option<f64>,
    /// Width and height as displayed.
    display_size: Option<(f64, f64)>,
    frames: Option<u64>,
    audio: Option<bool>,
    /// Whether its frames cannot be compared with FFmpeg's own decoding.
    not_comparable: bool,
}

/// What is expected of a file.
pub(crate) enum Expected {
    /// One of these codes.
    Refused(Vec<ErrorCode>),
    /// An output.
    Transcoded(Facts),
}

/// What is known of an output.
pub(crate) struct Facts {
    /// As displayed: upright, in square pixels; none without video.
    pub(crate) display_size: Option<(f64, f64)>,
    pub(crate) duration: Option<f64>,
    /// Frames of a source at a constant rate.
    pub(crate) frames: Option<u64>,
    pub(crate) has_audio: bool,
    pub(crate) is_silent: bool,
    pub(crate) is_hdr: bool,
    /// Whether its frames cannot be compared with FFmpeg's own decoding.
    pub(crate) not_comparable: bool,
}

/// Seconds by which durations may differ: an audio frame at either end, and one of the video.
pub(crate) const DURATION_TOLERANCE_SECS: f64 = 0.15;

/// All entries; none without the corpus.
pub(crate) fn entries() -> Vec<Entry> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = |name: &str, default: &str| {
        std::env::var_os(name).map_or_else(|| workspace.join(default), PathBuf::from)
    };
    let root = folder("BOREALIS_TEST_MEDIA", "../shared/media");
    let made = folder("BOREALIS_MADE_MEDIA", "target/made-media");
    let Ok(text) = std::fs::read(root.join("manifest.json")) else { return Vec::new() };
    let manifest: Manifest = serde_json::from_slice(&text).expect("a manifest");
    let mut otherwise: BTreeMap<String, Otherwise> =
        serde_json::from_str(include_str!("decided_otherwise.json")).expect("a list");
    let entries = manifest.files.into_iter().map(|mut entry| {
        entry.otherwise = otherwise.remove(&entry.name).unwrap_or_default();
        entry.file = match entry.path.strip_prefix("made/") {
            Some(name) => made.join(name),
            None => root.join(&entry.path),
        };
        entry
    });
    let entries = entries.collect();
    assert!(otherwise.is_empty(), "not in the manifest: {:?}", otherwise.keys());
    entries
}

impl Entry {
    /// A name that a terminal shows on one line.
    pub(crate) fn title(&self) -> String {
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let name: String = self.name.chars().map(plain).take(60).collect();
        name.trim().to_owned()
    }

    /// Whether it is worth a second format, to be cut into segments: every real clip, and whatever is
    /// odd in its time stamps, its shape or its tracks.
    pub(crate) fn is_odd(&self) -> bool {
        const ODD: &[&str] = &[
            "audio-only",
            "no-audio",
            "sync",
            "vfr",
            "audio-late-start",
            "audio-longer-than-video",
            "video-longer-than-audio",
            "negative-timestamps",
            "non-zero-start",
            "edit-list",
            "odd-dimensions",
            "several-audio-tracks",
            "29.97fps",
            "59.94fps",
            "hdr",
            "rotation",
        ];
        self.path.starts_with("real/") || self.has(ODD)
    }

    pub(crate) fn expected(&self) -> Expected {
        if self.otherwise.expected.as_ref().unwrap_or(&self.expected) == "transcode" {
            return Expected::Transcoded(self.facts());
        }
        Expected::Refused(match self.reason.as_str() {
            "forbidden_format" => vec![ErrorCode::InputForbidden],
            "too_large_or_undecodable" => vec![ErrorCode::InputOverLimit, ErrorCode::InvalidInput],
            "no_video_stream" => vec![ErrorCode::NothingToTranscode],
            _ => vec![ErrorCode::InvalidInput],
        })
    }

    fn facts(&self) -> Facts {
        let video = self.video();
        let frames = video.and_then(|video| video.decoded_frames).filter(|_| self.is_constant());
        Facts {
            display_size: self.otherwise.display_size.or_else(|| video.and_then(Video::display_size)),
            duration: self.otherwise.duration.or(self.duration),
            frames: self.otherwise.frames.or(frames),
            has_audio: self.otherwise.audio.unwrap_or(!self.audio.is_empty()),
            is_silent: self.has(&["silent-audio"]),
            is_hdr: video
                .is_some_and(|video| matches!(video.transfer.as_str(), "smpte2084" | "arib-std-b67")),
            not_comparable: self.otherwise.not_comparable,
        }
    }

    fn has(&self, tags: &[&str]) -> bool {
        self.tags.iter().any(|tag| tags.contains(&tag.as_str()))
    }

    /// The largest real video: not cover art, not a single frame beside a longer video.
    fn video(&self) -> Option<&Video> {
        let real = self.video.iter().filter(|video| !video.attached_pic && video.width > Some(0));
        let size = |video: &&Video| {
            (video.decoded_frames != Some(1), video.width.unwrap_or(0) * video.height.unwrap_or(0))
        };
        real.filter(|video| !(self.has(&["audio-only"]) || video.decoded_frames == Some(0))).max_by_key(size)
    }

    fn is_constant(&self) -> bool {
        self.frame_gap_s.is_some_and(|gap| gap.max - gap.min < 0.2 * gap.min)
    }
}

impl Video {
    fn display_size(&self) -> Option<(f64, f64)> {
        let (width, height) = (f64::from(self.width?), f64::from(self.height?));
        let sar = self.sar.as_deref().and_then(|sar| sar.split_once(':'));
        let sar = sar.and_then(|(a, b)| Some(a.parse::<f64>().ok()? / b.parse::<f64>().ok()?));
        let width = width * sar.filter(|sar| sar.is_finite() && *sar > 0.0).unwrap_or(1.0);
        let is_turned = self.rotation.is_some_and(|degrees| (degrees.abs() % 180.0 - 90.0).abs() < 1.0);
        Some(if is_turned { (height, width) } else { (width, height) })
    }
}
