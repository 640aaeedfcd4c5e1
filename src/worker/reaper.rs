//! The reaper: gives work back whose worker or sender is gone. Every process does it, worker or not.

use std::{sync::Arc, time::Duration};

use store::StoreError;
use tokio_util::sync::CancellationToken;

use super::Presence;
use crate::{app::App, jobs::periodic::run_round, telemetry};

/// The least time between two runs, however short leases are.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// Runs until `stop`.
pub(crate) async fn run(app: Arc<App>, presence: Arc<Presence>, stop: CancellationToken) {
    let interval = (app.settings.worker.lease / 3).max(MIN_INTERVAL);
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

/// A dead process of this machine is known at once by its lock, one of another machine when its leases
/// run out. Returns how many jobs and callbacks were given back.
async fn reap(app: &App, presence: &Presence) -> Result<u64, StoreError> {
    let given_back = presence.release_dead_workers(&app.store).await? + app.store.reap_jobs().await?;
    telemetry::record_queue_depth(&app.store.queue_depth().await?);
    Ok(given_back)
}
