//! What a list costs with a million tasks, on both databases: each call in the API's own words, with
//! total and twenty tasks. Beside them one task by its id, and a claim that finds nothing.

mod product;

use std::{sync::Arc, time::Instant};

use model::{
    ExtraOptions, Format, OutputPath, Priority, Storage, StorageId, StorageType, Task, TaskId, TaskSpec,
    TaskState, TaskStatus, Template, TenantId, Timestamp, WorkerId,
};
use product::median;
use store::{
    Cipher, Page, Store, StoreOptions, TaskFilter,
    testing::{CREATION_DAYS, DatabaseKind, add_ended_tasks, database},
};

const TASKS: i64 = 1_000_000;
const ROUNDS: usize = 21;
const FIRST: Page = Page { offset: 0, limit: 20 };

#[tokio::main]
async fn main() {
    for kind in [DatabaseKind::Sqlite, DatabaseKind::Postgres] {
        let database = database(kind).await;
        let store = open(&database.url).await;
        let (storage, other) = (storage(), storage());
        for storage in [&storage, &other] {
            store.add_storage(storage).await.expect("added");
        }
        let example = task(&storage);
        let began = Instant::now();
        add_ended_tasks(&store, &example, &other.id, TASKS).await.expect("filled");
        println!("{kind:?}: {TASKS} tasks of {CREATION_DAYS} days, made in {:.0?}", began.elapsed());
        for (what, filter, page) in lists(&storage, example.created) {
            let list = async || store.list_tasks(&example.tenant, &filter, page).await.expect("listed");
            let total = list().await.total;
            println!("{kind:?}: {what}: {:.1?} ({total} in all)", measure(async || drop(list().await)).await);
        }
        let newest = store.list_tasks(&example.tenant, &TaskFilter::default(), FIRST).await.expect("listed");
        let id = newest.tasks[0].id.clone();
        let one = measure(async || drop(store.task(&example.tenant, &id).await.expect("found"))).await;
        println!("{kind:?}: one task: {one:.1?}");
        let worker = WorkerId::generate(&mut rand::rng());
        let lease = std::time::Duration::from_secs(30);
        let claim =
            measure(async || assert!(store.claim_job(&worker, lease).await.expect("asked").is_none())).await;
        println!("{kind:?}: a claim that finds nothing: {claim:.1?}");
    }
}

async fn measure(call: impl AsyncFn()) -> std::time::Duration {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        call().await;
        times.push(began.elapsed());
    }
    median(times)
}

fn lists(storage: &Storage, newest: Timestamp) -> Vec<(&'static str, TaskFilter, Page)> {
    let any = TaskFilter::default;
    let days = |count: u64| std::time::Duration::from_secs(count * 24 * 3600 + 4321);
    let deep = |offset| Page { offset, limit: 20 };
    let status = |status| TaskFilter { status: Some(status), ..any() };
    let of_storage = TaskFilter { storage_id: Some(storage.id.clone()), ..any() };
    let rare = TaskFilter { template_name: Some("rare".parse().expect("a name")), ..any() };
    let part = TaskFilter { start: Some(newest - days(80)), end: Some(newest - days(10)), ..any() };
    vec![
        ("the first page", any(), FIRST),
        ("a thousand at once", any(), Page { offset: 0, limit: 1000 }),
        ("from 500,000", any(), deep(500_000)),
        ("from 999,900", any(), deep(999_900)),
        ("70 days", part.clone(), FIRST),
        ("70 days, from 600,000", part.clone(), deep(600_000)),
        ("succeeded", status(TaskStatus::Succeeded), FIRST),
        ("succeeded, from 800,000", status(TaskStatus::Succeeded), deep(800_000)),
        ("failed", status(TaskStatus::Failed), FIRST),
        ("failed, from 900", status(TaskStatus::Failed), deep(900)),
        ("running", status(TaskStatus::Running), FIRST),
        ("a storage", of_storage.clone(), FIRST),
        ("a storage, from 700,000", of_storage.clone(), deep(700_000)),
        ("a template", rare.clone(), FIRST),
        ("a template, from 19,000", rare.clone(), deep(19_000)),
        ("failed of a storage", TaskFilter { status: Some(TaskStatus::Failed), ..of_storage.clone() }, FIRST),
        ("cancelled of 70 days", TaskFilter { status: Some(TaskStatus::Cancelled), ..part }, deep(50_000)),
        ("a template of a storage", TaskFilter { storage_id: of_storage.storage_id, ..rare }, deep(9_000)),
        ("a batch", TaskFilter { batch_id: Some(batch()), ..any() }, FIRST),
        ("custom_info", TaskFilter { custom_info: Some("order 5000".to_owned()), ..any() }, FIRST),
    ]
}

fn batch() -> model::BatchId {
    "20231114221320000000000000000500".parse().expect("an id")
}

async fn open(url: &str) -> Store {
    let options = StoreOptions {
        url: url.to_owned(),
        cipher: Cipher::new([7; 32]),
        clock: Arc::new(model::SystemClock),
        compose: |_, _| Vec::new(),
    };
    Store::open(options).await.expect("opened")
}

fn storage() -> Storage {
    Storage::new(
        StorageId::generate(&mut rand::rng()),
        TenantId::main(),
        StorageType::File,
        "many",
        Timestamp::from_millis(1_700_000_000_000),
    )
}

fn task(storage: &Storage) -> Task {
    let created = Timestamp::from_millis(1_700_000_000_000);
    let output = OutputPath::resolve("a.mp4", storage, Format::Mp4).expect("an output");
    Task {
        id: TaskId::generate(created, &mut rand::rng()),
        tenant: storage.tenant.clone(),
        batch_id: None,
        output_uri: storage.uri(output.key()),
        region: String::new(),
        spec: TaskSpec {
            template: Template::new("plain".parse().expect("a name"), Format::Mp4),
            storage_id: storage.id.clone(),
            input: "http://example.com/a.mp4".parse().expect("an input"),
            output,
            custom_info: String::new(),
            extra_options: ExtraOptions::default(),
            priority: Priority::default(),
        },
        created,
        state: TaskState::pending(),
        source: None,
    }
}
