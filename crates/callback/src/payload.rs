//! The body of a callback, to the letter of the AuroraCloud API.
//!
//! A new field is a line in `SucceededTask` or `FailedTask`; figures come from the same `TaskReport` that
//! the API answers with. `custom_info` is there always; `input`, `output` and the figures only for a task
//! that succeeded; `error_code` and `error_msg` only for one that failed or was cancelled.

use model::{
    ErrorCode, Failure, Format, OutputGroup, OutputReport, SourceReport, Storage, Task, TaskEnd, TaskId,
    TaskReport, TaskStatus,
};
use serde::Serialize;

#[derive(Serialize)]
struct Payload<'a> {
    code: u32,
    msg: TaskStatus,
    callback_url: &'a str,
    data: Vec<EndedTask>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum EndedTask {
    Succeeded(Box<SucceededTask>),
    Failed(FailedTask),
}

#[derive(Serialize)]
struct SucceededTask {
    task_id: TaskId,
    input: String,
    output: String,
    format: Format,
    status: TaskStatus,
    duration: f64,
    spend_time: f64,
    #[serde(flatten)]
    source: SourceReport,
    #[serde(flatten)]
    measured: OutputReport,
    output_groups: Vec<OutputGroup>,
    custom_info: String,
}

#[derive(Serialize)]
struct FailedTask {
    task_id: TaskId,
    status: TaskStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    spend_time: Option<f64>,
    error_code: ErrorCode,
    error_msg: String,
    custom_info: String,
}

/// Composes the body that tells a storage's receiver how tasks ended; those that have not ended are left
/// out. `msg` is `succeeded` only when every one of them succeeded.
pub fn compose(storage: &Storage, tasks: &[Task]) -> Vec<u8> {
    let data: Vec<EndedTask> = tasks.iter().filter_map(ended_task).collect();
    let all_succeeded = data.iter().all(|task| matches!(task, EndedTask::Succeeded(_)));
    let payload = Payload {
        code: 0,
        msg: if all_succeeded { TaskStatus::Succeeded } else { TaskStatus::Failed },
        callback_url: &storage.notify,
        data,
    };
    serde_json::to_vec(&payload).expect("texts and numbers are always JSON")
}

fn ended_task(task: &Task) -> Option<EndedTask> {
    let (_, end) = task.state.ended()?;
    Some(match end {
        TaskEnd::Succeeded(_) => EndedTask::Succeeded(Box::new(succeeded(task))),
        TaskEnd::Failed(failure) => EndedTask::Failed(failed(task, failure)),
        // the API has two statuses here; the code tells a cancelled task from a failed one
        TaskEnd::Cancelled => EndedTask::Failed(failed(task, &Failure::new(ErrorCode::Cancelled, ""))),
    })
}

fn succeeded(task: &Task) -> SucceededTask {
    let report = TaskReport::of(task);
    SucceededTask {
        task_id: report.task_id,
        input: report.input,
        output: report.output,
        format: report.format,
        status: report.status,
        duration: report.duration,
        spend_time: report.spend_time,
        source: report.source,
        measured: report.measured,
        output_groups: report.output_groups,
        custom_info: report.custom_info,
    }
}

fn failed(task: &Task, failure: &Failure) -> FailedTask {
    FailedTask {
        task_id: task.id.clone(),
        status: TaskStatus::Failed,
        spend_time: task.spend_time(),
        error_code: failure.code,
        error_msg: failure.to_string(),
        custom_info: task.spec.custom_info.clone(),
    }
}

#[cfg(test)]
mod tests {
    use model::{
        ExtraOptions, GroupFormat, OutputFacts, Priority, Secret, SegmentType, SourceFacts, StorageType,
        TaskSpec, TaskState, Template, TenantId, Timestamp,
    };

    use super::*;

    fn storage() -> Storage {
        Storage {
            region: "cn-zhangjiakou".to_owned(),
            prefix: "videos".to_owned(),
            storage_sk: Secret::new("planted-secret"),
            notify: "https://app.example/hook?token=7".to_owned(),
            notify_secret: Secret::new("planted-secret"),
            ..Storage::new(
                "0123456789abcdef".parse().expect("an id"),
                TenantId::main(),
                StorageType::S3,
                "bkt",
                Timestamp::from_millis(0),
            )
        }
    }

    fn task(number: u8, state: TaskState) -> Task {
        Task {
            id: format!("20220420111542664667cccc3d1798{number:02}").parse().expect("an id"),
            tenant: TenantId::main(),
            batch_id: None,
            spec: TaskSpec {
                template: Template::new("hls-h264".parse().expect("a name"), Format::Hls),
                storage_id: storage().id,
                input: "https://media.example/a.mov?sig=1".parse().expect("an input"),
                output: serde_json::from_str("\"videos/a/master.m3u8\"").expect("a path"),
                custom_info: "订单 \"7\"".to_owned(),
                extra_options: ExtraOptions::default(),
                priority: Priority::default(),
            },
            output_uri: "s3://bkt/videos/a/master.m3u8".to_owned(),
            region: "cn-zhangjiakou".to_owned(),
            created: Timestamp::from_millis(1_000),
            state,
            source: Some(source()),
        }
    }

    fn source() -> SourceFacts {
        SourceFacts {
            duration: 30.0,
            size: 4_000_000,
            bitrate: 1_066_666.7,
            resolution: "1920x1080".to_owned(),
            framerate: 29.97,
            video_bitrate: 936_000.0,
            audio_bitrate: 128_000.0,
            video_codec: "h264".to_owned(),
            audio_codec: "aac".to_owned(),
        }
    }

    fn success() -> TaskEnd {
        TaskEnd::Succeeded(Box::new(OutputFacts {
            duration: 30.0,
            size: 1_000_000,
            media_size: 990_000,
            bitrate: 264_000.0,
            resolution: "1280x720".to_owned(),
            framerate: 29.97,
            video_codec: "h264".to_owned(),
            audio_codec: "aac".to_owned(),
            audio_samplerate: 48_000,
            groups: vec![OutputGroup {
                custom_name: String::new(),
                format: GroupFormat::Hls,
                seg_type: Some(SegmentType::Ts),
                seg_time: 6,
                output: "s3://bkt/videos/a/master.m3u8".to_owned(),
            }],
        }))
    }

    fn ended(end: TaskEnd) -> TaskState {
        TaskState::Ended {
            started: Some(Timestamp::from_millis(2_000)),
            finished: Timestamp::from_millis(4_000),
            end,
        }
    }

    fn never_started(end: TaskEnd) -> TaskState {
        TaskState::Ended { started: None, finished: Timestamp::from_millis(4_000), end }
    }

    /// The body in several lines; the order of its fields is that of the bytes.
    fn pretty_body(tasks: &[Task]) -> String {
        let body = compose(&storage(), tasks);
        let value: serde_json::Value = serde_json::from_slice(&body).expect("json");
        assert!(!String::from_utf8_lossy(&body).contains("planted-secret"));
        serde_json::to_string_pretty(&value).expect("json")
    }

    #[test]
    fn a_task_that_succeeded() {
        insta::assert_snapshot!(pretty_body(&[task(1, ended(success()))]));
    }

    #[test]
    fn tasks_that_came_to_nothing() {
        let failure = Failure::new(ErrorCode::InvalidInput, "no moov box");
        insta::assert_snapshot!(pretty_body(&[
            task(1, ended(TaskEnd::Failed(failure))),
            task(2, never_started(TaskEnd::Cancelled)),
        ]));
    }

    #[test]
    fn one_failure_makes_the_whole_failed() {
        let cases: [(&[TaskEnd], &str); 3] = [
            (&[success(), success()], "succeeded"),
            (&[success(), TaskEnd::Cancelled], "failed"),
            (&[TaskEnd::Cancelled], "failed"),
        ];
        for (ends, msg) in cases {
            let tasks: Vec<Task> = ends.iter().map(|end| task(1, ended(end.clone()))).collect();
            let value: serde_json::Value =
                serde_json::from_slice(&compose(&storage(), &tasks)).expect("json");
            assert_eq!(value["msg"], msg);
            assert_eq!(value["data"].as_array().map(Vec::len), Some(ends.len()));
        }
    }

    #[test]
    fn the_bytes_are_in_the_documented_order() {
        let body = String::from_utf8(compose(&storage(), &[task(1, ended(success()))])).expect("utf-8");
        let beginning = r#"{"code":0,"msg":"succeeded","callback_url":"https://app.example/hook?token=7","data":[{"task_id":"20220420111542664667cccc3d179801","input":"https://media.example/a.mov?sig=1","output":"s3://bkt/videos/a/master.m3u8","format":"hls","status":"succeeded","duration":30.0,"spend_time":2.0,"#;
        assert_eq!(body.get(..beginning.len()), Some(beginning));
    }
}
