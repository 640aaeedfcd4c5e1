//! What unfinished tasks wait for that no worker has, in the `message` of their reports.

use model::{Task, TaskReport, TaskStatus};
use store::{IdleReason, StoreError};

use crate::app::App;

/// The reports of tasks. One that waits for a worker says why none takes it.
pub(super) async fn reports(app: &App, tasks: &[Task]) -> Result<Vec<TaskReport>, StoreError> {
    let mut reports: Vec<TaskReport> = tasks.iter().map(TaskReport::of).collect();
    if reports.iter().any(waits_in_silence) {
        let why = message(app.store.idle_reason(app.settings.worker.lease).await?);
        for report in reports.iter_mut().filter(|report| waits_in_silence(report)) {
            report.message.clone_from(&why);
        }
    }
    Ok(reports)
}

/// The report of one task, as [`reports`] makes it.
pub(super) async fn report(app: &App, task: &Task) -> Result<TaskReport, StoreError> {
    let mut reports = reports(app, std::slice::from_ref(task)).await?;
    Ok(reports.pop().unwrap_or_else(|| TaskReport::of(task)))
}

fn waits_in_silence(report: &TaskReport) -> bool {
    report.status == TaskStatus::Pending && report.message.is_empty()
}

fn message(idle: Option<IdleReason>) -> String {
    match idle {
        None => "it waits for its turn".to_owned(),
        Some(IdleReason::NoWorker) => "it waits for a worker: none is running".to_owned(),
        Some(IdleReason::Paused(why)) => format!("it waits: no task is begun, because {why}"),
    }
}
