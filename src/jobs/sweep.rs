//! Sweep: removes what dead processes left behind, deletes what has outlived its retention, and adds
//! up the counts of tasks. Idempotent and periodic; every process does it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::periodic::run_round;
use crate::{app::App, uploads::SweepError};

/// A file that nobody has written to for so long was left behind by a process that died.
const UNFINISHED_FILE_AGE: Duration = Duration::from_secs(60 * 60);

/// How long an upload is kept after its last use.
const UPLOAD_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// From one deletion of old tasks, callbacks, answers and uploads to the next.
const RETENTION_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// Runs until `stop`.
pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let interval = app.settings.worker.renewal_interval();
    let mut last_deleted: Option<Instant> = None;
    loop {
        run_round("sweep", sweep(&app, &mut last_deleted)).await;
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn sweep(app: &App, last_deleted: &mut Option<Instant>) {
    remove_unfinished_objects(app);
    if let Err(error) = app.store.fold_counts().await {
        tracing::error!(%error, "could not add up the counts of tasks");
    }
    if last_deleted.is_none_or(|deleted| deleted.elapsed() >= RETENTION_INTERVAL) {
        // first, so that one that panics does not come again at once
        *last_deleted = Some(Instant::now());
        delete_old_tasks(app).await;
        delete_old_callbacks(app).await;
        delete_expired_answers(app).await;
        delete_unused_uploads(app).await;
    }
}

fn remove_unfinished_objects(app: &App) {
    match app.storages.sweep_unfinished(UNFINISHED_FILE_AGE) {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "removed objects that were never finished"),
        Err(error) => tracing::warn!(%error, "could not look for unfinished objects"),
    }
}

async fn delete_old_tasks(app: &App) {
    let retention = app.settings.worker.retention;
    if retention.is_zero() {
        return;
    }
    match app.store.delete_old_tasks(app.store.ago(retention)).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "deleted old tasks"),
        Err(error) => tracing::error!(%error, "could not delete old tasks"),
    }
}

async fn delete_old_callbacks(app: &App) {
    let before = app.store.ago(app.settings.callback.retention);
    match app.store.delete_old_callbacks(before).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "deleted old callbacks"),
        Err(error) => tracing::error!(%error, "could not delete old callbacks"),
    }
}

/// The answers that were kept for idempotency keys.
async fn delete_expired_answers(app: &App) {
    if let Err(error) = app.store.delete_expired_answers().await {
        tracing::error!(%error, "could not delete old answers");
    }
}

async fn delete_unused_uploads(app: &App) {
    match remove_upload_files(app).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "removed uploads that nothing needs"),
        Err(error) => tracing::error!(%error, "could not look for old uploads"),
    }
}

async fn remove_upload_files(app: &App) -> Result<usize, SweepError> {
    app.store.delete_unused_uploads(app.store.ago(UPLOAD_RETENTION)).await?;
    app.uploads.sweep(&app.store, UNFINISHED_FILE_AGE).await
}
