//! `serve` and `worker`: the parts of the product, put together in one process.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    signal::unix,
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    access_keys::bootstrap,
    api,
    app::App,
    cli,
    config::Settings,
    jobs::{deliver_callback::Deliverer, drafts, sweep},
    telemetry,
    worker::{Presence, Runner, reaper},
};

/// How long a port that is in use is waited for.
const PORT_TIMEOUT: Duration = Duration::from_secs(5);

/// How often it is tried: the system does not tell when a port gets free.
const PORT_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// What a process does beside what every process does: deliver callbacks, and clean up after others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// Whether it answers the API.
    pub(super) api: bool,
    /// Whether it runs tasks.
    pub(super) worker: bool,
}

/// Runs until SIGTERM or SIGINT; then stops claiming, lets running tasks finish for the grace time,
/// and gives back what is left.
///
/// # Errors
/// When a part cannot start, with what is wrong; when a part panicked.
pub(super) async fn run(settings: Settings, parts: Parts) -> cli::Result {
    let stop = CancellationToken::new();
    stop_on_signal(&stop)?;
    let listener = if parts.api { Some(listen(&settings).await?) } else { None };
    let media = if parts.worker { Some(crate::app::media(&settings).await?) } else { None };
    let app = App::new(settings).await?;
    bootstrap::ensure(&app).await?;
    let work = app.settings.server.data_dir.join("work");
    let presence = Presence::announce(&work)
        .map(Arc::new)
        .map_err(|error| format!("cannot use {}: {error}", work.display()))?;

    let mut running = JoinSet::new();
    running.spawn(reaper::run(Arc::clone(&app), Arc::clone(&presence), stop.clone()));
    running.spawn(telemetry::watch_runtime(stop.clone()));
    running.spawn(sweep::run(Arc::clone(&app), stop.clone()));
    running.spawn(drafts::sweep(Arc::clone(&app), stop.clone()));
    let deliverer = Deliverer::new(Arc::clone(&app), presence.id.clone(), stop.clone());
    running.spawn(deliverer.run(stop.clone()));
    if let Some(media) = media {
        let runner = Runner::new(Arc::clone(&app), media, presence.id.clone(), presence.folder.clone());
        running.spawn(runner.run(stop.clone()));
    }
    if let Some(listener) = listener {
        tracing::info!(address = %listener.local_addr()?, "listening");
        running.spawn(api::serve(Arc::clone(&app), listener, stop.clone()));
    }
    let mut has_failed = false;
    while let Some(part) = running.join_next().await {
        // a part that panicked takes the process down with it, in good order
        if let Err(error) = part {
            tracing::error!(%error, "a part of the process failed; stopping");
            has_failed = true;
            stop.cancel();
        }
    }
    tracing::info!("stopped");
    if has_failed {
        // an exit status other than 0: who supervises the process starts it again
        return Err("a part of the process failed; the log says which".into());
    }
    Ok(())
}

/// Listens; waits a while for the port of a process that was killed and is not quite gone.
async fn listen(settings: &Settings) -> cli::Result<TcpListener> {
    let address = settings.server.listen;
    let give_up = Instant::now() + PORT_TIMEOUT;
    let mut is_waiting = false;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < give_up => {
                if !is_waiting {
                    tracing::warn!(%address, "the port is in use; waiting {} s for it", PORT_TIMEOUT.as_secs());
                }
                is_waiting = true;
                sleep(PORT_POLL_INTERVAL).await;
            }
            Err(error) => {
                return Err(format!("cannot listen on {address} (`server.listen`): {error}").into());
            }
        }
    }
}

/// Cancels `stop` at the first SIGTERM or SIGINT; a second one ends the process at once.
fn stop_on_signal(stop: &CancellationToken) -> cli::Result {
    let mut terminate = unix::signal(unix::SignalKind::terminate())?;
    let mut interrupt = unix::signal(unix::SignalKind::interrupt())?;
    let stop = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if stop.is_cancelled() {
                tracing::warn!("stopped at once; other processes take over what was running");
                std::process::exit(1);
            }
            tracing::info!("stopping");
            stop.cancel();
        }
    });
    Ok(())
}
