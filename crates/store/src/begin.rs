//! The one way to write: a transaction that is a writer from its first statement.
//!
//! On SQLite a deferred transaction that turns into a write fails with BUSY whatever the timeout, so
//! every one is IMMEDIATE; inside the process writers take turns in order, which SQLite's own
//! waiting does not give. Dropping it without [`Write::commit`] undoes it.

use model::{CallbackId, StorageId, TaskId};
use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbBackend, IsolationLevel, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};
use tokio::sync::MutexGuard;

use crate::{Result, Store, wakeups::Made};

/// A callback that a transaction makes owed, for the log: its story begins with it.
pub(crate) struct Owed {
    pub(crate) callback: CallbackId,
    pub(crate) storage: StorageId,
    /// The first of the tasks that it tells about, and how many they are.
    pub(crate) task: TaskId,
    pub(crate) tasks: usize,
}

/// An open write transaction.
pub(crate) struct Write<'a> {
    pub(crate) tx: DatabaseTransaction,
    store: &'a Store,
    made: Made,
    owed: Vec<Owed>,
    // after `tx`, so that it is dropped last
    _turn: Option<MutexGuard<'a, ()>>,
}

impl Store {
    /// Begins a write transaction.
    pub(crate) async fn begin(&self) -> Result<Write<'_>> {
        let write = self.begin_on(self.writing(true)).await?;
        self.keep_answer(&write).await?;
        Ok(write)
    }

    /// Begins a write transaction that a power cut may undo after it was committed, though never in
    /// part: it does not wait for the disk. For claims, which then are as if never made.
    pub(crate) async fn begin_unsynced(&self) -> Result<Write<'_>> {
        self.begin_on(self.writing(false)).await
    }

    /// Begins to read: what is read within it is of one moment.
    pub(crate) async fn snapshot(&self) -> Result<DatabaseTransaction> {
        let postgres = self.database().get_database_backend() == DbBackend::Postgres;
        let options = TransactionOptions {
            // SQLite's always are
            isolation_level: postgres.then_some(IsolationLevel::RepeatableRead),
            ..Default::default()
        };
        Ok(self.database().begin_with_options(options).await?)
    }

    async fn begin_on(&self, database: &DatabaseConnection) -> Result<Write<'_>> {
        let sqlite = database.get_database_backend() == DbBackend::Sqlite;
        let turn = if sqlite { Some(self.writers().lock().await) } else { None };
        let options = TransactionOptions {
            sqlite_transaction_mode: sqlite.then_some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        let tx = database.begin_with_options(options).await?;
        Ok(Write { tx, store: self, made: Made::default(), owed: Vec::new(), _turn: turn })
    }
}

impl Write<'_> {
    /// Says that the transaction made a job claimable.
    pub(crate) fn made_job(&mut self) {
        self.made.jobs = true;
    }

    /// Says that the transaction changed the state of a task.
    pub(crate) fn changed_task(&mut self, id: &TaskId) {
        self.made.tasks.push(id.clone());
    }

    /// Says that the transaction made a callback due that was not tried before, in this queue; with
    /// the empty name: anything, anywhere.
    pub(crate) fn made_callback(&mut self, receiver: &str) {
        self.made.callbacks.insert(receiver.to_owned());
    }

    /// Says that the transaction owes somebody a callback, in this queue.
    pub(crate) fn owes(&mut self, owed: Owed, receiver: &str) {
        self.made_callback(receiver);
        self.owed.push(owed);
    }

    /// Makes it so, and wakes whoever waits for it.
    pub(crate) async fn commit(self) -> Result<()> {
        self.tx.commit().await?;
        for Owed { callback, storage, task, tasks } in self.owed {
            tracing::info!(callback_id = %callback, storage_id = %storage, task_id = %task, tasks, "callback owed");
        }
        self.store.wakeups().announce(&self.made);
        self.store.wakeups().wake(self.made);
        Ok(())
    }
}
