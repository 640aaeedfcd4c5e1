//! Wake-ups: whoever waits for work is notified as soon as a transaction that made some is committed.
//!
//! A wake-up makes it quick, never certain: it may be lost or come for nothing, so whoever waits polls
//! as well, and takes work until there is none. On PostgreSQL wake-ups cross processes (LISTEN/NOTIFY):
//! one connection listens, and what transactions made ready is announced after they are committed.
//! `NOTIFY` within them would make them wait for each other: PostgreSQL commits such transactions one
//! after the other.

use std::{
    collections::BTreeSet,
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use model::TaskId;
use rand::Rng as _;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};
use serde::Serialize;
use sqlx::postgres::{PgListener, PgNotification};
use tokio::{
    sync::{Notify, broadcast, mpsc},
    task::JoinHandle,
};

use crate::{convert, error::StoreError};

const JOBS_CHANNEL: &str = "borealis_jobs";
const CALLBACKS_CHANNEL: &str = "borealis_callbacks";

/// How a payload names no callback queue in particular: the listener has to look at all of them.
const ANY_QUEUE: &str = "";

/// The longest name of a queue that is announced. A payload of NOTIFY has less than 8000 bytes; in place
/// of a longer name, which no host has, [`ANY_QUEUE`] is announced.
const MAX_ANNOUNCED_NAME_BYTES: usize = 4000;

/// Announcements that one statement sends.
const MAX_ANNOUNCEMENTS_PER_STATEMENT: usize = 4096;

const NOTIFY: &str = "SELECT pg_notify(channel, payload) \
    FROM jsonb_to_recordset($1::jsonb) AS made(channel text, payload text)";

/// Names of queues that are kept until somebody takes them; with more, the taker has to look at all.
const MAX_WOKEN_QUEUES: usize = 4096;

/// Changes of tasks that are kept for a subscriber that is slow to receive them.
const TASK_CHANGES_CAPACITY: usize = 1024;

/// How long to wait before a lost connection of the listener is opened again.
const RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// Who waits in this process, and how other processes are told.
pub(crate) struct Wakeups {
    pub(crate) jobs_ready: Notify,
    pub(crate) callbacks_due: Notify,
    woken_queues: Mutex<WokenQueues>,
    task_changes: broadcast::Sender<TaskId>,
    /// To the task that sends announcements; none where there are no other processes.
    announcements: Option<mpsc::UnboundedSender<Announcement>>,
    /// Tells our own announcements from those of other processes.
    process: String,
}

/// What the commit of a transaction wakes.
#[derive(Default)]
pub(crate) struct PendingWakeups {
    /// A job became claimable.
    pub(crate) jobs: bool,
    /// Queues in which a callback became due.
    pub(crate) callback_queues: BTreeSet<String>,
    /// Callbacks may have become due in any queue.
    pub(crate) all_callback_queues: bool,
    /// Tasks whose state changed.
    pub(crate) tasks: Vec<TaskId>,
}

/// The callback queues that were woken since the last look at them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WokenQueues {
    /// The names of queues in which something became due.
    pub names: BTreeSet<String>,
    /// Whether something may have become due in any other.
    pub any_other: bool,
}

/// The changes of tasks that this process commits.
#[derive(Debug)]
pub struct TaskChanges(broadcast::Receiver<TaskId>);

/// The arguments of one `pg_notify`.
#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct Announcement {
    channel: &'static str,
    payload: String,
}

impl TaskChanges {
    /// Returns when the task may have changed. What other processes change is not seen: read the task
    /// now and then as well.
    pub async fn wait_for(&mut self, id: &TaskId) {
        // an error says that changes were missed because this was slow; one may have been this task's
        while self.0.recv().await.is_ok_and(|changed| changed != *id) {}
    }
}

impl Default for Wakeups {
    fn default() -> Self {
        Self {
            jobs_ready: Notify::new(),
            callbacks_due: Notify::new(),
            woken_queues: Mutex::default(),
            task_changes: broadcast::Sender::new(TASK_CHANGES_CAPACITY),
            announcements: None,
            process: format!("{:016x}", rand::rng().next_u64()),
        }
    }
}

impl Wakeups {
    /// Wake-ups that are announced to the other processes on this PostgreSQL database.
    pub(crate) fn announced(database: DatabaseConnection) -> Self {
        let (sender, announcements) = mpsc::unbounded_channel();
        tokio::spawn(send_announcements(database, announcements));
        Self { announcements: Some(sender), ..Self::default() }
    }

    /// The changes of tasks from now on.
    pub(crate) fn task_changes(&self) -> TaskChanges {
        TaskChanges(self.task_changes.subscribe())
    }

    /// Wakes whoever waits in this process.
    pub(crate) fn wake(&self, wakeups: PendingWakeups) {
        for task in wakeups.tasks {
            // an error says that nobody subscribed
            let _ = self.task_changes.send(task);
        }
        if wakeups.jobs {
            notify(&self.jobs_ready);
        }
        if wakeups.all_callback_queues || !wakeups.callback_queues.is_empty() {
            let mut woken = self.woken_queues.lock().unwrap_or_else(PoisonError::into_inner);
            woken.any_other |= wakeups.all_callback_queues;
            woken.names.extend(wakeups.callback_queues);
            if woken.names.len() > MAX_WOKEN_QUEUES {
                *woken = WokenQueues { names: BTreeSet::new(), any_other: true };
            }
            drop(woken);
            notify(&self.callbacks_due);
        }
    }

    /// Tells the other processes what became ready.
    pub(crate) fn announce(&self, wakeups: &PendingWakeups) {
        let Some(announcements) = &self.announcements else { return };
        let announce = |channel, queue: &str| {
            let payload = format!("{} {queue}", self.process);
            // cannot fail: the receiving task ends only when every sender is gone
            let _ = announcements.send(Announcement { channel, payload });
        };
        if wakeups.jobs {
            announce(JOBS_CHANNEL, ANY_QUEUE);
        }
        if wakeups.all_callback_queues {
            announce(CALLBACKS_CHANNEL, ANY_QUEUE);
        }
        for queue in &wakeups.callback_queues {
            let is_short = queue.len() <= MAX_ANNOUNCED_NAME_BYTES;
            announce(CALLBACKS_CHANNEL, if is_short { queue } else { ANY_QUEUE });
        }
    }

    /// The callback queues that were woken since the last call.
    pub(crate) fn take_woken_queues(&self) -> WokenQueues {
        mem::take(&mut *self.woken_queues.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What another process announced; nothing when it was this one.
    fn parse(&self, notification: &PgNotification) -> PendingWakeups {
        let mut wakeups = PendingWakeups::default();
        let (process, queue) = notification.payload().split_once(' ').unwrap_or_default();
        if process == self.process {
            return wakeups;
        }
        if notification.channel() == JOBS_CHANNEL {
            wakeups.jobs = true;
        } else if queue == ANY_QUEUE {
            wakeups.all_callback_queues = true;
        } else {
            wakeups.callback_queues.insert(queue.to_owned());
        }
        wakeups
    }
}

/// Wakes all that wait now, and leaves a permit for the next one that will.
fn notify(notify: &Notify) {
    notify.notify_waiters();
    notify.notify_one();
}

/// Sends announcements until every sender is gone; those that came together in one statement, each of
/// equal ones once.
async fn send_announcements(
    database: DatabaseConnection,
    mut announcements: mpsc::UnboundedReceiver<Announcement>,
) {
    let mut received = Vec::new();
    while announcements.recv_many(&mut received, MAX_ANNOUNCEMENTS_PER_STATEMENT).await > 0 {
        let distinct: BTreeSet<Announcement> = received.drain(..).collect();
        if let Err(error) = send(&database, &distinct).await {
            tracing::warn!(%error, "could not tell other processes of new work; they find it when they poll");
        }
    }
}

async fn send(
    database: &DatabaseConnection,
    announcements: &BTreeSet<Announcement>,
) -> Result<(), StoreError> {
    let values = [convert::to_json("announcements", announcements)?.into()];
    database.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, NOTIFY, values)).await?;
    Ok(())
}

/// Listens for what other processes announce until the handle is aborted.
pub(crate) async fn listen(url: &str, wakeups: Arc<Wakeups>) -> Result<JoinHandle<()>, sqlx::Error> {
    let mut listener = PgListener::connect(url).await?;
    listener.listen_all([JOBS_CHANNEL, CALLBACKS_CHANNEL]).await?;
    Ok(tokio::spawn(async move {
        loop {
            match listener.try_recv().await {
                Ok(Some(notification)) => wakeups.wake(wakeups.parse(&notification)),
                // the connection was lost and is open again: any wake-up may have been missed
                Ok(None) => {
                    let missed =
                        PendingWakeups { jobs: true, all_callback_queues: true, ..Default::default() };
                    wakeups.wake(missed);
                }
                Err(error) => {
                    tracing::warn!(%error, "wake-ups from the database are late: the connection is lost");
                    tokio::time::sleep(RECONNECT_DELAY).await;
                }
            }
        }
    }))
}
