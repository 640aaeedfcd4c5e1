//! Callbacks out of a ready backlog, over SQLite and PostgreSQL: deliveries a second, processor time
//! of server and database for each, memory; with one receiver, with a hundred, and with one that
//! hangs. The receivers run in this process, on the same processors.
//!
//! `cargo bench --bench callbacks [-- sqlite|postgres]`

mod product;

use std::{
    fs,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, extract::State, routing};
use model::{
    ErrorCode, ExtraOptions, Failure, Format, NotifySettings, OutputPath, Priority, Secret, Storage,
    StorageId, StorageType, SystemClock, Task, TaskEnd, TaskId, TaskSpec, TaskState, Template, TenantId,
    Timestamp,
};
use product::{median, tempdir};
use store::{
    Cipher, Store, StoreOptions,
    testing::{Kind, TestDatabase, database, owe},
};
use tokio::{net::TcpListener, sync::Notify};

const BACKLOG: usize = 20_000;

#[tokio::main]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    println!("the receiver's own ceiling: {:.0} a second", ceiling().await);
    let only = std::env::args().find(|arg| arg == "sqlite" || arg == "postgres");
    for (kind, name) in [(Kind::Sqlite, "sqlite"), (Kind::Postgres, "postgres")] {
        if only.as_deref().is_none_or(|only| only == name) {
            drain(kind, name, 1).await;
            drain(kind, name, 100).await;
            beside_one_that_hangs(kind, name).await;
        }
    }
}

/// A backlog for some receivers is delivered.
async fn drain(kind: Kind, name: &str, receivers: usize) {
    let (bench, receivers) = (Bench::new(kind).await, Receivers::start(receivers).await);
    bench.owe(&receivers.urls, BACKLOG).await;
    let (server, began) = (bench.serve(), Instant::now());
    receivers.got(1).await;
    let (first, cpu) = (Instant::now(), bench.cpu(&server));
    receivers.got(BACKLOG).await;
    let took = first.elapsed();
    let cpu = (bench.cpu(&server) - cpu).as_secs_f64() * 1000.0 / BACKLOG as f64;
    println!(
        "{name}, {} receivers: {:.0} a second, {cpu:.3} ms of processor each, {} MiB, first after {:.0?}",
        receivers.urls.len(),
        BACKLOG as f64 / took.as_secs_f64(),
        peak_memory(&server),
        first - began,
    );
}

/// 99 receivers that answer at once, with and without one that never does.
async fn beside_one_that_hangs(kind: Kind, name: &str) {
    let mut p99 = Vec::new();
    for hangs in [false, true] {
        let (bench, receivers) = (Bench::new(kind).await, Receivers::start(99).await);
        if hangs {
            let hanging = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let url = format!("http://{}/", hanging.local_addr().expect("bound"));
            bench.owe(&[url], 20).await;
            // never accepted, never answered
            std::mem::forget(hanging);
        }
        bench.owe(&receivers.urls, 1980).await;
        let server = bench.serve();
        receivers.got(1).await;
        let first = Instant::now();
        receivers.got(1980).await;
        let times = receivers.times(first);
        p99.push(times[times.len() * 99 / 100]);
        drop(server);
    }
    println!(
        "{name}, 99 fast receivers: p99 {:.1?}; beside one that hangs: {:.1?} ({:.2} times)",
        p99[0],
        p99[1],
        p99[1].as_secs_f64() / p99[0].as_secs_f64()
    );
}

/// A database, and servers over it.
struct Bench {
    database: TestDatabase,
    store: Store,
    data: tempfile::TempDir,
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Bench {
    async fn new(kind: Kind) -> Self {
        let (database, data) = (database(kind).await, tempdir());
        let store = Store::open(StoreOptions {
            url: database.url.clone(),
            cipher: Cipher::load_or_create(&data.path().join("master.key")).expect("a key"),
            clock: Arc::new(SystemClock),
            compose: callback::payload::compose,
        })
        .await
        .expect("a store");
        Self { database, store, data }
    }

    /// Owes so many callbacks, to these receivers in turn.
    async fn owe(&self, urls: &[String], count: usize) {
        let mut storages = Vec::new();
        for url in urls {
            let storage = storage(url);
            self.store.add_storage(&storage).await.expect("added");
            storages.push(storage);
        }
        let task = ended(&storages[0]);
        owe(&self.store, &storages, &[task], count).await.expect("owed");
    }

    /// A server that does nothing but deliver.
    fn serve(&self) -> Server {
        let child = Command::new(env!("CARGO_BIN_EXE_borealis"))
            .args(["serve", "--no-worker", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(self.data.path())
            .env("BOREALIS_DATABASE_URL", &self.database.url)
            .env("BOREALIS_MASTER_KEY_FILE", self.data.path().join("master.key"))
            .env("BOREALIS_ALLOW_NETWORKS", "127.0.0.0/8")
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.data.path().join("log")).expect("a log"))
            .spawn()
            .expect("the server starts");
        Server(child)
    }

    /// Processor time of the server and of the database's processes so far.
    fn cpu(&self, server: &Server) -> Duration {
        let postgres = self.database.url.starts_with("postgres").then(postgres_processes);
        let ids = postgres.into_iter().flatten().chain([server.0.id()]);
        ids.map(cpu_of).sum()
    }
}

/// User and system time of a process; that of one that is gone is nothing.
fn cpu_of(id: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 =
        after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    // Linux counts in hundredths of a second for programs, whatever it does inside
    Duration::from_millis(ticks * 10)
}

fn postgres_processes() -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let id = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    processes.filter_map(id).filter(|id| is_postgres(*id)).collect()
}

fn is_postgres(id: u32) -> bool {
    fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.trim() == "postgres")
}

fn peak_memory(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.0.id())).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

/// Receivers that answer 200 at once.
struct Receivers {
    urls: Vec<String>,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    count: AtomicUsize,
    more: Notify,
    times: std::sync::Mutex<Vec<Instant>>,
}

impl Receivers {
    async fn start(count: usize) -> Self {
        let seen = Arc::new(Seen::default());
        let mut urls = Vec::new();
        for _ in 0..count {
            let router = Router::new().route("/", routing::post(receive)).with_state(Arc::clone(&seen));
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            urls.push(format!("http://{}/", listener.local_addr().expect("bound")));
            tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
        }
        Self { urls, seen }
    }

    /// Waits until so many arrived, all in all.
    async fn got(&self, count: usize) {
        loop {
            let more = self.seen.more.notified();
            if self.seen.count.load(Ordering::Relaxed) >= count {
                return;
            }
            more.await;
        }
    }

    /// How long after `first` each arrived, in order.
    fn times(&self, first: Instant) -> Vec<Duration> {
        let times = self.seen.times.lock().expect("nobody panicked");
        let mut times: Vec<Duration> = times.iter().map(|at| at.saturating_duration_since(first)).collect();
        times.sort();
        times
    }
}

async fn receive(State(seen): State<Arc<Seen>>, _body: Bytes) {
    seen.times.lock().expect("nobody panicked").push(Instant::now());
    seen.count.fetch_add(1, Ordering::Relaxed);
    seen.more.notify_waiters();
}

/// Requests a second that a receiver takes from a plain client on 8 connections.
async fn ceiling() -> f64 {
    let receivers = Receivers::start(1).await;
    #[expect(clippy::disallowed_methods, reason = "a customer's client has no guard")]
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let mut rates = Vec::new();
    for _ in 0..3 {
        let began = Instant::now();
        let mut connections = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (client, url) = (client.clone(), receivers.urls[0].clone());
            connections.spawn(async move {
                for _ in 0..1000 {
                    client.post(&url).body(vec![b'x'; 370]).send().await.expect("an answer");
                }
            });
        }
        connections.join_all().await;
        rates.push(began.elapsed());
    }
    8000.0 / median(rates).as_secs_f64()
}

fn storage(notify: &str) -> Storage {
    Storage {
        id: StorageId::generate(&mut rand::rng()),
        tenant: TenantId::main(),
        kind: StorageType::File,
        name: String::new(),
        region: String::new(),
        bucket: "bench".to_owned(),
        prefix: String::new(),
        endpoint: String::new(),
        path_style: false,
        storage_ak: Secret::default(),
        storage_sk: Secret::default(),
        notify: notify.to_owned(),
        notify_secret: callback::sign::generate_secret(),
        old_notify_secret: None,
        notify_settings: NotifySettings::default(),
        extra: String::new(),
        name_rule: String::new(),
        created: Timestamp::from_millis(0),
    }
}

/// A task whose end is told in about 370 bytes.
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
