//! Deliver: claims callbacks that are due, sends each, records the attempt.
//!
//! Wakes when a task's end is committed, when an attempt becomes due, and now and then in any case.
//! `lanes` says who is sent to next, `attempt` sends, `recorder` writes what came of it. One thing
//! is claimed at a time and nothing waits for the database but the claim itself and the records.

mod attempt;
mod breaker;
mod lane;
mod lanes;
mod recorder;
#[cfg(test)]
mod tests;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use model::{CallbackNext, WorkerId};
use store::{CallbackClaim, Ready, StoreError, Want};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use self::{
    attempt::Landed,
    lanes::{Bounds, Lanes},
    recorder::Recorder,
};
use crate::{app::App, telemetry};

/// Beyond the deadline of an exchange, a sender has this long to write its record before another
/// may take the callback.
const RECORD_TIME: Duration = Duration::from_secs(15);

/// How long a callback may lie claimed before it is sent.
const QUEUE_TIME: Duration = Duration::from_secs(15);

/// Delivers callbacks.
pub(crate) struct Deliverer {
    app: Arc<App>,
    worker: WorkerId,
    lanes: Lanes,
    recorder: Recorder,
    recording: JoinHandle<()>,
    flying: JoinSet<Landed>,
    /// What is asked of the database just now.
    asking: Option<JoinHandle<Answer>>,
    looked: Option<Instant>,
    /// The database has answered since then.
    healthy_since: Instant,
    lease: Duration,
}

/// What the database said.
enum Answer {
    Found(Result<Vec<Ready>, StoreError>),
    Claimed(Vec<Want>, Result<Vec<CallbackClaim>, StoreError>),
}

impl Deliverer {
    pub(crate) fn new(app: Arc<App>, worker: WorkerId, stop: CancellationToken) -> Self {
        let settings = &app.settings.callback;
        let bounds = Bounds { total: settings.concurrency, receiver: settings.receiver_concurrency };
        let lease = settings.deadline + RECORD_TIME + QUEUE_TIME;
        let (recorder, writing) = Recorder::new(Arc::clone(&app), worker.clone(), stop);
        Self {
            app,
            worker,
            lanes: Lanes::new(bounds),
            recorder,
            recording: tokio::spawn(writing),
            flying: JoinSet::new(),
            asking: None,
            looked: None,
            healthy_since: Instant::now(),
            lease,
        }
    }

    /// Delivers until `stop`, then waits for what is in flight.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let app = Arc::clone(&self.app);
        loop {
            let woken = app.store.callbacks_due().notified();
            self.ask();
            self.launch();
            self.give_back_spared();
            let wait = self.wait();
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep(wait) => {}
                Some(landed) = self.flying.join_next() => self.landed(landed),
                answer = answered(&mut self.asking) => self.answered(answer),
                () = self.recorder.wrote() => {}
                () = stop.cancelled() => break,
            }
            while let Some(landed) = self.flying.try_join_next() {
                self.landed(landed);
            }
        }
        self.stop().await;
    }

    /// Looks for work, or claims it, unless something is asked already.
    fn ask(&mut self) {
        let (due, anywhere) = self.app.store.take_due();
        for queue in due {
            self.lanes.due(&queue, false);
        }
        if anywhere {
            self.looked = None;
        }
        if self.asking.is_some() {
            return;
        }
        let (app, worker, lease) = (Arc::clone(&self.app), self.worker.clone(), self.lease);
        let poll = app.settings.worker.poll_interval;
        if self.looked.is_none_or(|looked| looked.elapsed() >= poll) {
            self.looked = Some(Instant::now());
            let reap = self.leases_tell();
            self.asking = Some(tokio::spawn(async move { Answer::Found(look(&app, reap).await) }));
            return;
        }
        let wants = self.lanes.wants(app.clock.now(), Instant::now());
        if !wants.is_empty() {
            self.asking = Some(tokio::spawn(async move {
                let claims = app.store.claim_callbacks(&worker, lease, &wants).await;
                Answer::Claimed(wants, claims)
            }));
        }
    }

    fn answered(&mut self, answer: Result<Answer, JoinError>) {
        self.asking = None;
        match answer {
            Ok(Answer::Found(Ok(ready))) => {
                telemetry::callbacks_flying(self.lanes.in_flight(), self.lanes.broken());
                self.lanes.found(ready, self.app.clock.now());
            }
            Ok(Answer::Claimed(wants, Ok(claims))) => self.lanes.claimed(wants, claims, Instant::now()),
            Ok(Answer::Found(Err(error))) => self.failed(&error),
            // the next look finds again what was wanted
            Ok(Answer::Claimed(_, Err(error))) => self.failed(&error),
            Err(error) => tracing::error!(%error, "claiming panicked"),
        }
    }

    fn failed(&mut self, error: &StoreError) {
        self.healthy_since = Instant::now();
        tracing::error!(%error, "could not take callbacks");
    }

    /// Whether leases that ran out tell of senders that died: not when they could not be written to
    /// for a while, and not when records of our own are still to be written.
    fn leases_tell(&self) -> bool {
        self.recorder.keeps_up() && self.healthy_since.elapsed() > RECORD_TIME
    }

    /// Sends whatever may be sent.
    fn launch(&mut self) {
        let needed = self.app.settings.callback.deadline + RECORD_TIME;
        while self.recorder.keeps_up()
            && let Some(claim) = self.lanes.next(self.app.clock.now(), Instant::now(), needed)
        {
            let (app, lease) = (Arc::clone(&self.app), self.lease);
            self.flying.spawn(async move { attempt::attempt(&app, claim, lease).await });
        }
    }

    fn landed(&mut self, landed: Result<Landed, JoinError>) {
        let landed = match landed {
            Ok(landed) => landed,
            Err(error) => return tracing::error!(%error, "a delivery panicked"),
        };
        let Landed { receiver, retry, outcome, took, record } = landed;
        self.lanes.landed(&receiver, retry, &outcome, took, Instant::now());
        if let CallbackNext::RetryAt(at) = record.next {
            self.lanes.due_at(&receiver, at, self.app.clock.now());
        }
        self.recorder.keep(record);
    }

    fn give_back_spared(&mut self) {
        let spared = self.lanes.take_spared();
        if !spared.is_empty() {
            let (app, worker) = (Arc::clone(&self.app), self.worker.clone());
            tokio::spawn(async move { give_back(&app, &worker, &spared).await });
        }
    }

    /// How long to wait when nothing happens.
    fn wait(&self) -> Duration {
        let poll = self.app.settings.worker.poll_interval;
        let look = self.looked.map_or(Duration::ZERO, |looked| poll.saturating_sub(looked.elapsed()));
        let wakes = self.lanes.wakes_in(self.app.clock.now(), Instant::now()).unwrap_or(poll);
        // a database that fails is not asked again and again without a pause
        look.min(wakes).max(Duration::from_millis(1))
    }

    async fn stop(mut self) {
        if self.asking.is_some() {
            let answer = answered(&mut self.asking).await;
            self.answered(answer);
        }
        let unsent = self.lanes.drain();
        if !unsent.is_empty() {
            give_back(&self.app, &self.worker, &unsent).await;
        }
        while let Some(landed) = self.flying.join_next().await {
            self.landed(landed);
        }
        drop(self.recorder);
        if let Err(error) = self.recording.await {
            tracing::error!(%error, "the recorder failed");
        }
    }
}

/// Finds out who is owed something, what dead senders had included.
async fn look(app: &App, reap: bool) -> Result<Vec<Ready>, StoreError> {
    if reap {
        let count = app.store.reap_callbacks().await?;
        if count > 0 {
            tracing::warn!(count, "gave back callbacks whose sender stopped answering");
        }
    }
    app.store.ready_receivers().await
}

/// The answer of what is asked; never when nothing is.
async fn answered(asking: &mut Option<JoinHandle<Answer>>) -> Result<Answer, JoinError> {
    match asking {
        Some(asking) => asking.await,
        None => std::future::pending().await,
    }
}

async fn give_back(app: &App, worker: &WorkerId, claims: &[CallbackClaim]) {
    if let Err(error) = app.store.give_back_callbacks(worker, claims).await {
        tracing::warn!(%error, callbacks = claims.len(), "could not give callbacks back; they wait for their leases");
    }
}
