//! Opening the database: connections, schema, the master key's proof, wake-ups.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use model::{Clock, Storage, Task, Timestamp};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, EntityTrait, RuntimeErr,
    Statement,
    sqlx::{
        Connection as _, Executor as _, Sqlite,
        pool::PoolOptions,
        sqlite::{SqliteJournalMode, SqliteSynchronous},
    },
};
use sea_orm_migration::MigratorTrait;
use tokio::{
    sync::{Mutex, Notify},
    task::JoinHandle,
};

use crate::{
    Behalf, Cipher, Result,
    entities::storage,
    migrations::Migrator,
    storages,
    wakeups::{self, TaskChanges, Wakeups},
};

/// How long SQLite waits for another process's write.
const BUSY: Duration = Duration::from_secs(15);

const CONNECTIONS: u32 = 16;

/// Connections to PostgreSQL whose commits do not wait for the disk.
const UNSYNCED: u32 = 2;

/// Rows that SQLite's thread reads ahead of who asked for them.
const ROWS: usize = 1024;

/// A connection that was idle for longer is tried before it is used, where not each is: the server may
/// have been restarted.
const IDLE: Duration = Duration::from_secs(1);

/// Held while the schema changes, so that two processes that start at once take turns; any number
/// that is only ours.
const MIGRATION_LOCK: &str = "SELECT pg_advisory_xact_lock(7815205126)";

/// Writes a callback's body from its storage and its tasks as they ended. The store keeps the
/// bytes and knows nothing of what is in them.
pub type Compose = fn(&Storage, &[Task]) -> Vec<u8>;

/// What a store needs.
pub struct StoreOptions {
    /// `sqlite://path?mode=rwc` or `postgres://…`.
    pub url: String,
    /// Seals the secrets at rest.
    pub cipher: Cipher,
    /// Where "now" comes from.
    pub clock: Arc<dyn Clock>,
    /// Writes the body of a callback.
    pub compose: Compose,
}

/// The database. Cheap to clone; the last clone that is dropped closes it.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    pub(crate) behalf: Option<Arc<Behalf>>,
}

struct Shared {
    database: DatabaseConnection,
    writing: Writing,
    writers: Mutex<()>,
    wakeups: Arc<Wakeups>,
    listener: Option<JoinHandle<()>>,
    cipher: Cipher,
    clock: Arc<dyn Clock>,
    compose: Compose,
}

/// Connections for writing. SQLite's writers take turns, so one connection of each kind is enough; and as
/// the pages that it has read stay true while nobody else writes, it need not read them again for each
/// transaction.
struct Writing {
    synced: DatabaseConnection,
    /// Its commits do not wait for the disk.
    unsynced: DatabaseConnection,
}

impl Drop for Shared {
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
    /// [`StoreError::Database`] when it cannot be reached or migrated, [`StoreError::Secret`] when
    /// its secrets were sealed with another master key.
    pub async fn open(options: StoreOptions) -> Result<Self> {
        let store = Self::connect(options).await?;
        store.migrate().await?;
        store.prove_key().await?;
        Ok(store)
    }

    /// Connects as [`Store::open`] does, but leaves the schema as it is: how many migrations a start
    /// would bring.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn inspect(options: StoreOptions) -> Result<usize> {
        let store = Self::connect(options).await?;
        let pending = Migrator::get_pending_migrations(store.database()).await?.len();
        if pending == 0 {
            store.prove_key().await?;
        }
        Ok(pending)
    }

    async fn connect(options: StoreOptions) -> Result<Self> {
        let postgres = DbBackend::Postgres.is_prefix_of(&options.url);
        let database = connect(&options.url, true, CONNECTIONS).await?;
        let writing = Writing {
            synced: if postgres { database.clone() } else { connect(&options.url, true, 1).await? },
            unsynced: connect(&options.url, false, if postgres { UNSYNCED } else { 1 }).await?,
        };
        let wakeups = Arc::new(match postgres {
            true => Wakeups::announced(writing.unsynced.clone()),
            false => Wakeups::default(),
        });
        let listener = match postgres {
            true => Some(
                wakeups::listen(&options.url, wakeups.clone())
                    .await
                    .map_err(|error| sea_orm::DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))?,
            ),
            false => None,
        };
        Ok(Self {
            shared: Arc::new(Shared {
                database,
                writing,
                writers: Mutex::new(()),
                wakeups,
                listener,
                cipher: options.cipher,
                clock: options.clock,
                compose: options.compose,
            }),
            behalf: None,
        })
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// [`StoreError::Database`] when there is none.
    pub async fn ping(&self) -> Result<()> {
        Ok(self.database().ping().await?)
    }

    /// Woken when a job becomes claimable. Wake-ups may come for nothing and may be missed: claim
    /// until there is no more, and poll as well.
    pub fn jobs_ready(&self) -> &Notify {
        &self.shared.wakeups.jobs_ready
    }

    /// Woken when a callback becomes due; as with [`Store::jobs_ready`].
    pub fn callbacks_due(&self) -> &Notify {
        &self.shared.wakeups.callbacks_due
    }

    /// The changes of tasks that this process commits from now on.
    pub fn task_changes(&self) -> TaskChanges {
        self.shared.wakeups.task_changes()
    }

    /// The queues in which callbacks became due for the first time since the last call, and whether
    /// there may be others: then look with [`Store::ready_receivers`].
    pub fn take_due(&self) -> (BTreeSet<String>, bool) {
        self.shared.wakeups.take_due()
    }

    async fn migrate(&self) -> Result<()> {
        let write = self.begin().await?;
        if write.tx.get_database_backend() == DbBackend::Postgres {
            write.tx.execute_raw(Statement::from_string(DbBackend::Postgres, MIGRATION_LOCK)).await?;
        }
        Migrator::up(&write.tx, None).await?;
        write.commit().await
    }

    /// Every storage is sealed with the same key, so one of them tells whether it is this one.
    async fn prove_key(&self) -> Result<()> {
        match storage::Entity::find().one(self.database()).await? {
            Some(row) => storages::read(row, self.cipher()).map(|_| ()),
            None => Ok(()),
        }
    }

    pub(crate) fn database(&self) -> &DatabaseConnection {
        &self.shared.database
    }

    /// For transactions that write, and whether their commits wait for the disk.
    pub(crate) fn writing(&self, synced: bool) -> &DatabaseConnection {
        if synced { &self.shared.writing.synced } else { &self.shared.writing.unsynced }
    }

    pub(crate) fn writers(&self) -> &Mutex<()> {
        &self.shared.writers
    }

    pub(crate) fn wakeups(&self) -> &Wakeups {
        &self.shared.wakeups
    }

    pub(crate) fn cipher(&self) -> &Cipher {
        &self.shared.cipher
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    pub(crate) fn compose(&self, storage: &Storage, tasks: &[Task]) -> Vec<u8> {
        (self.shared.compose)(storage, tasks)
    }
}

/// When SQLite itself undoes a transaction (its disk is full, a write failed), the driver's ROLLBACK
/// fails, and from then on it takes the connection to be inside of a transaction: what it "commits"
/// there nobody ever sees. Such a connection is closed instead of used again.
fn without_lost_transactions(pool: PoolOptions<Sqlite>) -> PoolOptions<Sqlite> {
    pool.after_release(|connection, _| {
        Box::pin(async move {
            if connection.is_in_transaction() {
                // what was begun to be rolled back is done before this is answered
                connection.ping().await?;
            }
            Ok(!connection.is_in_transaction())
        })
    })
}

/// So many connections; `synced`: their commits wait for the disk.
async fn connect(url: &str, synced: bool, connections: u32) -> Result<DatabaseConnection> {
    let synchronous = if synced { SqliteSynchronous::Full } else { SqliteSynchronous::Normal };
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .acquire_timeout(BUSY)
        .sqlx_logging(false)
        .map_sqlx_sqlite_pool_opts(without_lost_transactions)
        .map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .create_if_missing(true)
                .busy_timeout(BUSY)
                .row_buffer_size(ROWS)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(synchronous)
                .foreign_keys(true)
        });
    // who makes a call does not learn that the server was restarted; who claims tries again anyway
    if !synced || DbBackend::Sqlite.is_prefix_of(url) {
        options.test_before_acquire_if_idle_for(IDLE);
    }
    if !synced {
        options.map_sqlx_postgres_pool_opts(|pool| {
            pool.after_connect(|connection, _| {
                Box::pin(async move { connection.execute("SET synchronous_commit TO off").await.map(drop) })
            })
        });
    }
    Ok(Database::connect(options).await?)
}
