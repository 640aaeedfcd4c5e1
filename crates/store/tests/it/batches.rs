//! Batches: created all or none, and reported together, once.

use borealis_store::{CallbackFilter, Page, Store, TaskFilter, testing::DatabaseKind};
use model::{BatchId, Callback, Storage, Task};
use rstest::rstest;

use crate::world::{LEASE, World, failed, is_conflict, is_not_found, succeeded, worker};

const ALL: Page = Page { offset: 0, limit: 1000 };

fn tasks(world: &World, storage: &Storage, count: usize) -> (BatchId, Vec<Task>) {
    let id = BatchId::generate(world.now(), &mut rand::rng());
    let mut tasks: Vec<Task> =
        (0..count).map(|_| Task { batch_id: Some(id.clone()), ..world.task(storage) }).collect();
    tasks.sort_by(|a, b| a.id.cmp(&b.id));
    (id, tasks)
}

async fn callbacks(world: &World) -> Vec<Callback> {
    let (_, mut callbacks) =
        world.store.callbacks(&world.tenant, &CallbackFilter::default(), ALL).await.expect("listed");
    callbacks.reverse();
    callbacks
}

async fn finish_next(store: &Store, succeeds: bool) {
    let claim = store.claim_job(&worker(), LEASE).await.expect("claimed").expect("a job");
    store.finish_task(&claim, if succeeds { succeeded() } else { failed() }).await.expect("finished");
}

#[rstest]
#[tokio::test]
async fn one_callback_when_the_last_ends_in_the_order_of_the_request(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let (id, tasks) = tasks(&world, &storage, 4);
    world.store.create_batch(&id, &tasks).await.expect("created");
    world.store.cancel_task(&world.tenant, &tasks[2].id).await.expect("cancelled");
    finish_next(&world.store, true).await;
    // one that ended is retried before the others have ended: the callback waits for it too
    world.store.retry_task(&world.tenant, &tasks[2].id).await.expect("retried");
    finish_next(&world.store, false).await;
    finish_next(&world.store, true).await;
    assert!(callbacks(&world).await.is_empty(), "one is unfinished");
    world.store.cancel_task(&world.tenant, &tasks[2].id).await.expect("cancelled");

    let owed = callbacks(&world).await;
    assert_eq!(owed.len(), 1);
    assert_eq!(owed[0].task_ids, tasks.iter().map(|task| task.id.clone()).collect::<Vec<_>>());
    // lists are without bodies
    let (callback, _) = world.store.callback(&world.tenant, &owed[0].id).await.expect("found");
    let text = String::from_utf8_lossy(&callback.body).into_owned();
    let positions: Vec<_> = tasks.iter().map(|task| text.find(task.id.as_str()).expect("reported")).collect();
    assert!(positions.is_sorted(), "{text}");
    for word in ["succeeded", "failed", "cancelled"] {
        assert!(text.contains(word), "{text}");
    }

    // the batch was reported: a task that is retried now is reported alone
    world.clock.advance(LEASE);
    world.store.retry_task(&world.tenant, &tasks[2].id).await.expect("retried");
    finish_next(&world.store, true).await;
    let owed = callbacks(&world).await;
    assert_eq!(owed.len(), 2);
    assert_eq!(owed[1].task_ids, [tasks[2].id.clone()]);
}

#[rstest]
#[tokio::test]
async fn all_or_none(#[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let taken = world.create_task(&storage).await;
    let (id, mut batch) = tasks(&world, &storage, 3);
    batch[2].output_uri = taken.output_uri.clone();
    is_conflict(world.store.create_batch(&id, &batch).await);
    let listed = world.store.list_tasks(&world.tenant, &TaskFilter::default(), ALL).await.expect("listed");
    assert_eq!(listed.total, 1);
    assert_eq!(world.store.queue_depth().await.expect("counted").ready, 1);
    let (id, mut foreign) = tasks(&world, &storage, 1);
    foreign[0].tenant = "other".parse().expect("a tenant");
    is_not_found(world.store.create_batch(&id, &foreign).await);
}

/// However many workers end the last tasks at the same moment, exactly one callback is owed.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_last_two_at_the_same_moment_owe_one(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    for round in 1..=10 {
        let (id, tasks) = tasks(&world, &storage, 8);
        world.store.create_batch(&id, &tasks).await.expect("created");
        let mut workers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let store = world.store.clone();
            workers.spawn(async move { finish_next(&store, true).await });
        }
        workers.join_all().await;
        assert_eq!(callbacks(&world).await.len(), round);
    }
}

#[rstest]
#[tokio::test]
async fn a_thousand_tasks(#[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let (id, tasks) = tasks(&world, &storage, 1000);
    world.store.create_batch(&id, &tasks).await.expect("created");
    let filter = TaskFilter { batch_id: Some(id), ..TaskFilter::default() };
    assert_eq!(world.store.list_tasks(&world.tenant, &filter, ALL).await.expect("listed").total, 1000);
    for task in &tasks {
        world.store.cancel_task(&world.tenant, &task.id).await.expect("cancelled");
    }
    let owed = callbacks(&world).await;
    assert_eq!((owed.len(), owed[0].task_ids.len()), (1, 1000));
}
