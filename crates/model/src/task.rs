//! A task: one input to be made into one output, and what became of it.
//!
//! The state is an enum that carries its data; a transition takes a state and gives the next, or
//! says why not. The API's status words come out of it in [`TaskState::status`] alone.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    BatchId, ErrorCode, Failure, FieldError, Format, Input, OutputPath, SegmentType, StorageId, TaskId,
    Template, TenantId, Timestamp,
    field::{within, words},
};

words! {
    /// The status of a task, as it is answered.
    TaskStatus {
        /// it waits for a worker
        Pending = "pending",
        /// the input is being fetched
        Downloading = "downloading",
        /// it is being encoded
        Running = "running",
        /// the output is being stored
        Uploading = "uploading",
        /// the output is there and was checked
        Succeeded = "succeeded",
        /// it came to nothing; `code` and `message` say why
        Failed = "failed",
        /// it was cancelled
        Cancelled = "cancelled",
    }
}

words! {
    /// What a worker is doing for a task.
    Stage {
        /// the input is being fetched
        Downloading = "downloading",
        /// it is being encoded
        Running = "running",
        /// the output is being stored
        Uploading = "uploading",
    }
}

/// 1 to 9; higher goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Priority(u8);

impl Priority {
    /// A priority; 0 means the default.
    ///
    /// # Errors
    /// When it is over 9.
    pub fn new(value: u32) -> Result<Self, FieldError> {
        match u8::try_from(value) {
            Ok(0) => Ok(Self::default()),
            Ok(value @ 1..=9) => Ok(Self(value)),
            _ => Err(FieldError::new("priority", format!("{value} is out of range; give 1 to 9"))),
        }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self(5)
    }
}

/// Wishes beyond the template, for one task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ExtraOptions {
    /// HLS playlists that grow from the start, so that it can be played while it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_playlist: Option<bool>,
    /// Where to begin, in seconds of the input; unset: at its start. At its end or after it, there is
    /// nothing to transcode (1104).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 12.5)]
    pub start: Option<f64>,
    /// How much to take, in seconds, down to a frame; unset: all that is there, which is also the most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 30.0)]
    pub duration: Option<f64>,
}

/// Seconds; no input is longer.
const LONGEST_INPUT: f64 = 1e6;

impl ExtraOptions {
    /// Checks that all of it can be done with this template.
    ///
    /// # Errors
    /// The first option that cannot.
    pub fn check(&self, template: &Template) -> Result<(), FieldError> {
        within("extra_options.start", self.start, 0.0, LONGEST_INPUT)?;
        within("extra_options.duration", self.duration, 0.001, LONGEST_INPUT)?;
        let early = self.early_playlist == Some(true);
        let options = [
            ("start", self.start.is_some()),
            ("duration", self.duration.is_some()),
            ("early_playlist", early),
        ];
        if let Some((name, _)) = options.iter().find(|(_, set)| *set && template.copies()) {
            let problem = "cannot be had with `copy`; leave it unset, or use a template with codecs";
            return Err(FieldError::new(format!("extra_options.{name}"), problem));
        }
        match template.format {
            Format::Mp4 | Format::Flv | Format::Dash if early => Err(FieldError::new(
                "extra_options.early_playlist",
                format!("is for `hls`, and the template makes `{}`; leave it unset", template.format),
            )),
            _ => Ok(()),
        }
    }
}

/// What a task is asked to do. The template is a copy: later changes do not touch the task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// How to transcode.
    pub template: Template,
    /// Where the output goes and who is told.
    pub storage_id: StorageId,
    /// Where the input comes from.
    pub input: Input,
    /// The key of the output's main object.
    pub output: OutputPath,
    /// Handed back in every callback.
    #[serde(default)]
    pub custom_info: String,
    /// Wishes beyond the template.
    #[serde(default)]
    pub extra_options: ExtraOptions,
    /// What goes first.
    #[serde(default)]
    pub priority: Priority,
}

/// What the input turned out to be. Bit rates are bit/s, sizes bytes, the duration seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceFacts {
    /// Seconds.
    pub duration: f64,
    /// Bytes.
    pub size: u64,
    /// bit/s of the whole file.
    pub bitrate: f64,
    /// Such as `1920x1080`, as it is shown; empty without picture.
    pub resolution: String,
    /// Frames a second; 0 without picture.
    pub framerate: f64,
    /// bit/s; 0 when unknown.
    pub video_bitrate: f64,
    /// bit/s; 0 when unknown.
    pub audio_bitrate: f64,
    /// Such as `h264`; empty without picture.
    pub video_codec: String,
    /// Such as `aac`; empty without sound.
    pub audio_codec: String,
}

/// What came out, measured on the output itself. Bit rates are bit/s, sizes bytes.
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
    /// Of the top rendition; empty without picture.
    pub resolution: String,
    /// Frames a second of the top rendition; 0 without picture.
    pub framerate: f64,
    /// Such as `h264`; empty without picture.
    pub video_codec: String,
    /// Such as `aac`; empty without sound.
    pub audio_codec: String,
    /// Hz; 0 without sound.
    pub audio_samplerate: u32,
    /// The manifests that were made.
    pub groups: Vec<OutputGroup>,
}

words! {
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
        /// the first of the pictures taken out of the video: `thumb_00001.jpg`, beside all others
        Jpg = "jpg",
        /// a WebVTT storyboard over sheets of those pictures
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

/// One manifest, or one file, of an output; or what was taken out of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OutputGroup {
    /// What it is for: `thumbnails` and `storyboard` for pictures; empty for the output itself.
    pub custom_name: String,
    /// What it is.
    pub format: GroupFormat,
    /// What its segments are; empty for single files and pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seg_type: Option<SegmentType>,
    /// Seconds of a segment; 0 for single files and pictures.
    pub seg_time: u32,
    /// The URI of its main object.
    pub output: String,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskEnd {
    /// The output is there and was checked.
    Succeeded(Box<OutputFacts>),
    /// It came to nothing.
    Failed(Failure),
    /// It was cancelled.
    Cancelled,
}

impl TaskEnd {
    /// Why there is no output; none when there is one.
    pub fn failure(&self) -> Option<Failure> {
        match self {
            Self::Succeeded(_) => None,
            Self::Failed(failure) => Some(failure.clone()),
            Self::Cancelled => Some(Failure::new(ErrorCode::Cancelled, "")),
        }
    }
}

/// Where a task stands.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskState {
    /// It waits for a worker.
    Pending,
    /// A worker has it.
    Working {
        /// What the worker is doing.
        stage: Stage,
        /// 0 to 100, never less than before.
        progress: u8,
        /// When this run began.
        started: Timestamp,
        /// Whom it waits for and why, in a sentence; empty when it goes on.
        waiting: String,
    },
    /// It is over.
    Ended {
        /// When the last run began; none if none did.
        started: Option<Timestamp>,
        /// When it was over.
        finished: Timestamp,
        /// How.
        end: TaskEnd,
    },
}

/// A change that the state of a task does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the task is {is}; {wants}")]
pub struct WrongState {
    is: TaskStatus,
    wants: &'static str,
}

impl TaskState {
    /// The word that is answered.
    pub fn status(&self) -> TaskStatus {
        match self {
            Self::Pending => TaskStatus::Pending,
            Self::Working { stage: Stage::Downloading, .. } => TaskStatus::Downloading,
            Self::Working { stage: Stage::Running, .. } => TaskStatus::Running,
            Self::Working { stage: Stage::Uploading, .. } => TaskStatus::Uploading,
            Self::Ended { end: TaskEnd::Succeeded(_), .. } => TaskStatus::Succeeded,
            Self::Ended { end: TaskEnd::Failed(_), .. } => TaskStatus::Failed,
            Self::Ended { end: TaskEnd::Cancelled, .. } => TaskStatus::Cancelled,
        }
    }

    /// 0 to 100.
    pub fn progress(&self) -> u8 {
        match self {
            Self::Pending => 0,
            Self::Working { progress, .. } => *progress,
            Self::Ended { end: TaskEnd::Succeeded(_), .. } => 100,
            Self::Ended { .. } => 0,
        }
    }

    /// Whom a worker waits for and why; empty when it does not.
    pub fn waiting(&self) -> &str {
        match self {
            Self::Working { waiting, .. } => waiting,
            _ => "",
        }
    }

    /// When the last run began.
    pub fn started(&self) -> Option<Timestamp> {
        match self {
            Self::Pending => None,
            Self::Working { started, .. } => Some(*started),
            Self::Ended { started, .. } => *started,
        }
    }

    /// When it was over, and how.
    pub fn ended(&self) -> Option<(Timestamp, &TaskEnd)> {
        match self {
            Self::Ended { finished, end, .. } => Some((*finished, end)),
            _ => None,
        }
    }

    /// A worker takes it, for the first time or again after another was lost.
    ///
    /// # Errors
    /// When it is over.
    pub fn start(self, now: Timestamp) -> Result<Self, WrongState> {
        match self {
            Self::Pending | Self::Working { .. } => Ok(Self::Working {
                stage: Stage::Downloading,
                progress: 0,
                started: now,
                waiting: String::new(),
            }),
            ended @ Self::Ended { .. } => Err(ended.wrong("only an unfinished one can be started")),
        }
    }

    /// It is over.
    ///
    /// # Errors
    /// When it was over already.
    pub fn end(self, end: TaskEnd, now: Timestamp) -> Result<Self, WrongState> {
        match self {
            Self::Pending | Self::Working { .. } => {
                Ok(Self::Ended { started: self.started(), finished: now, end })
            }
            ended @ Self::Ended { .. } => Err(ended.wrong("it has ended already")),
        }
    }

    /// It waits again: after a failure that may pass, or because its worker stops.
    ///
    /// # Errors
    /// When no worker has it.
    pub fn give_back(self) -> Result<Self, WrongState> {
        match self {
            Self::Working { .. } => Ok(Self::Pending),
            other => Err(other.wrong("only a running one can be given back")),
        }
    }

    /// It runs again from the start, because someone asked for it.
    ///
    /// # Errors
    /// When it is not over.
    pub fn retry(self) -> Result<Self, WrongState> {
        match self {
            Self::Ended { .. } => Ok(Self::Pending),
            other => Err(other.wrong("only an ended one can be retried")),
        }
    }

    /// Its record goes.
    ///
    /// # Errors
    /// When it is not over.
    pub fn may_be_deleted(&self) -> Result<(), WrongState> {
        match self {
            Self::Ended { .. } => Ok(()),
            other => Err(other.wrong("only an ended one can be deleted")),
        }
    }

    fn wrong(&self, wants: &'static str) -> WrongState {
        WrongState { is: self.status(), wants }
    }
}

/// A task as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its identity.
    pub id: TaskId,
    /// Whom it belongs to.
    pub tenant: TenantId,
    /// The batch it was created with.
    pub batch_id: Option<BatchId>,
    /// What it is asked to do.
    pub spec: TaskSpec,
    /// The URI of the output's main object.
    pub output_uri: String,
    /// The region of its storage.
    pub region: String,
    /// When it was created.
    pub created: Timestamp,
    /// Where it stands.
    pub state: TaskState,
    /// What the input turned out to be, once it was looked at.
    pub source: Option<SourceFacts>,
}

impl Task {
    /// Seconds of work in the last run: waiting is not in it.
    pub fn spend_time(&self) -> Option<f64> {
        let (finished, _) = self.state.ended()?;
        Some(finished.since(self.state.started()?).as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1000);

    fn template(format: Format) -> Template {
        Template::new("t".parse().expect("a name"), format)
    }

    #[test]
    fn a_task_ends_once() {
        let working = TaskState::Pending.start(NOW).expect("pending");
        let ended = working.end(TaskEnd::Cancelled, NOW).expect("working");
        assert_eq!(ended.status(), TaskStatus::Cancelled);
        let again = ended.clone().end(TaskEnd::Cancelled, NOW).expect_err("ended");
        assert_eq!(again.to_string(), "the task is cancelled; it has ended already");
        assert!(ended.clone().start(NOW).is_err());
        assert_eq!(ended.retry(), Ok(TaskState::Pending));
    }

    #[test]
    fn a_piece_lies_in_an_input() {
        let wishes = |start, duration| ExtraOptions { start, duration, ..ExtraOptions::default() };
        let (mp4, hls) = (template(Format::Mp4), template(Format::Hls));
        assert_eq!(wishes(Some(0.5), Some(0.04)).check(&mp4), Ok(()));
        assert_eq!(
            wishes(Some(-1.0), None).check(&mp4).expect_err("refused").to_string(),
            "extra_options.start: -1 is out of range; give 0 to 1000000"
        );
        assert_eq!(
            wishes(None, Some(-1.0)).check(&hls).expect_err("refused").field,
            "extra_options.duration"
        );
    }

    #[test]
    fn only_hls_has_playlists_that_grow() {
        let early = |wish| ExtraOptions { early_playlist: Some(wish), ..ExtraOptions::default() };
        assert_eq!(early(true).check(&template(Format::Hls)), Ok(()));
        assert_eq!(early(false).check(&template(Format::Mp4)), Ok(()));
        assert_eq!(
            early(true).check(&template(Format::Dash)).expect_err("refused").to_string(),
            "extra_options.early_playlist: is for `hls`, and the template makes `dash`; leave it unset"
        );
    }

    #[test]
    fn what_is_copied_is_copied_whole() {
        let mut copied = template(Format::Hls);
        copied.acodec = Some(crate::AudioMode::Copy);
        for wish in [r#"{"start": 1}"#, r#"{"duration": 1}"#, r#"{"early_playlist": true}"#] {
            let wishes: ExtraOptions = serde_json::from_str(wish).expect("wishes");
            assert_eq!(wishes.check(&template(Format::Hls)), Ok(()), "{wish}");
            let refused = wishes.check(&copied).expect_err("refused").to_string();
            assert!(
                refused.ends_with("cannot be had with `copy`; leave it unset, or use a template with codecs"),
                "{refused}"
            );
        }
        assert_eq!(ExtraOptions::default().check(&copied), Ok(()));
    }

    #[test]
    fn priority_zero_is_the_default() {
        assert_eq!(Priority::new(0), Ok(Priority::default()));
        assert!(Priority::new(10).is_err());
    }
}
