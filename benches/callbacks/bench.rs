//! A database with callbacks in it, and servers over it.

use std::{
    fs,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use model::{
    ErrorCode, ExtraOptions, Failure, Format, OutputPath, Priority, Storage, StorageId, StorageType,
    SystemClock, Task, TaskEnd, TaskId, TaskSpec, TaskState, Template, TenantId, Timestamp,
};
use store::{
    Cipher, QueueDepth, Store, StoreOptions,
    testing::{DatabaseKind, OwnCluster, TestDatabase, database, database_on, owe_callbacks},
};

use crate::product::{self, Api, KEYS, free_port, tempdir};

/// Where databases are made: as files, or on a cluster of this benchmark's own.
pub(crate) enum Databases {
    Sqlite,
    Postgres(OwnCluster),
}

impl Databases {
    /// Processor time of the database's own processes so far; a file has none.
    fn cpu(&self) -> Duration {
        let Self::Postgres(cluster) = self else { return Duration::ZERO };
        let first = cluster.process();
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        // those that ended count as their parent's
        ids.filter(|id| *id == first || parent(*id) == Some(first)).map(|id| cpu_of(id, 4)).sum()
    }
}

/// An empty database and a data directory.
pub(crate) struct CallbackBench<'a> {
    databases: &'a Databases,
    database: TestDatabase,
    pub(crate) store: Store,
    data: tempfile::TempDir,
}

/// A process of the product; killed when dropped.
pub(crate) struct BenchServer {
    child: Child,
    pub(crate) api: Api,
}

impl Drop for BenchServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl BenchServer {
    /// As nothing can prevent.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    pub(crate) fn peak_memory(&self) -> u64 {
        product::peak_memory(self.child.id())
    }
}

impl<'a> CallbackBench<'a> {
    pub(crate) async fn new(databases: &'a Databases) -> Self {
        let database = match databases {
            Databases::Sqlite => database(DatabaseKind::Sqlite).await,
            Databases::Postgres(cluster) => database_on(&cluster.url()).await,
        };
        let data = tempdir();
        let store = Store::open(StoreOptions {
            url: database.url.clone(),
            cipher: Cipher::load_or_create(&data.path().join("master.key")).expect("a key"),
            clock: Arc::new(SystemClock),
            compose: callback::payload::compose,
        })
        .await
        .expect("a store");
        Self { databases, database, store, data }
    }

    /// Adds a storage for each of these receivers.
    pub(crate) async fn storages(&self, urls: &[String]) -> Vec<Storage> {
        let mut storages = Vec::new();
        for url in urls {
            let storage = storage(url);
            self.store.add_storage(&storage).await.expect("added");
            storages.push(storage);
        }
        storages
    }

    /// Owes so many callbacks, to these receivers in turn.
    pub(crate) async fn owe(&self, urls: &[String], count: usize) {
        let storages = self.storages(urls).await;
        let task = ended(&storages[0]);
        owe_callbacks(&self.store, &storages, &[task], count).await.expect("owed");
    }

    /// A server that does nothing but deliver and answer calls.
    pub(crate) async fn serve(&self) -> BenchServer {
        self.start(&["serve", "--no-worker"]).await
    }

    /// A process of the product, which may not be ready yet.
    pub(crate) async fn start(&self, args: &[&str]) -> BenchServer {
        let port = free_port().await;
        let log = fs::File::options().create(true).append(true).open(self.data.path().join("log"));
        let log = log.expect("a log");
        let child = Command::new(env!("CARGO_BIN_EXE_borealis"))
            .args(args)
            .arg("--data-dir")
            .arg(self.data.path())
            .envs(KEYS)
            .env("RUST_LOG", "warn")
            .env("BOREALIS_LISTEN", format!("127.0.0.1:{port}"))
            .env("BOREALIS_DATABASE_URL", &self.database.url)
            .env("BOREALIS_MASTER_KEY_FILE", self.data.path().join("master.key"))
            .env("BOREALIS_ALLOW_NETWORKS", "127.0.0.0/8")
            .env("BOREALIS_TOOLS", product::tools())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the server starts");
        BenchServer { child, api: Api::on(port) }
    }

    /// Processor time of a server and of the database so far.
    pub(crate) fn cpu(&self, server: &BenchServer) -> Duration {
        cpu_of(server.child.id(), 2) + self.databases.cpu()
    }

    /// Waits until every task has ended and nothing is owed any more.
    pub(crate) async fn all_told(&self) {
        let mut looks = 0;
        // a look counts one after the other, and a task may be given back between them
        while looks < 2 {
            let left = self.store.queue_depth().await.expect("counted");
            looks = if left == QueueDepth::default() { looks + 1 } else { 0 };
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Numbers of a process, from its state on (proc(5)).
fn stat(id: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    Some(stat.rsplit(')').next()?.split_whitespace().map(str::to_owned).collect())
}

fn parent(id: u32) -> Option<u32> {
    stat(id)?.get(1)?.parse().ok()
}

/// User and system time of a process, with 4 `fields` that of its ended children too; that of one
/// that is gone is nothing.
fn cpu_of(id: u32, fields: usize) -> Duration {
    let stat = stat(id).unwrap_or_default();
    let ticks: u64 = stat.iter().skip(11).take(fields).filter_map(|field| field.parse::<u64>().ok()).sum();
    // Linux counts in hundredths of a second for programs, whatever it does inside
    Duration::from_millis(ticks * 10)
}

fn storage(notify: &str) -> Storage {
    Storage {
        notify: notify.to_owned(),
        notify_secret: callback::sign::generate_secret(),
        ..Storage::new(
            StorageId::generate(&mut rand::rng()),
            TenantId::main(),
            StorageType::File,
            "bench",
            Timestamp::from_millis(0),
        )
    }
}

/// A task whose callback has about 370 bytes.
fn ended(storage: &Storage) -> Task {
    let now = Timestamp::from_millis(1_700_000_000_000);
    let end =
        TaskEnd::Failed(Failure::new(ErrorCode::InputUnreachable, "the server of the input answered 404"));
    Task {
        id: TaskId::generate(now, &mut rand::rng()),
        tenant: storage.tenant.clone(),
        batch_id: None,
        spec: TaskSpec {
            template: Template::new("plain".parse().expect("a name"), Format::Mp4),
            storage_id: storage.id.clone(),
            input: "http://127.0.0.1/none.mp4".parse().expect("an input"),
            output: OutputPath::resolve("a.mp4", storage, Format::Mp4).expect("an output"),
            custom_info: "x".repeat(80),
            extra_options: ExtraOptions::default(),
            priority: Priority::default(),
        },
        output_uri: "file://bench/a.mp4".to_owned(),
        region: String::new(),
        created: now,
        state: TaskState::Ended { started: Some(now), finished: now, end },
        source: None,
    }
}
