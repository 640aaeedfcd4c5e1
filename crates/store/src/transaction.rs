//! Write transactions: the one way to write.
//!
//! On SQLite every one is IMMEDIATE: a deferred transaction that turns into a write fails with BUSY
//! whatever the timeout. Inside the process SQLite's writers also queue for a mutex, which is fair;
//! SQLite's own waiting is not. A transaction that is dropped without
//! [`WriteTransaction::commit`] is rolled back.

use model::{CallbackId, StorageId, TaskId};
use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbBackend, IsolationLevel, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};
use tokio::sync::MutexGuard;

use crate::{error::Result, store::Store, wakeups::PendingWakeups};

/// An open write transaction, and what its commit sets off.
pub(crate) struct WriteTransaction<'a> {
    /// What the statements run on.
    pub(crate) db: DatabaseTransaction,
    store: &'a Store,
    wakeups: PendingWakeups,
    callbacks_owed: Vec<OwedCallback>,
    // declared after `db`, so that the transaction ends before the next writer begins
    _writer_lock: Option<MutexGuard<'a, ()>>,
}

/// A callback that a transaction makes owed: the first line about it in the log.
pub(crate) struct OwedCallback {
    pub(crate) id: CallbackId,
    pub(crate) storage_id: StorageId,
    pub(crate) first_task: TaskId,
    pub(crate) task_count: usize,
}

impl Store {
    /// Begins a write transaction, and stores the caller's idempotent answer as its first write.
    ///
    /// # Errors
    /// [`crate::StoreError::AlreadyAnswered`] when the caller's call was answered before.
    pub(crate) async fn transaction(&self) -> Result<WriteTransaction<'_>> {
        let tx = self.begin_write(self.synced_writes()).await?;
        self.insert_idempotent_answer(&tx).await?;
        Ok(tx)
    }

    /// Begins a write transaction whose commit does not wait for the disk: a power cut may undo it,
    /// though never in part. For claims and heartbeats, which then are as if never made.
    pub(crate) async fn unsynced_transaction(&self) -> Result<WriteTransaction<'_>> {
        self.begin_write(self.unsynced_writes()).await
    }

    /// Begins a read transaction: all that is read within it is of one moment.
    pub(crate) async fn snapshot(&self) -> Result<DatabaseTransaction> {
        // SQLite's transactions read a snapshot anyway
        let isolation_level = match self.database().get_database_backend() {
            DbBackend::Postgres => Some(IsolationLevel::RepeatableRead),
            _ => None,
        };
        let options = TransactionOptions { isolation_level, ..Default::default() };
        Ok(self.database().begin_with_options(options).await?)
    }

    async fn begin_write(&self, database: &DatabaseConnection) -> Result<WriteTransaction<'_>> {
        let mut options = TransactionOptions::default();
        let mut writer_lock = None;
        if database.get_database_backend() == DbBackend::Sqlite {
            options.sqlite_transaction_mode = Some(SqliteTransactionMode::Immediate);
            writer_lock = Some(self.writer_lock().lock().await);
        }
        Ok(WriteTransaction {
            db: database.begin_with_options(options).await?,
            store: self,
            wakeups: PendingWakeups::default(),
            callbacks_owed: Vec::new(),
            _writer_lock: writer_lock,
        })
    }
}

impl WriteTransaction<'_> {
    /// A job becomes claimable with the commit.
    pub(crate) fn wake_jobs(&mut self) {
        self.wakeups.jobs = true;
    }

    /// The state of a task changes with the commit.
    pub(crate) fn task_changed(&mut self, id: &TaskId) {
        self.wakeups.tasks.push(id.clone());
    }

    /// A callback that was never tried becomes due in this queue with the commit.
    pub(crate) fn wake_callbacks(&mut self, queue: &str) {
        self.wakeups.callback_queues.insert(queue.to_owned());
    }

    /// Callbacks may become due in any queue with the commit.
    pub(crate) fn wake_all_callbacks(&mut self) {
        self.wakeups.all_callback_queues = true;
    }

    /// A callback becomes owed, and due in this queue, with the commit.
    pub(crate) fn callback_owed(&mut self, callback: OwedCallback, queue: &str) {
        self.wake_callbacks(queue);
        self.callbacks_owed.push(callback);
    }

    /// Commits, then logs the callbacks that are owed now and wakes who waits for what is ready.
    pub(crate) async fn commit(self) -> Result<()> {
        self.db.commit().await?;
        for OwedCallback { id, storage_id, first_task, task_count } in self.callbacks_owed {
            tracing::info!(
                callback_id = %id,
                storage_id = %storage_id,
                task_id = %first_task,
                tasks = task_count,
                "callback owed"
            );
        }
        self.store.wakeups().announce(&self.wakeups);
        self.store.wakeups().wake(self.wakeups);
        Ok(())
    }
}
