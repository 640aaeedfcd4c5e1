//! Connections: pools of them, and how each is set up.
//!
//! SQLite: WAL, `synchronous=FULL` (but for unsynced writes), foreign keys. Its writers take turns, so one
//! connection of each kind is enough for writing; and while nobody else writes, the pages that it has
//! cached stay valid from one transaction to the next.

use std::time::Duration;

use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DbBackend, DbErr, RuntimeErr,
    sqlx::{
        Connection as _, Executor as _, Sqlite,
        pool::PoolOptions,
        sqlite::{SqliteJournalMode, SqliteSynchronous},
    },
};

use crate::error::Result;

/// How long SQLite waits for another process's write, and how long a call waits for a free connection.
const BUSY_TIMEOUT: Duration = Duration::from_secs(15);

const MAX_CONNECTIONS: u32 = 16;

/// Connections to PostgreSQL whose commits do not wait for the disk.
const MAX_UNSYNCED_CONNECTIONS: u32 = 2;

/// Rows that SQLite's thread reads ahead of who asked for them.
const SQLITE_ROW_BUFFER: usize = 1024;

/// A pooled connection that was idle for longer is pinged before it is used: the server may have been
/// restarted meanwhile.
const MAX_UNTESTED_IDLE: Duration = Duration::from_secs(1);

/// The pools of a store.
pub(crate) struct Connections {
    /// For reads.
    pub(crate) reads: DatabaseConnection,
    /// For writes whose commits wait for the disk.
    pub(crate) synced_writes: DatabaseConnection,
    /// For writes whose commits do not wait for the disk: a power cut may undo them.
    pub(crate) unsynced_writes: DatabaseConnection,
}

impl Connections {
    /// # Errors
    /// When the URL cannot be read, or the database not be reached.
    pub(crate) async fn open(url: &str) -> Result<Self> {
        // SeaORM panics at what is no URL
        if let Err(problem) = url::Url::parse(url) {
            return Err(
                DbErr::Conn(RuntimeErr::Internal(format!("its URL cannot be read: {problem}"))).into()
            );
        }
        let reads = connect(url, Durability::Synced, MAX_CONNECTIONS).await?;
        if DbBackend::Postgres.is_prefix_of(url) {
            let unsynced_writes = connect(url, Durability::Unsynced, MAX_UNSYNCED_CONNECTIONS).await?;
            return Ok(Self { synced_writes: reads.clone(), unsynced_writes, reads });
        }
        Ok(Self {
            reads,
            synced_writes: connect(url, Durability::Synced, 1).await?,
            unsynced_writes: connect(url, Durability::Unsynced, 1).await?,
        })
    }
}

/// Whether commits wait for the disk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Durability {
    Synced,
    Unsynced,
}

async fn connect(url: &str, durability: Durability, max_connections: u32) -> Result<DatabaseConnection> {
    let synchronous = match durability {
        Durability::Synced => SqliteSynchronous::Full,
        Durability::Unsynced => SqliteSynchronous::Normal,
    };
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(max_connections)
        .acquire_timeout(BUSY_TIMEOUT)
        .sqlx_logging(false)
        .map_sqlx_sqlite_pool_opts(close_stuck_transactions)
        .map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .create_if_missing(true)
                .busy_timeout(BUSY_TIMEOUT)
                .row_buffer_size(SQLITE_ROW_BUFFER)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(synchronous)
                .foreign_keys(true)
        });
    // PostgreSQL's synced connections are tested before each use, sqlx's default, so that no call of a
    // client fails when the server was restarted; a claim that fails is tried again anyway
    if durability == Durability::Unsynced || DbBackend::Sqlite.is_prefix_of(url) {
        options.test_before_acquire_if_idle_for(MAX_UNTESTED_IDLE);
    }
    if durability == Durability::Unsynced {
        options.map_sqlx_postgres_pool_opts(|pool| {
            pool.after_connect(|connection, _| {
                Box::pin(async move { connection.execute("SET synchronous_commit TO off").await.map(drop) })
            })
        });
    }
    Ok(Database::connect(options).await?)
}

/// Closes a connection, instead of using it again, that still believes to be inside of a transaction.
///
/// When SQLite itself rolls a transaction back (its disk is full, a write failed), the driver's ROLLBACK
/// fails, and from then on the driver counts the transaction as open: what is "committed" on that
/// connection later never becomes visible to anybody.
fn close_stuck_transactions(pool: PoolOptions<Sqlite>) -> PoolOptions<Sqlite> {
    pool.after_release(|connection, _| {
        Box::pin(async move {
            if connection.is_in_transaction() {
                // a rollback that was only queued when its transaction was dropped is done before the ping
                connection.ping().await?;
            }
            Ok(!connection.is_in_transaction())
        })
    })
}
