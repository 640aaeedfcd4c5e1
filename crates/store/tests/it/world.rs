//! A database of its own for each test, with a clock that only the test moves, and rows to put into it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use borealis_store::{
    Claim, Result, Store, StoreError, StoreOptions,
    testing::{DatabaseKind, TestDatabase, database},
};
use model::{
    Clock, ErrorCode, ExtraOptions, Failure, Format, NotifySettings, ObjectSettings, OutputFacts, OutputPath,
    Priority, Secret, Storage, StorageId, StorageType, Task, TaskEnd, TaskId, TaskSpec, TaskState, Template,
    TenantId, Timestamp, WorkerId,
};

pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// A clock that only the test moves.
pub(crate) struct ManualClock {
    now: AtomicI64,
    uptime: AtomicI64,
}

impl ManualClock {
    pub(crate) fn new() -> Self {
        Self { now: AtomicI64::new(1_700_000_000_000), uptime: AtomicI64::new(60_000) }
    }

    /// Time passes.
    pub(crate) fn advance(&self, time: Duration) {
        let millis = i64::try_from(time.as_millis()).expect("a test's time");
        self.now.fetch_add(millis, Ordering::SeqCst);
        self.uptime.fetch_add(millis, Ordering::SeqCst);
    }

    /// Somebody sets the machine's clock, forwards or backwards.
    pub(crate) fn step(&self, seconds: i64) {
        self.now.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    /// The machine is started again.
    pub(crate) fn boot(&self) {
        self.uptime.store(1000, Ordering::SeqCst);
    }

    /// The clock of another machine that differs by so much, or of this one after it was set.
    pub(crate) fn off_by(&self, seconds: i64) -> Self {
        let now = self.now.load(Ordering::SeqCst) + seconds * 1000;
        Self { now: AtomicI64::new(now), uptime: AtomicI64::new(self.uptime.load(Ordering::SeqCst)) }
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::SeqCst))
    }

    fn uptime(&self) -> Duration {
        Duration::from_millis(self.uptime.load(Ordering::SeqCst).unsigned_abs())
    }
}

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) tenant: TenantId,
    // last, so that it is dropped after the store
    pub(crate) database: TestDatabase,
}

impl World {
    pub(crate) async fn new(kind: DatabaseKind) -> Self {
        let database = database(kind).await;
        let clock = Arc::new(ManualClock::new());
        let store = open(&database, &clock, [7; 32]).await.expect("opened");
        Self { store, clock, tenant: TenantId::main(), database }
    }

    /// Another store over the same database, as another process has it.
    pub(crate) async fn second_store(&self) -> Store {
        open(&self.database, &self.clock, [7; 32]).await.expect("opened")
    }

    /// Another store over the same database, of a process whose clock is off.
    pub(crate) async fn store_with(&self, clock: &Arc<ManualClock>) -> Store {
        open(&self.database, clock, [7; 32]).await.expect("opened")
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.store.clock().now()
    }

    /// Adds a storage of the tenant, with a notify.
    pub(crate) async fn add_storage(&self) -> Storage {
        self.add_storage_with(|_| {}).await
    }

    pub(crate) async fn add_storage_with(&self, change: impl FnOnce(&mut Storage)) -> Storage {
        let mut storage = storage(&self.tenant, self.now());
        change(&mut storage);
        self.store.add_storage(&storage).await.expect("added");
        storage
    }

    /// Puts a storage in the place of the one with its id.
    pub(crate) async fn replace_storage(&self, storage: &Storage) -> Result<()> {
        self.store.update_storage(&storage.tenant, &storage.id, |_| storage.clone()).await
    }

    /// A task that is not created yet, with an output of its own.
    pub(crate) fn task(&self, storage: &Storage) -> Task {
        let id = TaskId::generate(self.now(), &mut rand::rng());
        let output = format!("{id}.mp4");
        self.task_to(storage, id, &output)
    }

    pub(crate) fn task_to(&self, storage: &Storage, id: TaskId, output: &str) -> Task {
        let output = OutputPath::resolve(output, storage, Format::Mp4).expect("an output");
        Task {
            id,
            tenant: storage.tenant.clone(),
            batch_id: None,
            output_uri: storage.uri(output.key()),
            region: storage.region.clone(),
            spec: TaskSpec {
                template: Template::new("plain".parse().expect("a name"), Format::Mp4),
                storage_id: storage.id.clone(),
                input: "http://example.com/a.mp4?sig=1".parse().expect("an input"),
                output,
                custom_info: "{\"für\": \"uns\"}".to_owned(),
                extra_options: ExtraOptions::default(),
                priority: Priority::default(),
            },
            created: self.now(),
            state: TaskState::pending(),
            source: None,
        }
    }

    pub(crate) async fn create_task(&self, storage: &Storage) -> Task {
        let task = self.task(storage);
        self.store.create_task(&task).await.expect("created");
        task
    }

    /// Claims the next job, which must be there.
    pub(crate) async fn claim(&self) -> Claim {
        self.store.claim_job(&worker(), LEASE).await.expect("claimed").expect("a job")
    }

    /// Creates a task and fails it, so that its callback is owed.
    pub(crate) async fn failed_task(&self, storage: &Storage) -> Task {
        self.create_task(storage).await;
        let claim = self.claim().await;
        self.store.finish_task(&claim, failed()).await.expect("finished")
    }
}

pub(crate) async fn open(database: &TestDatabase, clock: &Arc<ManualClock>, key: [u8; 32]) -> Result<Store> {
    Store::open(StoreOptions {
        url: database.url.clone(),
        cipher: borealis_store::Cipher::new(key),
        clock: clock.clone(),
        compose,
    })
    .await
}

/// A body that says what it was made of; no valid UTF-8, because a body is any bytes.
fn compose(storage: &Storage, tasks: &[Task]) -> Vec<u8> {
    let tasks: Vec<String> =
        tasks.iter().map(|task| format!("{} {}", task.id, task.state.status())).collect();
    [format!("{} <- {}", storage.notify, tasks.join(", ")).as_bytes(), &[0, 0xff]].concat()
}

/// The body of a callback about one task.
pub(crate) fn body(storage: &Storage, task: &Task) -> Vec<u8> {
    compose(storage, std::slice::from_ref(task))
}

pub(crate) fn storage(tenant: &TenantId, created: Timestamp) -> Storage {
    Storage {
        id: StorageId::generate(&mut rand::rng()),
        tenant: tenant.clone(),
        kind: StorageType::S3,
        name: "né\0e".to_owned(),
        region: "cn-zhangjiakou".to_owned(),
        bucket: "bkt".to_owned(),
        prefix: "media".to_owned(),
        endpoint: "http://127.0.0.1:9000".to_owned(),
        path_style: true,
        objects: ObjectSettings { storage_class: "IA".to_owned(), ..ObjectSettings::default() },
        storage_ak: Secret::new("THE-ACCESS-KEY"),
        storage_sk: Secret::new("THE-SECRET-KEY"),
        notify: "https://example.com/hook".to_owned(),
        notify_secret: Secret::new("whsec_THENOTIFYSECRET"),
        old_notify_secret: Some((Secret::new("whsec_THEOLDSECRET"), created)),
        notify_settings: NotifySettings { attempts: 7, ..NotifySettings::default() },
        extra: "extra".to_owned(),
        name_rule: "rule".to_owned(),
        created,
    }
}

pub(crate) fn other_tenant() -> TenantId {
    "other".parse().expect("a tenant")
}

pub(crate) fn worker() -> WorkerId {
    WorkerId::generate(&mut rand::rng())
}

pub(crate) fn failed() -> TaskEnd {
    TaskEnd::Failed(Failure::new(ErrorCode::InvalidInput, "no moov\0box"))
}

pub(crate) fn succeeded() -> TaskEnd {
    TaskEnd::Succeeded(Box::new(OutputFacts { duration: 30.04, size: 1 << 40, ..OutputFacts::default() }))
}

#[track_caller]
pub(crate) fn is_not_found<T: std::fmt::Debug>(result: Result<T>) {
    assert!(matches!(result, Err(StoreError::NotFound(_))), "{result:?}");
}

#[track_caller]
pub(crate) fn is_conflict<T: std::fmt::Debug>(result: Result<T>) {
    assert!(matches!(result, Err(StoreError::Conflict(_))), "{result:?}");
}

#[track_caller]
pub(crate) fn is_fenced<T: std::fmt::Debug>(result: Result<T>) {
    assert!(matches!(result, Err(StoreError::Fenced)), "{result:?}");
}

#[track_caller]
pub(crate) fn is_wrong_state<T: std::fmt::Debug>(result: Result<T>) {
    assert!(matches!(result, Err(StoreError::WrongState(_))), "{result:?}");
}
