//! A worker that was stopped, or cut off from the database, for longer than its lease, while it removed what its
//! try had put: whatever it still does, the output of its successor is whole. And a task that is cancelled at the
//! last moment leaves nothing.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use axum::http::Method;
use model::StorageType;
use rstest::rstest;
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use storage::{Bucket, Storages, testing::ObjectStoreServer};
use store::{
    Cipher,
    testing::{DatabaseKind, TestDatabase},
};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
};

use super::{
    early_segments::uris,
    faulty_proxy::{FaultyProxy, Hold, WriteFault},
    media_files::clip,
    object_stores,
    receiver::Receiver,
    session::Session,
};
use crate::program::Server;

/// Short: each test waits for its end.
const LEASE: &str = "worker.lease=3s";

/// An object store behind a proxy, a database, and what two servers need to share it.
struct SharedServices {
    store: ObjectStoreServer,
    proxy: FaultyProxy,
    endpoint: String,
    database: TestDatabase,
    folder: TempDir,
}

impl SharedServices {
    async fn new() -> Self {
        let store = ObjectStoreServer::rclone(&[object_stores::BUCKET]);
        let (proxy, endpoint) = FaultyProxy::start(&store, WriteFault::None, 0).await;
        let (database, folder) =
            (store::testing::database(DatabaseKind::Postgres).await, tempfile::tempdir().expect("a folder"));
        Cipher::load_or_create(&folder.path().join("master.key")).expect("a key");
        Self { store, proxy, endpoint, database, folder }
    }

    /// The flags of a server that reaches the database at this URL.
    fn flags(&self, database_url: &str) -> Vec<String> {
        let key = format!("keys.master_key_file={}", self.folder.path().join("master.key").display());
        ["--database-url", database_url, "--set", &key, "--set", LEASE, "--set", "storage.patience=1s"]
            .map(str::to_owned)
            .into()
    }

    async fn start_server(&self, database_url: &str) -> Server {
        let flags = self.flags(database_url);
        Server::start(&flags.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    /// A session with a server of its own, and a file to transcode.
    async fn start_session(&self, database_url: &str) -> Session {
        let input = std::fs::read(clip(self.folder.path(), 2)).expect("readable");
        Session::with(self.start_server(database_url).await, HashMap::from([("clip.mp4", input)])).await
    }

    /// Adds a storage behind the proxy, and a template of small segments; gives the storage's id.
    async fn set_up(&self, session: &Session, notify: &str) -> String {
        let fields = json!({
            "type": "s3", "bucket": object_stores::BUCKET, "endpoint": self.endpoint, "notify": notify,
            "storage_ak": self.store.access_key, "storage_sk": self.store.secret_key,
        });
        let streams = json!([{"resolution": "72p"}, {"resolution": "36p"}]);
        let template =
            json!({"template_name": "small", "format": "hls", "seg_time": 1, "adaptive_streams": streams});
        session.post("add_template", template).await;
        session.add_storage(fields).await.id
    }

    /// The bucket, as the test itself sees it.
    fn bucket(&self) -> Bucket {
        let storage = object_stores::test_storage(&self.store, StorageType::S3);
        Storages::new(self.folder.path().join("storage"), object_stores::net_client())
            .open(&storage)
            .expect("the bucket opens")
    }
}

/// Fails unless all that the main playlist names is there, and what that names in its turn.
async fn assert_whole(bucket: &Bucket, main: &str) {
    let there: BTreeSet<String> = bucket.list("").await.expect("listed").into_iter().collect();
    let (mut named, mut unread) = (BTreeSet::from([main.to_owned()]), vec![main.to_owned()]);
    while let Some(playlist) = unread.pop() {
        let text = bucket.read(&playlist).await.unwrap_or_else(|error| panic!("{error}; there: {there:?}"));
        let folder = playlist.rsplit_once('/').expect("a folder").0;
        for uri in uris(&String::from_utf8_lossy(&text)) {
            let key = format!("{folder}/{uri}");
            if named.insert(key.clone()) && key.ends_with(".m3u8") {
                unread.push(key);
            }
        }
    }
    let missing: Vec<_> = named.difference(&there).collect();
    assert!(missing.is_empty(), "{missing:?} of {} are missing; there: {there:?}", named.len());
    assert!(named.len() > 10, "{named:?}");
    let stray: Vec<_> = there.difference(&named).collect();
    assert!(stray.is_empty(), "{stray:?}");
}

/// What keeps a worker from its work for longer than its lease.
#[derive(Clone, Copy, Debug)]
enum WorkerOutage {
    /// It is stopped (SIGSTOP).
    Stopped,
    /// Its link to the database is dead, and nothing says so.
    CutOff,
}

#[rstest]
#[case::stopped(WorkerOutage::Stopped)]
#[case::cut_off(WorkerOutage::CutOff)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_worker_takes_nothing_from_its_successor(#[case] outage: WorkerOutage) {
    let shared = SharedServices::new().await;
    let url = shared.database.url.clone();
    let link = DatabaseLink::start(&url).await;
    let mut first = shared.start_session(&link.url).await;
    let mut receiver = Receiver::start(200).await;
    let storage = shared.set_up(&first, &receiver.url).await;

    // the first try fails after some objects, and the object store is slow to delete them
    shared.proxy.set_fault_after(WriteFault::Busy, 6);
    shared.proxy.hold(Some(Hold { method: Method::DELETE, suffix: "", is_carried_out: false }));
    let task = first.create_task(&storage, "small", &first.url("clip.mp4"), "cat").await;
    shared.proxy.wait_until_held().await;
    match outage {
        WorkerOutage::Stopped => kill_process(first.server.pid(), Signal::STOP).expect("it is ours"),
        WorkerOutage::CutOff => link.cut(),
    }
    shared.proxy.set_fault(WriteFault::None);
    shared.proxy.hold(None);

    let second = shared.start_server(&url).await;
    let callback = receiver.next().await.body();
    let entry = &callback["data"][0];
    assert_eq!((&entry["status"], &entry["task_id"]), (&json!("succeeded"), &json!(task)), "{callback}");
    assert_eq!(entry["output"], format!("s3://{}/cat/master.m3u8", object_stores::BUCKET));

    if let WorkerOutage::Stopped = outage {
        kill_process(first.server.pid(), Signal::CONT).expect("it is ours");
        first.server.wait_for_log("the task is no longer this worker's").await;
    }
    shared.proxy.release().await;
    assert_whole(&shared.bucket(), "cat/master.m3u8").await;
    first.server.kill().await;
    second.stop().await;
}

#[rstest]
#[case::one_file("mp4-720p", "cat.mp4", "cat.mp4", "cat.mp4.files/mine.txt")]
#[case::segments("small", "cat", "cat/master.m3u8", "cat/master.hls/72p/mine.mp4")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_when_all_was_put_nothing_stays(
    #[case] template: &str,
    #[case] output: &str,
    #[case] main: &'static str,
    #[case] somebody_elses: &str,
) {
    let shared = SharedServices::new().await;
    let session = shared.start_session(&shared.database.url).await;
    let mut receiver = Receiver::start(200).await;
    let storage = shared.set_up(&session, &receiver.url).await;
    let bucket = shared.bucket();
    bucket.put_bytes(somebody_elses, "mine".into()).await.expect("put");
    shared.proxy.hold(Some(Hold { method: Method::PUT, suffix: main, is_carried_out: true }));
    let task = session.create_task(&storage, template, &session.url("clip.mp4"), output).await;
    shared.proxy.wait_until_held().await;
    while bucket.size(main).await.expect("asked").is_none() {}

    session.post(&format!("cancel_task?task_id={task}"), Value::Null).await;
    shared.proxy.release().await;
    assert_eq!(receiver.next().await.body()["data"][0]["error_code"], 1401);
    while bucket.list("").await.expect("listed") != [somebody_elses] {}
    session.server.stop().await;
}

/// A link to the database that can be cut.
struct DatabaseLink {
    /// The URL of the database by way of this link.
    url: String,
    is_cut: watch::Sender<bool>,
}

impl DatabaseLink {
    /// To a database whose server listens on a Unix socket.
    async fn start(database_url: &str) -> Self {
        let mut url = url::Url::parse(database_url).expect("a URL");
        let folder = url.query_pairs().find(|(name, _)| name == "host").expect("a socket").1;
        let socket = Path::new(folder.as_ref()).join(".s.PGSQL.5432");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        url.set_query(None);
        url.set_host(Some("127.0.0.1")).expect("a host");
        url.set_port(Some(listener.local_addr().expect("bound").port())).expect("a port");
        let is_cut = watch::Sender::new(false);
        tokio::spawn(accept(listener, socket, is_cut.clone()));
        Self { url: url.into(), is_cut }
    }

    /// From now on nothing gets through, and no connection ends.
    fn cut(&self) {
        self.is_cut.send_replace(true);
    }
}

async fn accept(listener: TcpListener, socket: PathBuf, is_cut: watch::Sender<bool>) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(forward(client, socket.clone(), is_cut.subscribe()));
    }
}

async fn forward(mut client: TcpStream, socket: PathBuf, mut is_cut: watch::Receiver<bool>) {
    let mut server = UnixStream::connect(socket).await.expect("the database listens");
    tokio::select! {
        biased;
        () = async { drop(is_cut.wait_for(|is_cut| *is_cut).await) } => std::future::pending().await,
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
    }
}
