//! Tasks: stored whole, listed, cancelled, retried; and no two that write to one output.

use std::time::Duration;

use borealis_store::{CallbackFilter, Page, QueueDepth, TaskFilter, testing::DatabaseKind};
use model::{
    BatchId, Secret, SourceFacts, Stage, Storage, StorageType, Task, TaskId, TaskState, TaskStatus, TenantId,
};
use rstest::rstest;

use crate::world::{World, body, failed, is_conflict, is_fenced, is_not_found, is_wrong_state, succeeded};

const ALL: Page = Page { offset: 0, limit: 1000 };

#[rstest]
#[tokio::test]
async fn a_task_is_kept_as_it_was_created_and_as_it_ended(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let mut task = world.task(&storage);
    task.batch_id = Some(BatchId::generate(world.now(), &mut rand::rng()));
    task.spec.custom_info = "nul \0 and 中".to_owned();
    world.store.create_task(&task).await.expect("created");
    is_conflict(world.store.create_task(&task).await);
    assert_eq!(world.store.task(&world.tenant, &task.id).await.expect("found"), task);

    let claim = world.claim().await;
    let facts = SourceFacts { duration: 0.1 + 0.2, size: u64::MAX >> 11, ..SourceFacts::default() };
    world.store.record_source(&claim, &facts).await.expect("kept");
    world.clock.advance(Duration::from_secs(2));
    let ended = world.store.finish_task(&claim, succeeded()).await.expect("finished");
    let expected = Task {
        state: claim.task.state.end(succeeded(), world.now()).expect("working"),
        source: Some(facts),
        ..task.clone()
    };
    assert_eq!(ended, expected);
    assert_eq!(world.store.task(&world.tenant, &task.id).await.expect("found"), expected);
    assert_eq!(ended.spend_time(), Some(2.0));
}

#[rstest]
#[tokio::test]
async fn another_tenants_task_is_not_found(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let task = world.create_task(&storage).await;
    let other: TenantId = "other".parse().expect("a tenant");
    is_not_found(world.store.task(&other, &task.id).await);
    is_not_found(world.store.cancel_task(&other, &task.id).await);
    is_not_found(world.store.retry_task(&other, &task.id).await);
    let theirs = world.store.list_tasks(&other, &TaskFilter::default(), ALL).await.expect("listed");
    assert_eq!(theirs.total, 0);
    // nor can one write into another's storage
    is_not_found(world.store.create_task(&Task { tenant: other, ..world.task(&storage) }).await);
    let unknown = TaskId::generate(world.now(), &mut rand::rng());
    is_not_found(world.store.task(&world.tenant, &unknown).await);
}

#[rstest]
#[tokio::test]
async fn lists_are_filtered_and_paged_newest_first(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let (storage, second) = (world.add_storage().await, world.add_storage().await);
    let batch = BatchId::generate(world.now(), &mut rand::rng());
    let mut tasks = Vec::new();
    for index in 0..6 {
        let mut task = world.task(if index == 1 { &second } else { &storage });
        task.spec.custom_info = format!("info {}", index / 2);
        if index == 2 {
            task.spec.template.template_name = "fancy".parse().expect("a name");
        }
        task.batch_id = (index >= 4).then(|| batch.clone());
        world.store.create_task(&task).await.expect("created");
        tasks.push(task);
        world.clock.advance(Duration::from_secs(1));
    }
    world.store.cancel_task(&world.tenant, &tasks[3].id).await.expect("cancelled");

    let at = |index: usize| Some(tasks[index].created);
    let listed = |filter: TaskFilter, page: Page| {
        let world = &world;
        let tasks = &tasks;
        async move {
            let page = world.store.list_tasks(&world.tenant, &filter, page).await.expect("listed");
            let index = |task: &Task| tasks.iter().position(|one| one.id == task.id).expect("ours");
            (page.total, page.tasks.iter().map(index).collect::<Vec<_>>())
        }
    };
    let any = TaskFilter::default;
    assert_eq!(listed(any(), ALL).await, (6, vec![5, 4, 3, 2, 1, 0]));
    assert_eq!(listed(any(), Page { offset: 1, limit: 2 }).await, (6, vec![4, 3]));
    assert_eq!(listed(any(), Page { offset: 9, limit: 2 }).await, (6, vec![]));
    for (filter, expected) in [
        (TaskFilter { status: Some(TaskStatus::Cancelled), ..any() }, vec![3]),
        (TaskFilter { start: at(1), end: at(3), ..any() }, vec![3, 2, 1]),
        (TaskFilter { storage_id: Some(second.id.clone()), ..any() }, vec![1]),
        (TaskFilter { template_name: Some("fancy".parse().expect("a name")), ..any() }, vec![2]),
        (TaskFilter { batch_id: Some(batch.clone()), ..any() }, vec![5, 4]),
        (TaskFilter { custom_info: Some("info 1".to_owned()), ..any() }, vec![3, 2]),
        (TaskFilter { custom_info: Some("info".to_owned()), ..any() }, vec![]),
        (TaskFilter { status: Some(TaskStatus::Pending), start: at(3), ..any() }, vec![5, 4]),
    ] {
        assert_eq!(listed(filter.clone(), ALL).await, (expected.len() as u64, expected), "{filter:?}");
    }
}

#[rstest]
#[tokio::test]
async fn two_unfinished_tasks_never_write_to_one_output(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let (storage, second) = (world.add_storage().await, world.add_storage().await);
    let to =
        |storage, output| world.task_to(storage, TaskId::generate(world.now(), &mut rand::rng()), output);
    let first = to(&storage, "a.mp4");
    world.store.create_task(&first).await.expect("created");
    is_conflict(world.store.create_task(&to(&storage, "a.mp4")).await);
    world.store.create_task(&to(&storage, "b.mp4")).await.expect("another output");
    is_conflict(world.store.create_task(&to(&second, "a.mp4")).await);
    let moved = Storage { endpoint: "http://127.0.0.1:9001".to_owned(), ..second.clone() };
    world.replace_storage(&moved).await.expect("moved");
    world.store.create_task(&to(&moved, "a.mp4")).await.expect("the same bucket of another service");

    world.store.cancel_task(&world.tenant, &first.id).await.expect("cancelled");
    let again = to(&storage, "a.mp4");
    world.store.create_task(&again).await.expect("an ended task's output is overwritten");
    is_conflict(world.store.retry_task(&world.tenant, &first.id).await);
    world.store.cancel_task(&world.tenant, &again.id).await.expect("cancelled");
    world.store.retry_task(&world.tenant, &first.id).await.expect("free again");
}

#[rstest]
#[tokio::test]
async fn containers_of_one_name_in_two_accounts_are_two_places(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let in_account = |account: &'static str| {
        world.add_storage_with(move |storage| {
            storage.kind = StorageType::Azblob;
            storage.bucket = "videos".to_owned();
            storage.storage_ak = Secret::new(account);
        })
    };
    let create = async |storage: &Storage| {
        let task = world.task_to(storage, TaskId::generate(world.now(), &mut rand::rng()), "a.mp4");
        world.store.create_task(&task).await
    };
    create(&in_account("one").await).await.expect("created");
    create(&in_account("other").await).await.expect("elsewhere");
    is_conflict(create(&in_account("one").await).await);
}

#[rstest]
#[tokio::test]
async fn a_cancelled_task_ends_at_once_whoever_has_it(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let (store, tenant) = (&world.store, &world.tenant);
    let waiting = world.create_task(&storage).await;
    let ended = store.cancel_task(tenant, &waiting.id).await.expect("cancelled");
    assert_eq!((ended.state.status(), ended.state.started()), (TaskStatus::Cancelled, None));
    is_wrong_state(store.cancel_task(tenant, &waiting.id).await);

    let running = world.create_task(&storage).await;
    let claim = world.claim().await;
    store.cancel_task(tenant, &running.id).await.expect("cancelled");
    is_fenced(store.renew_lease(&claim, Duration::from_secs(1)).await);
    is_fenced(store.update_progress(&claim, Stage::Running, 50, "").await);
    is_fenced(store.record_source(&claim, &SourceFacts::default()).await);
    is_fenced(store.finish_task(&claim, succeeded()).await);
    is_fenced(store.give_back_job(&claim).await);
    is_fenced(store.retry_job(&claim, Duration::ZERO, "it failed").await);
    let stored = store.task(tenant, &running.id).await.expect("found");
    assert_eq!(stored.state.status(), TaskStatus::Cancelled);
    assert_eq!(store.queue_depth().await.expect("counted"), QueueDepth { ready: 0, running: 0, owed: 2 });
    let filter = CallbackFilter { task_id: Some(running.id.clone()), ..CallbackFilter::default() };
    let (_, callbacks) = store.callbacks(tenant, &filter, ALL).await.expect("listed");
    let (callback, _) = store.callback(tenant, &callbacks[0].id).await.expect("found");
    assert_eq!((callbacks.len(), callback.body), (1, body(&storage, &stored)));
}

#[rstest]
#[tokio::test]
async fn a_retried_task_is_as_new_and_owes_again(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let (store, tenant) = (&world.store, &world.tenant);
    let task = world.create_task(&storage).await;
    is_wrong_state(store.retry_task(tenant, &task.id).await);
    let old = world.claim().await;
    is_wrong_state(store.retry_task(tenant, &task.id).await);
    store.record_source(&old, &SourceFacts::default()).await.expect("kept");
    store.retry_job(&old, Duration::ZERO, "it failed").await.expect("given back");
    let old = world.claim().await;
    store.finish_task(&old, failed()).await.expect("finished");

    assert_eq!(store.retry_task(tenant, &task.id).await.expect("retried"), task);
    assert_eq!(store.task(tenant, &task.id).await.expect("found").state, TaskState::pending());
    let claim = world.claim().await;
    assert_eq!((claim.tries, claim.claims, &claim.task.id), (0, 1, &task.id));
    is_fenced(store.finish_task(&old, failed()).await);
    store.finish_task(&claim, succeeded()).await.expect("finished");
    assert_eq!(store.queue_depth().await.expect("counted").owed, 2);
}

#[rstest]
#[tokio::test]
async fn a_storage_in_use_stays(#[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let (store, tenant) = (&world.store, &world.tenant);
    let task = world.create_task(&storage).await;
    is_conflict(store.delete_storage(tenant, &storage.id).await);
    let claim = world.claim().await;
    is_conflict(store.delete_storage(tenant, &storage.id).await);
    store.finish_task(&claim, failed()).await.expect("finished");
    is_conflict(store.delete_storage(tenant, &storage.id).await);
    assert_eq!(store.storage(tenant, &storage.id).await.expect("still there"), storage);

    crate::callbacks::deliver(&world).await;
    store.delete_storage(tenant, &storage.id).await.expect("deleted");
    assert_eq!(store.task(tenant, &task.id).await.expect("stays").state.status(), TaskStatus::Failed);
    is_not_found(store.retry_task(tenant, &task.id).await);
    is_not_found(store.create_task(&world.task(&storage)).await);
}

#[rstest]
#[tokio::test]
async fn an_ended_task_is_deleted_and_its_callback_stays(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let (store, tenant) = (&world.store, &world.tenant);
    let task = world.create_task(&storage).await;
    is_wrong_state(store.delete_task(tenant, &task.id).await);
    let claim = world.claim().await;
    is_wrong_state(store.delete_task(tenant, &task.id).await);
    store.finish_task(&claim, failed()).await.expect("finished");
    is_not_found(store.delete_task(&"other".parse().expect("a tenant"), &task.id).await);
    store.delete_task(tenant, &task.id).await.expect("deleted");
    is_not_found(store.task(tenant, &task.id).await);
    is_not_found(store.delete_task(tenant, &task.id).await);
    assert_eq!(store.list_tasks(tenant, &TaskFilter::default(), ALL).await.expect("listed").total, 0);
    assert_eq!(store.queue_depth().await.expect("counted").owed, 1);
}

#[rstest]
#[tokio::test]
async fn a_task_that_its_batch_will_tell_of_stays(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let (store, tenant) = (&world.store, &world.tenant);
    let batch = BatchId::generate(world.now(), &mut rand::rng());
    let tasks = [world.task(&storage), world.task(&storage)]
        .map(|task| Task { batch_id: Some(batch.clone()), ..task });
    store.create_batch(&batch, &tasks).await.expect("created");
    store.cancel_task(tenant, &tasks[0].id).await.expect("cancelled");
    is_conflict(store.delete_task(tenant, &tasks[0].id).await);
    store.cancel_task(tenant, &tasks[1].id).await.expect("cancelled");
    store.delete_task(tenant, &tasks[0].id).await.expect("deleted");
}

#[rstest]
#[tokio::test]
async fn an_ended_task_is_kept_for_a_while(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let (store, tenant) = (&world.store, &world.tenant);
    let month = Duration::from_secs(30 * 24 * 3600);
    let mut batch = Vec::new();
    let batch_id = BatchId::generate(world.now(), &mut rand::rng());
    for _ in 0..2 {
        batch.push(Task { batch_id: Some(batch_id.clone()), ..world.task(&storage) });
    }
    store.create_batch(&batch_id, &batch).await.expect("created");
    let in_batch = world.claim().await;
    store.finish_task(&in_batch, failed()).await.expect("finished");
    let other_of_batch = world.claim().await;
    let old = world.failed_task(&storage).await;
    world.clock.advance(month);
    let kept = world.failed_task(&storage).await;
    let unfinished = world.create_task(&storage).await;
    world.clock.advance(month);
    let delete = || store.delete_old_tasks(store.ago(month + month / 2));

    assert_eq!(delete().await.expect("deleted"), 1);
    is_not_found(store.task(tenant, &old.id).await);
    let filter = CallbackFilter { task_id: Some(old.id.clone()), ..CallbackFilter::default() };
    let page = Page { offset: 0, limit: 10 };
    let callbacks = store.callbacks(tenant, &filter, page).await.expect("listed");
    assert_eq!(callbacks.0, 1, "its callback is still owed");
    for id in [&kept.id, &unfinished.id, &in_batch.task.id] {
        store.task(tenant, id).await.expect("kept");
    }
    let listed = store.list_tasks(tenant, &TaskFilter::default(), page).await.expect("listed");
    assert_eq!((listed.total, listed.tasks.len()), (4, 4));

    // the batch ends: its callback is about all, and then it goes with its tasks
    store.finish_task(&other_of_batch, succeeded()).await.expect("finished");
    assert_eq!(delete().await.expect("deleted"), 1);
    is_not_found(store.task(tenant, &in_batch.task.id).await);
    world.clock.advance(month * 2);
    assert_eq!(delete().await.expect("deleted"), 2);
    assert_eq!(delete().await.expect("deleted"), 0);
    store.task(tenant, &unfinished.id).await.expect("whatever its age");
}
