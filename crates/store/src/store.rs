//! The store: opening the database, bringing its schema up to date, and what every query needs.

use std::sync::Arc;

use model::{Clock, Storage, Task, Timestamp};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait, RuntimeErr, Statement};
use sea_orm_migration::MigratorTrait;
use tokio::{
    sync::{Mutex, Notify},
    task::JoinHandle,
};

use crate::{
    caller::CallerContext,
    cipher::Cipher,
    clock::DatabaseClock,
    connections::Connections,
    entities::storage,
    error::Result,
    migrations::Migrator,
    storages,
    wakeups::{self, TaskChanges, Wakeups, WokenQueues},
};

/// Held while the schema changes, so that two processes that start at once take turns; the number is
/// any that nobody else uses on this database.
const MIGRATION_LOCK: &str = "SELECT pg_advisory_xact_lock(7815205126)";

/// Composes a callback's body from its storage and its tasks as they ended. The store keeps the
/// bytes and knows nothing of what is in them.
pub type Compose = fn(&Storage, &[Task]) -> Vec<u8>;

/// What a store needs.
pub struct StoreOptions {
    /// `sqlite://path?mode=rwc` or `postgres://…`.
    pub url: String,
    /// Encrypts the secrets at rest.
    pub cipher: Cipher,
    /// The machine's clock; with PostgreSQL only its uptime is used.
    pub clock: Arc<dyn Clock>,
    /// Composes the body of a callback.
    pub compose: Compose,
}

/// The database. Cheap to clone; the last clone that is dropped closes it.
#[derive(Clone)]
pub struct Store {
    shared: Arc<StoreState>,
    /// Whom this clone writes for.
    pub(crate) caller: Option<Arc<CallerContext>>,
}

struct StoreState {
    connections: Connections,
    /// SQLite's writers of this process take turns by it.
    writer_lock: Mutex<()>,
    wakeups: Arc<Wakeups>,
    listener: Option<JoinHandle<()>>,
    cipher: Cipher,
    clock: Arc<DatabaseClock>,
    compose: Compose,
}

impl Drop for StoreState {
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            listener.abort();
        }
    }
}

impl Store {
    /// Connects, brings the schema up to date and, on PostgreSQL, listens for wake-ups.
    ///
    /// # Errors
    /// [`crate::StoreError::Database`] when it cannot be reached or migrated,
    /// [`crate::StoreError::Secret`] when its secrets were encrypted with another master key.
    pub async fn open(options: StoreOptions) -> Result<Self> {
        let store = Self::connect(options).await?;
        store.migrate().await?;
        store.sync_clock().await?;
        store.check_master_key().await?;
        Ok(store)
    }

    /// Connects as [`Store::open`] does, but leaves the schema as it is. Returns how many migrations a
    /// start would apply.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn pending_migrations(options: StoreOptions) -> Result<usize> {
        let store = Self::connect(options).await?;
        let pending = Migrator::get_pending_migrations(store.database()).await?.len();
        if pending == 0 {
            store.check_master_key().await?;
        }
        Ok(pending)
    }

    async fn connect(options: StoreOptions) -> Result<Self> {
        let connections = Connections::open(&options.url).await?;
        let (wakeups, listener) = if DbBackend::Postgres.is_prefix_of(&options.url) {
            let wakeups = Arc::new(Wakeups::announced(connections.unsynced_writes.clone()));
            let listener = wakeups::listen(&options.url, Arc::clone(&wakeups))
                .await
                .map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))?;
            (wakeups, Some(listener))
        } else {
            (Arc::new(Wakeups::default()), None)
        };
        let backend = connections.reads.get_database_backend();
        let shared = StoreState {
            connections,
            writer_lock: Mutex::new(()),
            wakeups,
            listener,
            cipher: options.cipher,
            clock: Arc::new(DatabaseClock::new(options.clock, backend)),
            compose: options.compose,
        };
        Ok(Self { shared: Arc::new(shared), caller: None })
    }

    async fn migrate(&self) -> Result<()> {
        let tx = self.transaction().await?;
        if tx.db.get_database_backend() == DbBackend::Postgres {
            tx.db.execute_raw(Statement::from_string(DbBackend::Postgres, MIGRATION_LOCK)).await?;
        }
        Migrator::up(&tx.db, None).await?;
        tx.commit().await
    }

    /// All secrets are encrypted with one master key, so any storage tells whether it is this one.
    async fn check_master_key(&self) -> Result<()> {
        match storage::Entity::find().one(self.database()).await? {
            Some(row) => storages::read(row, self.cipher()).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// [`crate::StoreError::Database`] when there is none.
    pub async fn ping(&self) -> Result<()> {
        Ok(self.database().ping().await?)
    }

    /// Notified when a job becomes claimable. Notifications may come for nothing and may be lost: claim
    /// until there is no more, and poll as well.
    pub fn jobs_ready(&self) -> &Notify {
        &self.shared.wakeups.jobs_ready
    }

    /// Notified when a callback becomes due; as with [`Store::jobs_ready`].
    pub fn callbacks_due(&self) -> &Notify {
        &self.shared.wakeups.callbacks_due
    }

    /// The changes of tasks that this process commits from now on.
    pub fn task_changes(&self) -> TaskChanges {
        self.shared.wakeups.task_changes()
    }

    /// The queues in which callbacks became due for the first time since the last call. When there may
    /// be others, [`Store::due_queues`] finds them.
    pub fn take_woken_queues(&self) -> WokenQueues {
        self.shared.wakeups.take_woken_queues()
    }

    /// For reads.
    pub(crate) fn database(&self) -> &DatabaseConnection {
        &self.shared.connections.reads
    }

    /// For writes whose commits wait for the disk.
    pub(crate) fn synced_writes(&self) -> &DatabaseConnection {
        &self.shared.connections.synced_writes
    }

    /// For writes whose commits do not wait for the disk.
    pub(crate) fn unsynced_writes(&self) -> &DatabaseConnection {
        &self.shared.connections.unsynced_writes
    }

    pub(crate) fn writer_lock(&self) -> &Mutex<()> {
        &self.shared.writer_lock
    }

    pub(crate) fn wakeups(&self) -> &Wakeups {
        &self.shared.wakeups
    }

    pub(crate) fn cipher(&self) -> &Cipher {
        &self.shared.cipher
    }

    /// The present time, as it is stored for people to see.
    pub(crate) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    pub(crate) fn database_clock(&self) -> Arc<DatabaseClock> {
        Arc::clone(&self.shared.clock)
    }

    pub(crate) fn compose(&self, storage: &Storage, tasks: &[Task]) -> Vec<u8> {
        (self.shared.compose)(storage, tasks)
    }
}
