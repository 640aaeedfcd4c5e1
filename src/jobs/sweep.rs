//! Sweep: gives back what dead workers had, removes what they left, forgets what is old, counts what
//! is waiting, and adds up the counts of tasks.
//! Idempotent and periodic; every process does it.

use std::time::{Duration, Instant};

use store::StoreError;
use tokio_util::sync::CancellationToken;

use crate::{app::App, telemetry, uploads::SweepError, worker::Presence};

/// An object that nobody has written to for so long was left behind by a process that died.
const UNFINISHED: Duration = Duration::from_secs(60 * 60);

/// How long an upload is kept after its last use.
const UPLOADS: Duration = Duration::from_secs(24 * 60 * 60);

/// How often old callbacks, answers and uploads are looked for.
const FORGET: Duration = Duration::from_secs(10 * 60);

/// Runs until `stop`.
pub(crate) async fn sweep(app: &App, presence: &Presence, stop: CancellationToken) {
    let every = (app.settings.worker.lease / 3).max(Duration::from_millis(100));
    let mut forgot: Option<Instant> = None;
    loop {
        match give_back(app, presence).await {
            Ok(0) => {}
            Ok(count) => tracing::warn!(count, "gave back work whose worker is gone"),
            Err(error) => tracing::error!(%error, "could not look for lost work"),
        }
        match app.storages.sweep_unfinished(UNFINISHED) {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "removed objects that were never finished"),
            Err(error) => tracing::warn!(%error, "could not look for unfinished objects"),
        }
        if let Err(error) = app.store.fold_counts().await {
            tracing::error!(%error, "could not add up the counts of tasks");
        }
        if forgot.is_none_or(|at| at.elapsed() >= FORGET) {
            forget(app).await;
            forgot = Some(Instant::now());
        }
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// A dead process of this machine is known at once by its lock, one of another by its leases.
async fn give_back(app: &App, presence: &Presence) -> Result<u64, StoreError> {
    let given_back = presence.take_over(&app.store).await? + app.store.reap_jobs().await?;
    telemetry::queue_is(&app.store.queue_depth().await?);
    Ok(given_back)
}

async fn forget(app: &App) {
    forget_callbacks(app).await;
    if let Err(error) = app.store.delete_expired_answers().await {
        tracing::error!(%error, "could not forget old answers");
    }
    match forget_uploads(app).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "removed uploads that nothing needs"),
        Err(error) => tracing::error!(%error, "could not look for old uploads"),
    }
}

async fn forget_uploads(app: &App) -> Result<usize, SweepError> {
    app.store.delete_unused_uploads(app.clock.now() - UPLOADS).await?;
    app.uploads.sweep(&app.store, UNFINISHED).await
}

async fn forget_callbacks(app: &App) {
    let before = app.clock.now() - app.settings.callback.retention;
    match app.store.delete_old_callbacks(before).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "forgot old callbacks"),
        Err(error) => tracing::error!(%error, "could not forget old callbacks"),
    }
}
