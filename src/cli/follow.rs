//! Watching a task until it ends.

use std::time::Duration;

use model::TaskStatus;
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::{
    client::{ApiClient, ClientError},
    progress::{Meter, Snapshot, SpeedEstimator},
};

/// From one look at a task to the next.
const POLL_INTERVAL: Duration = Duration::from_millis(300);

/// How long the server may be unreachable, for a restart, before watching fails.
const MAX_OUTAGE: Duration = Duration::from_secs(60);

/// What the command line needs of a task, out of the answer to `query_task`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct WatchedTask {
    pub(super) task_id: String,
    pub(super) status: TaskStatus,
    #[serde(default)]
    progress: u8,
    #[serde(default)]
    source_size: u64,
    #[serde(default)]
    source_bitrate: f64,
    #[serde(default)]
    pub(super) output: String,
    #[serde(default)]
    code: u32,
    #[serde(default)]
    message: String,
}

impl WatchedTask {
    fn has_ended(&self) -> bool {
        matches!(self.status, TaskStatus::Succeeded | TaskStatus::Failed | TaskStatus::Cancelled)
    }

    /// The duration of the source in seconds, from its size and bit rate; none until they are known.
    fn source_secs(&self) -> Option<f64> {
        if self.source_bitrate > 0.0 {
            Some(self.source_size as f64 * 8.0 / self.source_bitrate)
        } else {
            None
        }
    }

    /// The task itself when it succeeded.
    ///
    /// # Errors
    /// Why there is no output.
    pub(super) fn into_success(self) -> super::Result<Self> {
        match self.status {
            TaskStatus::Succeeded => Ok(self),
            status => {
                Err(format!("task {} {status}: {} (code {})", self.task_id, self.message, self.code).into())
            }
        }
    }
}

/// Shows the progress of a task until it ends, however it ends.
///
/// # Errors
/// When the server refuses to answer, or is unreachable for too long.
pub(super) async fn follow(
    client: &ApiClient,
    task_id: &str,
    meter: &mut Meter,
) -> super::Result<WatchedTask> {
    let began = Instant::now();
    let mut estimator = SpeedEstimator::default();
    let mut unreachable_since: Option<Instant> = None;
    loop {
        match client.get::<WatchedTask>("query_task", &[("task_id", task_id)]).await {
            Ok(task) => {
                unreachable_since = None;
                let snapshot = Snapshot {
                    status: task.status,
                    percent: task.progress.min(100),
                    source_secs: task.source_secs(),
                };
                meter.show(&estimator.update(began.elapsed(), snapshot));
                if task.has_ended() {
                    meter.finish();
                    return Ok(task);
                }
            }
            Err(error @ ClientError::Unreachable { .. }) => {
                let since = *unreachable_since.get_or_insert_with(|| {
                    meter.interrupted(&error);
                    Instant::now()
                });
                if since.elapsed() > MAX_OUTAGE {
                    return Err(error.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
        sleep(POLL_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn watched(task: serde_json::Value) -> WatchedTask {
        serde_json::from_value(task).expect("a task")
    }

    #[test]
    fn success_is_the_outputs_address() {
        let task = watched(json!({"task_id": "t", "status": "succeeded", "output": "file://b/a.mp4"}));
        assert_eq!(task.into_success().expect("succeeded").output, "file://b/a.mp4");
    }

    #[test]
    fn the_length_of_the_source_follows_from_its_size_and_bit_rate() {
        let task = json!({"task_id": "t", "status": "running", "source_size": 3_000_000, "source_bitrate": 2_400_000.0});
        assert_eq!(watched(task).source_secs(), Some(10.0));
        assert_eq!(
            watched(json!({"task_id": "t", "status": "pending", "source_bitrate": 0.0})).source_secs(),
            None
        );
    }

    #[test]
    fn failure_says_code_and_message() {
        let task = watched(json!({
            "task_id": "t", "status": "failed", "code": 1003, "message": "Invalid input file: no moov box"
        }));
        assert_eq!(
            task.into_success().expect_err("failed").to_string(),
            "task t failed: Invalid input file: no moov box (code 1003)"
        );
    }
}
