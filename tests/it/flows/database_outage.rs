//! The database fails while callbacks are in flight, and comes back: none is lost, and none is sent
//! again because its record failed.

use std::collections::HashSet;

use rstest::rstest;
use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::json;
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use store::{Cipher, testing::OwnCluster};
use tempfile::TempDir;

use super::{receiver::Receiver, session::Session};
use crate::program::Server;

const CALLBACKS: usize = 40;

/// Why the database fails.
enum DatabaseOutage {
    /// Another process holds its lock.
    Locked(SqliteConnection),
    /// Its files cannot grow.
    Full,
    /// Its server was stopped.
    Stopped {
        cluster: OwnCluster,
        #[expect(dead_code, reason = "the master key lies there as long as the server runs")]
        keys: TempDir,
    },
}

impl DatabaseOutage {
    async fn begin(&mut self, session: &Session) {
        match self {
            Self::Locked(holder) => {
                holder.execute("BEGIN IMMEDIATE").await.expect("the lock");
            }
            Self::Full => limit_files(session, Some(1)),
            Self::Stopped { cluster, .. } => cluster.stop(),
        }
    }

    async fn end(&mut self, session: &Session) {
        match self {
            Self::Locked(holder) => {
                holder.execute("ROLLBACK").await.expect("nothing was changed");
            }
            Self::Full => limit_files(session, None),
            Self::Stopped { cluster, .. } => cluster.start_again(),
        }
    }
}

/// Limits the size of the server's files: every write beyond it fails.
fn limit_files(session: &Session, bytes: Option<u64>) {
    let limit = Rlimit { current: bytes, maximum: None };
    prlimit(Some(session.server.pid()), Resource::Fsize, limit).expect("it is ours");
}

#[rstest]
#[case::locked("locked")]
#[case::full("full")]
#[case::stopped("stopped")]
#[tokio::test]
async fn what_cannot_be_recorded_is_not_sent_again(#[case] what: &str) {
    let (mut session, mut outage) = start(what).await;
    let mut receiver = Receiver::start(200).await;
    receiver.hold();
    let storage = session.add_storage(json!({"notify": receiver.url})).await;
    let mut tasks = HashSet::new();
    for number in 0..CALLBACKS {
        let input = session.url("none.mp4");
        let task = session.create_task(&storage.id, "mp4-720p", &input, &format!("{number}.mp4")).await;
        session.post(&format!("cancel_task?task_id={task}"), json!(null)).await;
        tasks.insert(task);
    }
    // the receiver accepts the attempts in flight, and their records cannot be written
    let mut callbacks = vec![receiver.next().await.task()];
    outage.begin(&session).await;
    receiver.release();
    session.server.wait_for_log("could not record attempts").await;
    outage.end(&session).await;

    while session.get("list_callback?status=delivered").await["total"] != CALLBACKS {}
    while let Some(more) = receiver.take_unexpected() {
        more.verify(&storage.secret);
        callbacks.push(more.task());
    }
    assert_eq!(callbacks.len(), CALLBACKS, "each was sent once");
    assert_eq!(callbacks.into_iter().collect::<HashSet<_>>(), tasks);
    session.server.stop().await;
}

/// A server over a database that is about to fail.
async fn start(what: &str) -> (Session, DatabaseOutage) {
    let flags = ["--no-worker"];
    match what {
        "locked" => {
            let session = Session::start(&flags, [].into()).await;
            let file = session.server.data.path().join("borealis.db");
            let url = format!("sqlite://{}", file.display());
            (session, DatabaseOutage::Locked(SqliteConnection::connect(&url).await.expect("a database")))
        }
        "full" => {
            let server = Server::start_under_limits(&flags).await;
            (Session::with(server, [].into()).await, DatabaseOutage::Full)
        }
        _ => {
            let (cluster, keys) = (OwnCluster::start(), tempfile::tempdir().expect("a folder"));
            let key = keys.path().join("master.key");
            Cipher::load_or_create(&key).expect("a key");
            let (url, key) = (cluster.url(), format!("keys.master_key_file={}", key.display()));
            let flags = [flags[0], "--database-url", &url, "--set", &key];
            (Session::start(&flags, [].into()).await, DatabaseOutage::Stopped { cluster, keys })
        }
    }
}
