//! The recorder: writes the records of attempts to the database, many in one transaction.
//!
//! A transaction holds whatever ended since the last one began. Transactions do not follow each other at
//! once: one of a single record costs nearly as much as one of a hundred. A record that cannot be
//! written is tried again for as long as the process lives, so that an outage of the database alone
//! never sends a callback twice. Meanwhile nothing more is sent: if the process dies, little is unknown.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use model::WorkerId;
use store::AttemptRecord;
use tokio::{
    sync::{Notify, mpsc},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Records of one transaction, at most.
const MAX_BATCH: usize = 512;

/// From the beginning of one transaction to that of the next, at least.
const MIN_BATCH_INTERVAL: Duration = Duration::from_millis(10);

/// Nothing more is sent when so many attempts have no record yet.
const MAX_UNWRITTEN: usize = 1024;

/// From a failed transaction to the next try.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// How long a process that stops goes on trying to write its last records.
const SHUTDOWN_RETRY_TIMEOUT: Duration = Duration::from_secs(15);

/// Takes records; the future that comes with it writes them.
#[derive(Clone)]
pub(super) struct Recorder {
    sender: mpsc::UnboundedSender<AttemptRecord>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    unwritten: AtomicUsize,
    is_failing: AtomicBool,
    /// Notified when a recorder that had fallen behind has written something.
    caught_up: Notify,
}

impl Recorder {
    /// The recorder, and the future that writes: it ends when all recorders are dropped and all is
    /// written.
    pub(super) fn new(
        app: Arc<App>,
        worker: WorkerId,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, records) = mpsc::unbounded_channel();
        let state = Arc::new(State::default());
        let writing = write(app, worker, records, Arc::clone(&state), stop);
        (Self { sender, state }, writing)
    }

    /// Takes a record, which is written soon.
    pub(super) fn record(&self, record: AttemptRecord) {
        self.state.unwritten.fetch_add(1, Ordering::Relaxed);
        if self.sender.send(record).is_err() {
            tracing::error!("an attempt was not recorded: the recorder is gone");
        }
    }

    /// Whether records are written as quickly as they come.
    pub(super) fn keeps_up(&self) -> bool {
        !self.state.is_failing.load(Ordering::Relaxed)
            && self.state.unwritten.load(Ordering::Relaxed) < MAX_UNWRITTEN
    }

    /// Resolves when a recorder that did not keep up has written something.
    pub(super) async fn caught_up(&self) {
        self.state.caught_up.notified().await;
    }
}

async fn write(
    app: Arc<App>,
    worker: WorkerId,
    mut records: mpsc::UnboundedReceiver<AttemptRecord>,
    state: Arc<State>,
    stop: CancellationToken,
) {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    let mut interval = tokio::time::interval(MIN_BATCH_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while records.recv_many(&mut batch, MAX_BATCH).await > 0 {
        if !write_batch(&app, &worker, &batch, &state, &stop).await {
            return;
        }
        let before = state.unwritten.fetch_sub(batch.len(), Ordering::Relaxed);
        if before >= MAX_UNWRITTEN || state.is_failing.swap(false, Ordering::Relaxed) {
            state.caught_up.notify_one();
        }
        batch.clear();
        interval.tick().await;
    }
}

/// Writes a batch, trying again for as long as it fails. Returns false only when the process stops and it
/// could not be written in time.
async fn write_batch(
    app: &App,
    worker: &WorkerId,
    batch: &[AttemptRecord],
    state: &State,
    stop: &CancellationToken,
) -> bool {
    let mut failing_since_stop: Option<Instant> = None;
    loop {
        let error = match app.store.record_attempts(worker, batch).await {
            Ok(lost) => {
                for callback_id in lost {
                    tracing::warn!(%callback_id, "an attempt was not recorded: another sender has the callback");
                }
                return true;
            }
            Err(error) => error,
        };
        if !state.is_failing.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, attempts = batch.len(), "could not record attempts; nothing more is sent until it is done");
        }
        if stop.is_cancelled()
            && failing_since_stop.get_or_insert_with(Instant::now).elapsed() > SHUTDOWN_RETRY_TIMEOUT
        {
            tracing::error!(
                attempts = batch.len(),
                "stopped without a record of attempts; they are made again"
            );
            return false;
        }
        tokio::time::sleep(RETRY_DELAY).await;
    }
}
