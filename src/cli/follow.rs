//! Watching a task until it ends.

use std::time::Duration;

use model::TaskStatus;
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::{
    client::{Client, ClientError},
    progress::{Look, Meter, Pace},
};

/// How often the server is asked.
const EVERY: Duration = Duration::from_millis(300);

/// How long a server may be away, for a restart, before watching is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the command line reads of a task.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Seen {
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

impl Seen {
    fn has_ended(&self) -> bool {
        matches!(self.status, TaskStatus::Succeeded | TaskStatus::Failed | TaskStatus::Cancelled)
    }

    /// Seconds of the source, which its size and bit rate tell once they are known.
    fn media(&self) -> Option<f64> {
        (self.source_bitrate > 0.0).then(|| self.source_size as f64 * 8.0 / self.source_bitrate)
    }

    /// Itself, unless it came to nothing.
    ///
    /// # Errors
    /// Why there is no output.
    pub(super) fn succeeded(self) -> super::Result<Self> {
        match self.status {
            TaskStatus::Succeeded => Ok(self),
            status => {
                Err(format!("task {} {status}: {} (code {})", self.task_id, self.message, self.code).into())
            }
        }
    }
}

/// Shows how far the task comes until it ends, however it ends.
///
/// # Errors
/// When the server refuses to tell, or is away for too long.
pub(super) async fn follow(client: &Client, task_id: &str, meter: &mut Meter) -> super::Result<Seen> {
    let watching = Instant::now();
    let mut pace = Pace::default();
    let mut away: Option<Instant> = None;
    loop {
        match client.get::<Seen>("query_task", &[("task_id", task_id)]).await {
            Ok(task) => {
                away = None;
                let look = Look { status: task.status, percent: task.progress.min(100), media: task.media() };
                meter.show(&pace.see(watching.elapsed(), look));
                if task.has_ended() {
                    meter.finish();
                    return Ok(task);
                }
            }
            Err(error @ ClientError::Unreachable { .. }) => {
                let since = *away.get_or_insert_with(|| {
                    meter.interrupted(&error);
                    Instant::now()
                });
                if since.elapsed() > PATIENCE {
                    return Err(error.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
        sleep(EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn seen(task: serde_json::Value) -> Seen {
        serde_json::from_value(task).expect("a task")
    }

    #[test]
    fn success_is_the_outputs_address() {
        let task = seen(json!({"task_id": "t", "status": "succeeded", "output": "file://b/a.mp4"}));
        assert_eq!(task.succeeded().expect("succeeded").output, "file://b/a.mp4");
    }

    #[test]
    fn the_length_of_the_source_follows_from_its_size_and_bit_rate() {
        let task = json!({"task_id": "t", "status": "running", "source_size": 3_000_000, "source_bitrate": 2_400_000.0});
        assert_eq!(seen(task).media(), Some(10.0));
        assert_eq!(seen(json!({"task_id": "t", "status": "pending", "source_bitrate": 0.0})).media(), None);
    }

    #[test]
    fn failure_says_code_and_message() {
        let task = seen(json!({
            "task_id": "t", "status": "failed", "code": 1003, "message": "Invalid input file: no moov box"
        }));
        assert_eq!(
            task.succeeded().expect_err("failed").to_string(),
            "task t failed: Invalid input file: no moov box (code 1003)"
        );
    }
}
