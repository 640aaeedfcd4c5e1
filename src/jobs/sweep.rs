//! Sweep: gives back what dead workers had. Idempotent and periodic; every process does it.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Runs until `stop`.
pub(crate) async fn sweep(app: &App, stop: CancellationToken) {
    let every = (app.settings.worker.lease / 3).max(Duration::from_millis(100));
    loop {
        match app.store.reap().await {
            Ok(0) => {}
            Ok(jobs) => tracing::warn!(jobs, "gave back work whose worker stopped answering"),
            Err(error) => tracing::error!(%error, "could not look for lost work"),
        }
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = stop.cancelled() => return,
        }
    }
}
