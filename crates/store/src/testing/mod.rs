//! Databases for tests: a SQLite file, or a database of its own on a PostgreSQL server.
//!
//! The server is the one that `BOREALIS_TEST_POSTGRES` names (a URL whose user may create
//! databases), else a cluster in the temporary folder, which the first test starts, all test
//! processes share, and which a watchdog stops when nobody has used it for a minute.

mod backlog;
mod broken;
mod bulk;
mod cluster;
mod plans;

pub use backlog::owe_callbacks;
pub use broken::{break_tables, close};
pub use bulk::{CREATION_DAYS, add_ended_tasks, add_queued_tasks, add_templates};
pub use cluster::OwnCluster;
pub use plans::{claim_plans, list_plans, task_plan};

use std::process::{Command, Stdio};

use rand::Rng as _;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;

/// The kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseKind {
    /// SQLite, in a file.
    Sqlite,
    /// PostgreSQL, on a server.
    Postgres,
}

/// An empty database, which is removed when this is dropped.
#[derive(Debug)]
pub struct TestDatabase {
    /// As [`crate::StoreOptions`] takes it.
    pub url: String,
    location: Location,
}

#[derive(Debug)]
enum Location {
    Folder(TempDir),
    Server { url: String, database_name: String },
}

/// Makes an empty database.
///
/// # Panics
/// When it cannot be made; the message says how to install what is missing.
pub async fn database(kind: DatabaseKind) -> TestDatabase {
    match kind {
        DatabaseKind::Sqlite => {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let url = format!("sqlite://{}?mode=rwc", folder.path().join("borealis.db").display());
            TestDatabase { url, location: Location::Folder(folder) }
        }
        DatabaseKind::Postgres => match std::env::var("BOREALIS_TEST_POSTGRES") {
            Ok(server) => database_on(&server).await,
            Err(_) => database_on(&cluster::url()).await,
        },
    }
}

/// Makes an empty database on a PostgreSQL server.
///
/// # Panics
/// When it cannot be made.
pub async fn database_on(server: &str) -> TestDatabase {
    let name = format!("test_{:016x}", rand::rng().next_u64());
    let mut connection = PgConnection::connect(server).await.expect("a PostgreSQL server");
    let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
    connection.execute(create).await.expect("a user that may create databases");
    let mut url = url::Url::parse(server).expect("a URL");
    url.set_path(&name);
    TestDatabase {
        url: url.into(),
        location: Location::Server { url: server.to_owned(), database_name: name },
    }
}

impl TestDatabase {
    /// The folder of the database's files, where it has one of its own.
    pub fn folder(&self) -> Option<&std::path::Path> {
        match &self.location {
            Location::Folder(folder) => Some(folder.path()),
            Location::Server { .. } => None,
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Location::Server { url, database_name } = &self.location {
            let drop_database = format!("DROP DATABASE IF EXISTS {database_name} WITH (FORCE)");
            // best effort: where psql is missing, the database is removed with its cluster
            let _ = Command::new("psql")
                .args([url.as_str(), "--quiet", "--no-psqlrc", "--command", &drop_database])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
        }
    }
}
