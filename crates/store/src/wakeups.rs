//! Wake-ups: whoever waits for work is poked as soon as a transaction that made some is committed.
//!
//! A wake-up makes it quick, never certain: it may be lost or come for nothing, so its receivers
//! poll as well and look for work until there is none. On PostgreSQL it crosses processes: one connection
//! listens, and what transactions made is announced after they are committed. `NOTIFY` within them would
//! make them wait for each other's disk.

use std::{
    collections::BTreeSet,
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

use crate::{StoreError, column};

const JOBS: &str = "borealis_jobs";
const CALLBACKS: &str = "borealis_callbacks";

/// How long to wait before a lost connection is tried again.
const RECONNECT: Duration = Duration::from_secs(1);

/// Any receiver: whoever is woken has to look.
const ANY: &str = "";

/// PostgreSQL takes less than 8000 bytes; longer names, which no host has, are looked for.
const LONGEST: usize = 4000;

/// Receivers that are kept for whoever asks; beyond that he has to look.
const MOST: usize = 4096;

/// Changes of tasks that are kept for whoever is slow to look.
const CHANGES: usize = 1024;

/// The two things that are waited for.
pub(crate) struct Wakeups {
    pub(crate) jobs_ready: Notify,
    pub(crate) callbacks_due: Notify,
    changes: broadcast::Sender<TaskId>,
    receivers: Mutex<BTreeSet<String>>,
    /// What is told to other processes; none where there are none.
    announcements: Option<mpsc::UnboundedSender<Announcement>>,
    /// Tells our own announcements from those of other processes.
    process: String,
}

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct Announcement {
    channel: &'static str,
    payload: String,
}

impl Default for Wakeups {
    fn default() -> Self {
        Self {
            jobs_ready: Notify::new(),
            callbacks_due: Notify::new(),
            changes: broadcast::Sender::new(CHANGES),
            receivers: Mutex::default(),
            announcements: None,
            process: format!("{:016x}", rand::rng().next_u64()),
        }
    }
}

/// What a transaction made ready.
#[derive(Default)]
pub(crate) struct Made {
    pub(crate) jobs: bool,
    /// The receivers of callbacks that are due.
    pub(crate) callbacks: BTreeSet<String>,
    /// Tasks whose state is another now.
    pub(crate) tasks: Vec<TaskId>,
}

/// The changes of tasks that this process commits.
#[derive(Debug)]
pub struct TaskChanges(broadcast::Receiver<TaskId>);

impl TaskChanges {
    /// Returns when the task may have changed. Changes by other processes are not heard: look now
    /// and then as well.
    pub async fn of(&mut self, id: &TaskId) {
        // whoever is too slow has missed something, which may be this task
        while self.0.recv().await.is_ok_and(|changed| changed != *id) {}
    }
}

impl Made {
    /// Anything may be ready.
    fn anything() -> Self {
        Self { jobs: true, callbacks: BTreeSet::from([ANY.to_owned()]), tasks: Vec::new() }
    }
}

impl Wakeups {
    /// Wake-ups of which the other processes on this database are told.
    pub(crate) fn announced(database: DatabaseConnection) -> Self {
        let (sender, announcements) = mpsc::unbounded_channel();
        tokio::spawn(tell(database, announcements));
        Self { announcements: Some(sender), ..Self::default() }
    }

    /// The changes of tasks from now on.
    pub(crate) fn task_changes(&self) -> TaskChanges {
        TaskChanges(self.changes.subscribe())
    }

    pub(crate) fn wake(&self, made: Made) {
        for task in made.tasks {
            // an error says that nobody listens
            let _ = self.changes.send(task);
        }
        if made.jobs {
            poke(&self.jobs_ready);
        }
        if !made.callbacks.is_empty() {
            let mut receivers = self.receivers.lock().unwrap_or_else(PoisonError::into_inner);
            receivers.extend(made.callbacks);
            if receivers.len() > MOST {
                *receivers = BTreeSet::from([ANY.to_owned()]);
            }
            drop(receivers);
            poke(&self.callbacks_due);
        }
    }

    /// Tells the other processes what a transaction made.
    pub(crate) fn announce(&self, made: &Made) {
        let Some(announcements) = &self.announcements else { return };
        let jobs = made.jobs.then_some((JOBS, ANY));
        let callbacks = made.callbacks.iter().map(|receiver| (CALLBACKS, receiver.as_str()));
        for (channel, what) in jobs.into_iter().chain(callbacks) {
            let what = if what.len() > LONGEST { ANY } else { what };
            let payload = format!("{} {what}", self.process);
            // it ends after all that announce
            let _ = announcements.send(Announcement { channel, payload });
        }
    }

    /// The receivers that were announced since the last time, and whether there may be others.
    pub(crate) fn take_due(&self) -> (BTreeSet<String>, bool) {
        let mut due = std::mem::take(&mut *self.receivers.lock().unwrap_or_else(PoisonError::into_inner));
        let any = due.remove(ANY);
        (due, any)
    }

    /// What another process announced.
    fn heard(&self, notification: &PgNotification) -> Made {
        let (process, receiver) = notification.payload().split_once(' ').unwrap_or_default();
        if process == self.process {
            return Made::default();
        }
        match notification.channel() {
            JOBS => Made { jobs: true, ..Made::default() },
            _ => Made { callbacks: BTreeSet::from([receiver.to_owned()]), ..Made::default() },
        }
    }
}

/// Wakes all that wait, and the next one that will.
fn poke(notify: &Notify) {
    notify.notify_waiters();
    notify.notify_one();
}

/// Tells the other processes, as long as there is something that may be announced.
async fn tell(database: DatabaseConnection, mut announcements: mpsc::UnboundedReceiver<Announcement>) {
    const NOTIFY: &str = "SELECT pg_notify(channel, payload) \
        FROM jsonb_to_recordset($1::jsonb) AS made(channel text, payload text)";
    let mut made = Vec::new();
    while announcements.recv_many(&mut made, MOST).await > 0 {
        let different: BTreeSet<_> = made.drain(..).collect();
        let told = match column::to_json("announcements", &different) {
            Ok(json) => {
                let notify = Statement::from_sql_and_values(DbBackend::Postgres, NOTIFY, [json.into()]);
                database.execute_raw(notify).await.map(drop).map_err(StoreError::from)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = told {
            tracing::warn!(%error, "other processes find out late that there is work");
        }
    }
}

/// Listens until the handle is aborted.
pub(crate) async fn listen(url: &str, wakeups: Arc<Wakeups>) -> Result<JoinHandle<()>, sqlx::Error> {
    let mut listener = PgListener::connect(url).await?;
    listener.listen_all([JOBS, CALLBACKS]).await?;
    Ok(tokio::spawn(async move {
        loop {
            match listener.try_recv().await {
                Ok(Some(notification)) => wakeups.wake(wakeups.heard(&notification)),
                // the connection was lost and is there again: anything may have been missed
                Ok(None) => wakeups.wake(Made::anything()),
                Err(error) => {
                    tracing::warn!(%error, "wake-ups from the database are late: the connection is lost");
                    tokio::time::sleep(RECONNECT).await;
                }
            }
        }
    }))
}
