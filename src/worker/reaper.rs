//! The reaper: gives work back whose worker or sender is gone. Every process does it, worker or not.

use std::sync::Arc;

use store::StoreError;
use tokio_util::sync::CancellationToken;

use super::Presence;
use crate::{app::App, jobs::periodic::run_round, telemetry};

/// Runs until `stop`.
pub(crate) async fn run(app: Arc<App>, presence: Arc<Presence>, stop: CancellationToken) {
    let interval = app.settings.worker.renewal_interval();
    loop {
        run_round("reaper", async {
            match reap(&app, &presence).await {
                Ok(0) => {}
                Ok(count) => tracing::warn!(count, "gave back work whose worker is gone"),
                Err(error) => tracing::error!(%error, "could not look for lost work"),
            }
        })
        .await;
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Keeps the database's time, then looks for lost work: a dead process of this machine is known at once by its lock, one of another machine when its leases
/// run out. Returns how many jobs and callbacks were given back.
async fn reap(app: &App, presence: &Presence) -> Result<u64, StoreError> {
    app.store.sync_clock().await?;
    let given_back = presence.release_dead_workers(&app.store).await? + app.store.reap_jobs().await?;
    telemetry::record_queue_depth(&app.store.queue_depth().await?);
    Ok(given_back)
}
