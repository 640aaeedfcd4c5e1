//! A task: one input to be transcoded to one output, and its state.
//!
//! The state is an enum that carries its data; a transition takes a state and gives the next, or says why
//! it cannot. The API's status words are given by [`TaskState::status`] alone.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    BatchId, ErrorCode, Failure, FieldError, Format, Input, OutputPath, SegmentType, StorageId, TaskId,
    Template, TenantId, Timestamp,
    field::{check_range, word_enum},
};

word_enum! {
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
        /// it failed; `code` and `message` say why
        Failed = "failed",
        /// it was cancelled
        Cancelled = "cancelled",
    }
}

word_enum! {
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

/// 1 to 9; of the tasks of one tenant, higher goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Priority(u8);

impl Priority {
    /// The lowest.
    pub const LOWEST: u8 = 1;
    /// The highest.
    pub const HIGHEST: u8 = 9;

    /// A priority; 0 means the default.
    ///
    /// # Errors
    /// When it is over 9.
    pub fn new(value: u32) -> Result<Self, FieldError> {
        match u8::try_from(value) {
            Ok(0) => Ok(Self::default()),
            Ok(value @ Self::LOWEST..=Self::HIGHEST) => Ok(Self(value)),
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

/// Options beyond the template, for one task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ExtraOptions {
    /// HLS playlists that grow from the start of the encoding, so that the output can be played before it
    /// is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_playlist: Option<bool>,
    /// Where the clip begins, in seconds of the input; unset: at its start. At its end or after it, there
    /// is nothing to transcode (1104).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 12.5)]
    pub start: Option<f64>,
    /// The duration of the clip, in seconds, exact to a frame; unset: up to the end of the input, which is
    /// also the most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 30.0)]
    pub duration: Option<f64>,
}

/// The largest start and duration of a clip, in seconds; no input is longer.
const MAX_INPUT_SECS: f64 = 1e6;

impl ExtraOptions {
    /// Checks that all of it can be done with this template.
    ///
    /// # Errors
    /// The first option that cannot.
    pub fn check(&self, template: &Template) -> Result<(), FieldError> {
        check_range("extra_options.start", self.start, 0.0, MAX_INPUT_SECS)?;
        check_range("extra_options.duration", self.duration, 0.001, MAX_INPUT_SECS)?;
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
    /// The storage that the output goes to.
    pub storage_id: StorageId,
    /// Where the input comes from.
    pub input: Input,
    /// The key of the output's main object.
    pub output: OutputPath,
    /// Free text of the customer's, in every callback.
    #[serde(default)]
    pub custom_info: String,
    /// Options beyond the template.
    #[serde(default)]
    pub extra_options: ExtraOptions,
    /// Which tasks go first.
    #[serde(default)]
    pub priority: Priority,
}

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

/// How a task ended.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskEnd {
    /// The output is there and was checked.
    Succeeded(Box<OutputFacts>),
    /// It failed.
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

/// The state of a task.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskState {
    /// It waits for a worker.
    Pending {
        /// What became of its last run and when it is tried again, in a sentence; empty of one that never ran.
        waiting: String,
    },
    /// A worker has it.
    Working {
        /// What the worker is doing.
        stage: Stage,
        /// 0 to 100, never less than before.
        progress: u8,
        /// When this run started.
        started: Timestamp,
        /// What it waits for and why, in a sentence; empty when it does not wait.
        waiting: String,
    },
    /// It has ended.
    Ended {
        /// When the last run started; none when it never ran.
        started: Option<Timestamp>,
        /// When it ended.
        finished: Timestamp,
        /// How it ended.
        end: TaskEnd,
    },
}

/// A transition that the state of a task does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the task is {status}; {problem}")]
pub struct WrongState {
    status: TaskStatus,
    problem: &'static str,
}

impl TaskState {
    /// It waits for a worker for the first time.
    pub const fn pending() -> Self {
        Self::Pending { waiting: String::new() }
    }

    /// The status that the API answers.
    pub fn status(&self) -> TaskStatus {
        match self {
            Self::Pending { .. } => TaskStatus::Pending,
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
            Self::Pending { .. } => 0,
            Self::Working { progress, .. } => *progress,
            Self::Ended { end: TaskEnd::Succeeded(_), .. } => 100,
            Self::Ended { .. } => 0,
        }
    }

    /// What it or its worker waits for and why; empty when there is nothing to say.
    pub fn waiting(&self) -> &str {
        match self {
            Self::Pending { waiting } | Self::Working { waiting, .. } => waiting,
            Self::Ended { .. } => "",
        }
    }

    /// When the last run started.
    pub fn started(&self) -> Option<Timestamp> {
        match self {
            Self::Pending { .. } => None,
            Self::Working { started, .. } => Some(*started),
            Self::Ended { started, .. } => *started,
        }
    }

    /// When and how it ended.
    pub fn ended(&self) -> Option<(Timestamp, &TaskEnd)> {
        match self {
            Self::Ended { finished, end, .. } => Some((*finished, end)),
            _ => None,
        }
    }

    /// A worker starts it, for the first time, or again after its worker was lost.
    ///
    /// # Errors
    /// When it has ended.
    pub fn start(self, now: Timestamp) -> Result<Self, WrongState> {
        match self {
            Self::Pending { .. } | Self::Working { .. } => Ok(Self::Working {
                stage: Stage::Downloading,
                progress: 0,
                started: now,
                waiting: String::new(),
            }),
            ended @ Self::Ended { .. } => Err(ended.wrong("only an unfinished one can be started")),
        }
    }

    /// It ends.
    ///
    /// # Errors
    /// When it had ended before.
    pub fn end(self, end: TaskEnd, now: Timestamp) -> Result<Self, WrongState> {
        match self {
            Self::Pending { .. } | Self::Working { .. } => {
                Ok(Self::Ended { started: self.started(), finished: now, end })
            }
            ended @ Self::Ended { .. } => Err(ended.wrong("it has ended already")),
        }
    }

    /// It waits for a worker again: after a transient failure, or because its worker stops; `why` says it.
    ///
    /// # Errors
    /// When no worker has it.
    pub fn give_back(self, why: &str) -> Result<Self, WrongState> {
        match self {
            Self::Working { .. } => Ok(Self::Pending { waiting: why.to_owned() }),
            other => Err(other.wrong("only a running one can be given back")),
        }
    }

    /// It waits for a worker again after it ended, because a customer asked for it.
    ///
    /// # Errors
    /// When it has not ended.
    pub fn retry(self) -> Result<Self, WrongState> {
        match self {
            Self::Ended { .. } => Ok(Self::pending()),
            other => Err(other.wrong("only an ended one can be retried")),
        }
    }

    /// Whether it may be deleted.
    ///
    /// # Errors
    /// When it has not ended.
    pub fn check_deletable(&self) -> Result<(), WrongState> {
        match self {
            Self::Ended { .. } => Ok(()),
            other => Err(other.wrong("only an ended one can be deleted")),
        }
    }

    fn wrong(&self, problem: &'static str) -> WrongState {
        WrongState { status: self.status(), problem }
    }
}

/// A task as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its id.
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
    /// Its state.
    pub state: TaskState,
    /// What the probe found in the input, once it was probed.
    pub source: Option<SourceFacts>,
}

impl Task {
    /// Seconds from the start of the last run to its end: the time in the queue does not count.
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
        let working = TaskState::pending().start(NOW).expect("pending");
        let ended = working.end(TaskEnd::Cancelled, NOW).expect("working");
        assert_eq!(ended.status(), TaskStatus::Cancelled);
        let again = ended.clone().end(TaskEnd::Cancelled, NOW).expect_err("ended");
        assert_eq!(again.to_string(), "the task is cancelled; it has ended already");
        assert!(ended.clone().start(NOW).is_err());
        assert_eq!(ended.retry(), Ok(TaskState::pending()));
    }

    #[test]
    fn a_clip_lies_in_an_input() {
        let options = |start, duration| ExtraOptions { start, duration, ..ExtraOptions::default() };
        let (mp4, hls) = (template(Format::Mp4), template(Format::Hls));
        assert_eq!(options(Some(0.5), Some(0.04)).check(&mp4), Ok(()));
        assert_eq!(
            options(Some(-1.0), None).check(&mp4).expect_err("refused").to_string(),
            "extra_options.start: -1 is out of range; give 0 to 1000000"
        );
        assert_eq!(
            options(None, Some(-1.0)).check(&hls).expect_err("refused").field,
            "extra_options.duration"
        );
    }

    #[test]
    fn only_hls_has_playlists_that_grow() {
        let early = |value| ExtraOptions { early_playlist: Some(value), ..ExtraOptions::default() };
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
        for json in [r#"{"start": 1}"#, r#"{"duration": 1}"#, r#"{"early_playlist": true}"#] {
            let options: ExtraOptions = serde_json::from_str(json).expect("options");
            assert_eq!(options.check(&template(Format::Hls)), Ok(()), "{json}");
            let refused = options.check(&copied).expect_err("refused").to_string();
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
