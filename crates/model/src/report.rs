//! A task as the API and callbacks show it: every documented field under its documented name.
//!
//! `query_task`, `list_task` and the callback are all made from a [`TaskReport`], so that they never
//! disagree. What is not known yet is zero or empty; bit rates are bit/s, sizes bytes, durations seconds,
//! times Unix seconds.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Format, OutputFacts, OutputGroup, SourceFacts, StorageId, Task, TaskEnd, TaskId, TaskStatus,
    TemplateName, Timestamp,
};

/// A task, as it is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TaskReport {
    /// Its identity.
    #[schema(value_type = String, example = "20220420111542664667cccc3d179880")]
    pub task_id: TaskId,
    /// The input, as it was sent.
    pub input: String,
    /// The URI of the output's main object.
    pub output: String,
    /// The name of its template.
    #[schema(value_type = String)]
    pub template_name: TemplateName,
    /// Where the output goes.
    #[schema(value_type = String)]
    pub storage_id: StorageId,
    /// The region of its storage.
    pub region: String,
    /// When it was created.
    pub created_time: i64,
    /// When the last run started; 0 before.
    pub started_time: i64,
    /// When it ended; 0 before.
    pub finished_time: i64,
    /// Its status.
    pub status: TaskStatus,
    /// Seconds of the longest output stream.
    pub duration: f64,
    /// The `source_*` fields.
    #[serde(flatten)]
    pub source: SourceReport,
    /// The `output_*` fields.
    #[serde(flatten)]
    pub measured: OutputReport,
    /// `output_size / source_size`.
    pub ratio: f64,
    /// Seconds of work in the last run.
    pub spend_time: f64,
    /// The code of its failure; 0 without one.
    pub code: u32,
    /// 0 to 100.
    pub progress: u8,
    /// Why it failed; begins with the words of its code. Of an unfinished task that waits: for whom or what,
    /// and why; between two tries what happened, and when it is tried again.
    pub message: String,
    /// The format of the output.
    pub format: Format,
    /// How the output is encrypted; empty when it is not.
    pub encrypt_info: String,
    /// As it was given.
    pub custom_info: String,
    /// The manifests and files of the output.
    pub output_groups: Vec<OutputGroup>,
}

/// The `source_*` fields of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SourceReport {
    /// bit/s of the whole file.
    pub source_bitrate: f64,
    /// Bytes.
    pub source_size: u64,
    /// Such as `1920x1080`, as it is displayed; empty without video.
    pub source_resolution: String,
    /// Frames a second; 0 without video.
    pub source_framerate: f64,
    /// bit/s; 0 when unknown.
    pub source_video_bitrate: f64,
    /// bit/s; 0 when unknown.
    pub source_audio_bitrate: f64,
    /// Such as `h264`; empty without video.
    pub source_video_codec: String,
    /// Such as `aac`; empty without audio.
    pub source_audio_codec: String,
}

/// The `output_*` fields of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OutputReport {
    /// Bytes of all objects.
    pub output_size: u64,
    /// Of the top rendition; empty without video.
    pub output_resolution: String,
    /// Frames a second of the top rendition; 0 without video.
    pub output_framerate: f64,
    /// bit/s of the media.
    pub output_bitrate: f64,
    /// Bytes of the media alone, without playlists and manifests.
    pub output_media_size: u64,
    /// Such as `h264`; empty without video.
    pub output_video_codec: String,
    /// Such as `aac`; empty without audio.
    pub output_audio_codec: String,
    /// Hz; empty without audio.
    pub output_audio_samplerate: String,
}

impl TaskReport {
    /// The report of a task, whatever its state.
    pub fn of(task: &Task) -> Self {
        let end = task.state.ended().map(|(_, end)| end);
        let output = match end {
            Some(TaskEnd::Succeeded(facts)) => Some(facts.as_ref()),
            _ => None,
        };
        let failure = end.and_then(TaskEnd::failure);
        let seconds = |time: Option<Timestamp>| time.map_or(0, Timestamp::as_secs);
        Self {
            task_id: task.id.clone(),
            input: task.spec.input.as_str().to_owned(),
            output: task.output_uri.clone(),
            template_name: task.spec.template.template_name.clone(),
            storage_id: task.spec.storage_id.clone(),
            region: task.region.clone(),
            created_time: task.created.as_secs(),
            started_time: seconds(task.state.started()),
            finished_time: seconds(task.state.ended().map(|(finished, _)| finished)),
            status: task.state.status(),
            duration: output.map_or(0.0, |facts| facts.duration),
            source: task.source.as_ref().map(SourceReport::of).unwrap_or_default(),
            measured: output.map(OutputReport::of).unwrap_or_default(),
            ratio: ratio(output, task.source.as_ref()),
            spend_time: task.spend_time().unwrap_or(0.0),
            code: failure.as_ref().map_or(0, |failure| failure.code.number()),
            progress: task.state.progress(),
            message: failure.map_or_else(|| task.state.waiting().to_owned(), |failure| failure.to_string()),
            format: task.spec.template.format,
            encrypt_info: String::new(),
            custom_info: task.spec.custom_info.clone(),
            output_groups: output.map(|facts| facts.groups.clone()).unwrap_or_default(),
        }
    }
}

fn ratio(output: Option<&OutputFacts>, source: Option<&SourceFacts>) -> f64 {
    match (output, source) {
        (Some(output), Some(source)) if source.size > 0 => output.size as f64 / source.size as f64,
        _ => 0.0,
    }
}

impl SourceReport {
    fn of(facts: &SourceFacts) -> Self {
        Self {
            source_bitrate: facts.bitrate,
            source_size: facts.size,
            source_resolution: facts.resolution.clone(),
            source_framerate: facts.framerate,
            source_video_bitrate: facts.video_bitrate,
            source_audio_bitrate: facts.audio_bitrate,
            source_video_codec: facts.video_codec.clone(),
            source_audio_codec: facts.audio_codec.clone(),
        }
    }
}

impl OutputReport {
    fn of(facts: &OutputFacts) -> Self {
        Self {
            output_size: facts.size,
            output_resolution: facts.resolution.clone(),
            output_framerate: facts.framerate,
            output_bitrate: facts.bitrate,
            output_media_size: facts.media_size,
            output_video_codec: facts.video_codec.clone(),
            output_audio_codec: facts.audio_codec.clone(),
            output_audio_samplerate: match facts.audio_samplerate {
                0 => String::new(),
                rate => rate.to_string(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorCode, ExtraOptions, Failure, Priority, TaskSpec, TaskState, Template, TenantId};

    /// The names in the documentation of a task, in its order.
    const DOCUMENTED_FIELDS: &str = "task_id input output template_name storage_id region created_time started_time \
        finished_time status duration source_bitrate source_size source_resolution source_framerate \
        source_video_bitrate source_audio_bitrate source_video_codec source_audio_codec output_size \
        output_resolution output_framerate output_bitrate output_media_size ratio spend_time code progress \
        message output_video_codec output_audio_codec format output_audio_samplerate encrypt_info custom_info \
        output_groups";

    fn task(state: TaskState) -> Task {
        Task {
            id: "20220420111542664667cccc3d179880".parse().expect("an id"),
            tenant: TenantId::main(),
            batch_id: None,
            spec: TaskSpec {
                template: Template::new("mp4-720p".parse().expect("a name"), Format::Mp4),
                storage_id: "0123456789abcdef".parse().expect("an id"),
                input: "https://media.example/a.mov?sig=1".parse().expect("an input"),
                output: serde_json::from_str("\"videos/a.mp4\"").expect("a path"),
                custom_info: "order 7".to_owned(),
                extra_options: ExtraOptions::default(),
                priority: Priority::default(),
            },
            output_uri: "file://bkt/videos/a.mp4".to_owned(),
            region: String::new(),
            created: Timestamp::from_millis(1_000),
            state,
            source: Some(SourceFacts { size: 4_000, ..SourceFacts::default() }),
        }
    }

    fn ended(end: TaskEnd) -> TaskState {
        TaskState::Ended {
            started: Some(Timestamp::from_millis(2_000)),
            finished: Timestamp::from_millis(4_500),
            end,
        }
    }

    #[test]
    fn every_documented_field_is_there_in_every_state_and_no_other() {
        let output = OutputFacts { size: 1_000, audio_samplerate: 48_000, ..OutputFacts::default() };
        for state in
            [TaskState::pending(), ended(TaskEnd::Cancelled), ended(TaskEnd::Succeeded(Box::new(output)))]
        {
            let value = serde_json::to_value(TaskReport::of(&task(state))).expect("json");
            let mut names: Vec<&str> =
                value.as_object().expect("an object").keys().map(String::as_str).collect();
            let mut documented: Vec<&str> = DOCUMENTED_FIELDS.split_whitespace().collect();
            names.sort_unstable();
            documented.sort_unstable();
            assert_eq!(names, documented);
        }
    }

    #[test]
    fn a_success_has_its_figures() {
        let output =
            OutputFacts { size: 1_000, duration: 30.0, audio_samplerate: 48_000, ..OutputFacts::default() };
        let report = TaskReport::of(&task(ended(TaskEnd::Succeeded(Box::new(output)))));
        assert_eq!((report.ratio, report.spend_time, report.duration), (0.25, 2.5, 30.0));
        assert_eq!((report.code, report.progress, report.message.as_str()), (0, 100, ""));
        assert_eq!(report.measured.output_audio_samplerate, "48000");
        let text = serde_json::to_string(&report).expect("json");
        assert_eq!(serde_json::from_str::<TaskReport>(&text).expect("readable"), report);
    }

    #[test]
    fn a_failure_has_its_code_and_words() {
        let failure = Failure::new(ErrorCode::InvalidInput, "no moov box");
        let report = TaskReport::of(&task(ended(TaskEnd::Failed(failure))));
        assert_eq!((report.code, report.message.as_str()), (1003, "Invalid input file: no moov box"));
        assert_eq!((report.started_time, report.finished_time), (2, 4));
    }
}
