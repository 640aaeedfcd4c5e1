//! Deliver: claims callbacks that are due, sends each, records the attempt.
//!
//! Wakes when a task's end is committed, when an attempt becomes due, and now and then in any case.
//! No receiver has more than its share of attempts in flight, and an attempt whose record could not
//! be written is recorded again, not sent again.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use callback::{schedule, send};
use model::{Attempt, CallbackNext, WorkerId};
use store::{CallbackClaim, StoreError};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{app::App, telemetry};

/// Beyond the deadline of an exchange, a sender has this long to write its record before another
/// may take the callback.
const RECORD_TIME: Duration = Duration::from_secs(15);

/// Delivers callbacks.
pub(crate) struct Deliverer {
    app: Arc<App>,
    worker: WorkerId,
    flying: JoinSet<String>,
    /// Attempts in flight for each receiver.
    receivers: HashMap<String, usize>,
}

impl Deliverer {
    pub(crate) fn new(app: Arc<App>, worker: WorkerId) -> Self {
        Self { app, worker, flying: JoinSet::new(), receivers: HashMap::new() }
    }

    /// Delivers until `stop`, then waits for what is in flight.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let app = Arc::clone(&self.app);
        loop {
            let woken = app.store.callbacks_due().notified();
            let wait = match self.launch().await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::error!(%error, "could not claim callbacks");
                    app.settings.worker.poll_interval
                }
            };
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep(wait) => {}
                Some(landed) = self.flying.join_next() => self.landed(landed),
                () = stop.cancelled() => break,
            }
        }
        while let Some(landed) = self.flying.join_next().await {
            self.landed(landed);
        }
    }

    /// Sends what is due, as far as there is room. Returns how long to wait when nothing happens.
    async fn launch(&mut self) -> Result<Duration, StoreError> {
        let settings = &self.app.settings.callback;
        let lease = settings.deadline + RECORD_TIME;
        let poll = self.app.settings.worker.poll_interval;
        loop {
            let room = settings.concurrency.saturating_sub(self.flying.len());
            if room == 0 {
                return Ok(poll);
            }
            let busy: Vec<String> = self
                .receivers
                .iter()
                .filter(|(_, flying)| **flying >= settings.receiver_concurrency)
                .map(|(receiver, _)| receiver.clone())
                .collect();
            // at most one receiver's share at a time, so that no receiver gets more than that
            let limit = room.min(settings.receiver_concurrency);
            let claims = self.app.store.claim_callbacks(&self.worker, limit as u32, lease, &busy).await?;
            if claims.is_empty() {
                let due = self.app.store.next_due().await?;
                return Ok(due.map_or(poll, |due| {
                    due.since(self.app.clock.now()).clamp(Duration::from_millis(5), poll)
                }));
            }
            for claim in claims {
                let receiver = claim.receiver.clone();
                *self.receivers.entry(receiver.clone()).or_default() += 1;
                let app = Arc::clone(&self.app);
                self.flying.spawn(async move {
                    deliver(&app, &claim, lease).await;
                    receiver
                });
            }
        }
    }

    fn landed(&mut self, landed: Result<String, tokio::task::JoinError>) {
        match landed {
            Ok(receiver) => {
                if let Some(flying) = self.receivers.get_mut(&receiver) {
                    *flying -= 1;
                    if *flying == 0 {
                        self.receivers.remove(&receiver);
                    }
                }
            }
            Err(error) => tracing::error!(%error, "a delivery panicked"),
        }
    }
}

/// One attempt, and its record.
async fn deliver(app: &App, claim: &CallbackClaim, lease: Duration) {
    let (settings, now) = (&claim.storage.notify_settings, || app.clock.now());
    let began = Instant::now();
    let (attempt, outcome) = send::send(
        &app.net,
        &claim.storage.notify,
        &claim.callback,
        &claim.storage.notify_secret,
        settings,
        &*app.clock,
        &app.settings.callback.send_limits(),
    )
    .await;
    let next = schedule::next(settings, claim.callback.attempts + 1, &outcome, now());
    tell(claim, &attempt, next);
    telemetry::callback_attempted(next, Duration::from_millis(attempt.total_ms.into()));
    while let Err(error) = app.store.record_attempt(claim, &attempt, next).await {
        match error {
            StoreError::Fenced => {
                return tracing::warn!(callback_id = %claim.callback.id, "another sender has the callback");
            }
            error if began.elapsed() > lease => {
                return tracing::error!(%error, callback_id = %claim.callback.id, "could not record an attempt");
            }
            error => {
                tracing::warn!(%error, callback_id = %claim.callback.id, "could not record an attempt; trying again")
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn tell(claim: &CallbackClaim, attempt: &Attempt, next: CallbackNext) {
    let (callback_id, number) = (&claim.callback.id, attempt.number);
    let error = attempt.error.as_deref().unwrap_or_default();
    match next {
        CallbackNext::Delivered => {
            tracing::info!(%callback_id, number, ms = attempt.total_ms, "callback delivered")
        }
        CallbackNext::RetryAt(_) => {
            tracing::warn!(%callback_id, number, error, "callback failed; it is tried again")
        }
        CallbackNext::Exhausted => {
            tracing::error!(%callback_id, number, error, "callback failed; every attempt is used up")
        }
        CallbackNext::Refused => tracing::error!(%callback_id, number, error, "callback can never be sent"),
    }
}
