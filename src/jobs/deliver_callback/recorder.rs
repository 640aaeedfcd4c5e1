//! The recorder: writes what came of attempts, many in one transaction.
//!
//! Whatever ended since the last transaction began is in the next one, and they do not follow each other
//! at once: a transaction of one record costs nearly as much as one of a hundred. A record that cannot be
//! written is written again, for as long as the process lives: a callback is never sent again because
//! of that alone. Meanwhile nothing more is sent, so that little is unknown if the process dies.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use model::WorkerId;
use store::Record;
use tokio::{
    sync::{Notify, mpsc},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Records of one transaction, at most.
const GROUP: usize = 512;

/// From the beginning of one transaction to that of the next, at least.
const PACE: Duration = Duration::from_millis(10);

/// Attempts without a record beyond which nothing more is sent.
const MOST: usize = 1024;

/// How long to wait before a failed transaction is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// How long the records of a process that stops are tried to be written.
const LAST_WORDS: Duration = Duration::from_secs(15);

/// Where records go.
#[derive(Clone)]
pub(super) struct Recorder {
    sender: mpsc::UnboundedSender<Record>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    unwritten: AtomicUsize,
    failing: AtomicBool,
    written: Notify,
}

impl Recorder {
    /// The recorder, and what writes: it ends when all recorders are dropped and all is written.
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
    pub(super) fn keep(&self, record: Record) {
        self.state.unwritten.fetch_add(1, Ordering::Relaxed);
        if self.sender.send(record).is_err() {
            tracing::error!("an attempt was not recorded: the recorder is gone");
        }
    }

    /// Whether records are written as quickly as they come.
    pub(super) fn keeps_up(&self) -> bool {
        !self.state.failing.load(Ordering::Relaxed) && self.state.unwritten.load(Ordering::Relaxed) < MOST
    }

    /// Resolves when a recorder that did not keep up has written something.
    pub(super) async fn wrote(&self) {
        self.state.written.notified().await;
    }
}

async fn write(
    app: Arc<App>,
    worker: WorkerId,
    mut records: mpsc::UnboundedReceiver<Record>,
    state: Arc<State>,
    stop: CancellationToken,
) {
    let mut group = Vec::with_capacity(GROUP);
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while records.recv_many(&mut group, GROUP).await > 0 {
        if !write_group(&app, &worker, &group, &state, &stop).await {
            return;
        }
        let before = state.unwritten.fetch_sub(group.len(), Ordering::Relaxed);
        if before >= MOST || state.failing.swap(false, Ordering::Relaxed) {
            state.written.notify_one();
        }
        group.clear();
        pace.tick().await;
    }
}

/// Writes a group, however often that has to be tried. Gives whether it was written.
async fn write_group(
    app: &App,
    worker: &WorkerId,
    group: &[Record],
    state: &State,
    stop: &CancellationToken,
) -> bool {
    let mut last = None;
    loop {
        let error = match app.store.record_attempts(worker, group).await {
            Ok(lost) => {
                for callback_id in lost {
                    tracing::warn!(%callback_id, "an attempt was not recorded: another sender has the callback");
                }
                return true;
            }
            Err(error) => error,
        };
        if !state.failing.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, attempts = group.len(), "could not record attempts; nothing more is sent until it is done");
        }
        if stop.is_cancelled() {
            let last = last.get_or_insert_with(std::time::Instant::now);
            if last.elapsed() > LAST_WORDS {
                tracing::error!(
                    attempts = group.len(),
                    "stopped without a record of attempts; they are made again"
                );
                return false;
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}
