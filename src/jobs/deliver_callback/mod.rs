//! Deliver: claims callbacks that are due, sends each, records the attempt.
//!
//! Wakes when the end of a task is committed, when a retry becomes due, and now and then in any case.
//! `scheduler` says which callback is sent next, `attempt` sends it, `recorder` writes what came of
//! it. One query for work runs at a time, in the background: sending never waits for the database.

mod attempt;
mod breaker;
mod receiver_queue;
mod recorder;
mod scheduler;
mod slots;
#[cfg(test)]
mod tests;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use model::{CallbackNext, WorkerId};
use store::{CallbackClaim, ClaimRequest, DueQueue, StoreError};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use self::{attempt::CompletedAttempt, recorder::Recorder, scheduler::Scheduler, slots::ConcurrencyLimits};
use crate::{app::App, telemetry};

/// Beyond the deadline of an exchange, a sender has this long to write its record before another
/// may take the callback.
const RECORD_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a callback may lie claimed before it is sent.
const MAX_QUEUE_TIME: Duration = Duration::from_secs(15);

/// The least wait between two rounds: a database that fails is not asked again and again without a pause.
const MIN_WAIT: Duration = Duration::from_millis(1);

/// Delivers callbacks.
pub(crate) struct Deliverer {
    app: Arc<App>,
    worker: WorkerId,
    scheduler: Scheduler,
    recorder: Recorder,
    recording: JoinHandle<()>,
    in_flight: JoinSet<CompletedAttempt>,
    /// The query for work that is running.
    query: Option<JoinHandle<QueryResult>>,
    /// When the database was last scanned for queues that have something due.
    last_scan: Option<Instant>,
    /// Since when no query has failed.
    healthy_since: Instant,
    /// How long claims are good for.
    lease: Duration,
}

/// What a query for work found.
enum QueryResult {
    Scanned(Result<Vec<DueQueue>, StoreError>),
    Claimed(Vec<ClaimRequest>, Result<Vec<CallbackClaim>, StoreError>),
}

impl Deliverer {
    pub(crate) fn new(app: Arc<App>, worker: WorkerId, stop: CancellationToken) -> Self {
        let settings = &app.settings.callback;
        let limits = ConcurrencyLimits {
            total: settings.concurrency,
            per_address: settings.address_concurrency,
            per_receiver: settings.receiver_concurrency,
        };
        let lease = settings.deadline + RECORD_TIMEOUT + MAX_QUEUE_TIME;
        let (recorder, writing) = Recorder::new(Arc::clone(&app), worker.clone(), stop);
        Self {
            app,
            worker,
            scheduler: Scheduler::new(limits),
            recorder,
            recording: tokio::spawn(writing),
            in_flight: JoinSet::new(),
            query: None,
            last_scan: None,
            healthy_since: Instant::now(),
            lease,
        }
    }

    /// Delivers until `stop`, then waits for what is in flight.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let app = Arc::clone(&self.app);
        loop {
            // before the look, so that no wake-up after it is missed
            let woken = app.store.callbacks_due().notified();
            self.note_due_queues();
            self.start_query();
            self.send_ready();
            self.release_unsent();
            let wait = self.wait();
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep(wait) => {}
                Some(completed) = self.in_flight.join_next() => self.attempt_completed(completed),
                result = query_result(&mut self.query) => self.query_completed(result),
                () = self.recorder.caught_up() => {}
                () = stop.cancelled() => break,
            }
            while let Some(completed) = self.in_flight.try_join_next() {
                self.attempt_completed(completed);
            }
        }
        self.stop().await;
    }

    /// Takes in the queues that wake-ups have named since.
    fn note_due_queues(&mut self) {
        let woken = self.app.store.take_woken_queues();
        for queue_name in &woken.names {
            self.scheduler.mark_due(queue_name, false);
        }
        if woken.any_other {
            // a wake-up that names no queue: only a scan tells which it is
            self.last_scan = None;
        }
    }

    /// Scans the database for due queues, or claims from those that are known, unless a query runs already.
    fn start_query(&mut self) {
        if self.query.is_some() {
            return;
        }
        let (app, worker, lease) = (Arc::clone(&self.app), self.worker.clone(), self.lease);
        let poll_interval = app.settings.worker.poll_interval;
        if self.last_scan.is_none_or(|scanned| scanned.elapsed() >= poll_interval) {
            self.last_scan = Some(Instant::now());
            let reap = self.may_reap();
            self.query = Some(tokio::spawn(async move { QueryResult::Scanned(scan(&app, reap).await) }));
            return;
        }
        let requests = self.scheduler.claim_requests(app.store.queue_time(), Instant::now());
        if !requests.is_empty() {
            self.query = Some(tokio::spawn(async move {
                let claims = app.store.claim_callbacks(&worker, lease, &requests).await;
                QueryResult::Claimed(requests, claims)
            }));
        }
    }

    fn query_completed(&mut self, result: Result<QueryResult, JoinError>) {
        self.query = None;
        match result {
            Ok(QueryResult::Scanned(Ok(found))) => {
                telemetry::record_callbacks_in_flight(
                    self.scheduler.in_flight(),
                    self.scheduler.open_breakers(),
                );
                self.scheduler.add_scanned(found, self.app.store.queue_time());
            }
            Ok(QueryResult::Claimed(requests, Ok(claims))) => {
                self.scheduler.add_claimed(requests, claims, Instant::now());
            }
            // the next scan finds again what was asked for
            Ok(QueryResult::Scanned(Err(error)) | QueryResult::Claimed(_, Err(error))) => {
                self.healthy_since = Instant::now();
                tracing::error!(%error, "could not claim callbacks");
            }
            Err(error) => tracing::error!(%error, "claiming callbacks panicked"),
        }
    }

    /// Whether an expired lease shows that its sender died: not when the database did not answer for a
    /// while, and not when records of our own are still to be written.
    fn may_reap(&self) -> bool {
        self.recorder.keeps_up() && self.healthy_since.elapsed() > RECORD_TIMEOUT
    }

    /// Starts every attempt that may be made now.
    fn send_ready(&mut self) {
        let needed = self.app.settings.callback.deadline + RECORD_TIMEOUT;
        while self.recorder.keeps_up()
            && let Some(claim) =
                self.scheduler.next_to_send(self.app.store.queue_time(), Instant::now(), needed)
        {
            let (app, lease) = (Arc::clone(&self.app), self.lease);
            self.in_flight.spawn(async move { attempt::make(&app, claim, lease).await });
        }
    }

    fn attempt_completed(&mut self, completed: Result<CompletedAttempt, JoinError>) {
        let completed = match completed {
            Ok(completed) => completed,
            Err(error) => return tracing::error!(%error, "a delivery panicked"),
        };
        let CompletedAttempt { queue_name, retry, outcome, took, record } = completed;
        let address =
            record.attempt.address.as_deref().and_then(|address| address.parse::<SocketAddr>().ok());
        let ip = address.map(|address| address.ip().to_canonical());
        self.scheduler.attempt_completed(&queue_name, retry, &outcome, took, ip, Instant::now());
        if let CallbackNext::RetryAt(due) = record.next {
            self.scheduler.schedule_retry(&queue_name, due, self.app.store.queue_time());
        }
        self.recorder.record(record);
    }

    /// Releases, in the background, claims that are not to be sent now.
    fn release_unsent(&mut self) {
        let claims = self.scheduler.take_to_release();
        if !claims.is_empty() {
            let (app, worker) = (Arc::clone(&self.app), self.worker.clone());
            tokio::spawn(async move { release(&app, &worker, &claims).await });
        }
    }

    /// How long to wait when nothing happens.
    fn wait(&self) -> Duration {
        let poll_interval = self.app.settings.worker.poll_interval;
        let next_scan = match self.last_scan {
            Some(scanned) => poll_interval.saturating_sub(scanned.elapsed()),
            None => Duration::ZERO,
        };
        let wakes_in = self.scheduler.wakes_in(self.app.store.queue_time(), Instant::now());
        next_scan.min(wakes_in.unwrap_or(poll_interval)).max(MIN_WAIT)
    }

    async fn stop(mut self) {
        if self.query.is_some() {
            let result = query_result(&mut self.query).await;
            self.query_completed(result);
        }
        let unsent = self.scheduler.drain();
        if !unsent.is_empty() {
            release(&self.app, &self.worker, &unsent).await;
        }
        while let Some(completed) = self.in_flight.join_next().await {
            self.attempt_completed(completed);
        }
        // it was the last one: the recorder ends when all is written
        drop(self.recorder);
        if let Err(error) = self.recording.await {
            tracing::error!(%error, "the recorder failed");
        }
    }
}

/// Finds the queues that have something due; with `reap`, what dead senders had is released first.
async fn scan(app: &App, reap: bool) -> Result<Vec<DueQueue>, StoreError> {
    if reap {
        let count = app.store.reap_callbacks().await?;
        if count > 0 {
            tracing::warn!(count, "released callbacks whose sender stopped answering");
        }
    }
    app.store.due_queues().await
}

/// The result of the running query; never resolves when none runs.
async fn query_result(query: &mut Option<JoinHandle<QueryResult>>) -> Result<QueryResult, JoinError> {
    match query {
        Some(query) => query.await,
        None => std::future::pending().await,
    }
}

async fn release(app: &App, worker: &WorkerId, claims: &[CallbackClaim]) {
    if let Err(error) = app.store.give_back_callbacks(worker, claims).await {
        tracing::warn!(%error, callbacks = claims.len(), "could not release callbacks; they wait until their leases run out");
    }
}
