//! Jobs: which is next, who has claimed it, and what becomes of it when its worker dies.

use std::time::Duration;

use borealis_store::{QueueDepth, testing::DatabaseKind};
use model::{ErrorCode, Priority, Stage, Storage, Task, TaskEnd, TaskState, TaskStatus, TenantId};
use rstest::rstest;

use crate::world::{LEASE, World, is_fenced, storage, succeeded, worker};

#[rstest]
#[tokio::test]
async fn a_claimed_task_works_and_its_progress_never_goes_back(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let task = world.create_task(&storage).await;
    world.clock.advance(Duration::from_secs(3));
    let (worker, started) = (worker(), world.now());
    let claim = world.store.claim_job(&worker, LEASE).await.expect("claimed").expect("a job");
    let waiting = String::new();
    let state = TaskState::Working { stage: Stage::Downloading, progress: 0, started, waiting };
    assert_eq!(claim.task, Task { state, ..task.clone() });
    assert_eq!((claim.fence, claim.tries, claim.claims), (1, 0, 1));
    assert_eq!((&claim.worker, claim.lease_until), (&worker, world.now() + LEASE));
    assert_eq!(world.store.claim_job(&worker, LEASE).await.expect("asked"), None);

    for (stage, progress, expected, why) in [
        (Stage::Running, 40, 40, ""),
        (Stage::Running, 30, 40, "waiting for s3://bkt/: busy"),
        (Stage::Uploading, 200, 100, ""),
    ] {
        world.store.update_progress(&claim, stage, progress, why).await.expect("advanced");
        let stored = world.store.task(&world.tenant, &task.id).await.expect("found");
        assert_eq!(
            stored.state,
            TaskState::Working { stage, progress: expected, started, waiting: why.to_owned() }
        );
    }
    world.store.finish_task(&claim, succeeded()).await.expect("finished");
    is_fenced(world.store.finish_task(&claim, succeeded()).await);
    let depth = world.store.queue_depth().await.expect("counted");
    assert_eq!(depth, QueueDepth { ready: 0, running: 0, owed: 1 });
}

#[rstest]
#[tokio::test]
async fn higher_priorities_go_first_then_the_older(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let mut created = Vec::new();
    for priority in [5, 1, 9, 5] {
        let mut task = world.task(&storage);
        task.spec.priority = Priority::new(priority).expect("a priority");
        world.store.create_task(&task).await.expect("created");
        created.push(task.id);
    }
    for index in [2, 0, 3, 1] {
        assert_eq!(world.claim().await.task.id, created[index]);
    }
}

async fn create_tasks(world: &World, storage: &Storage, count: usize) {
    for _ in 0..count {
        world.create_task(storage).await;
    }
}

async fn storage_of(world: &World, tenant: &str) -> Storage {
    let tenant: TenantId = tenant.parse().expect("a tenant");
    let storage = storage(&tenant, world.now());
    world.store.add_storage(&storage).await.expect("added");
    storage
}

/// Claims jobs, which go on running, and gives the first letter of the tenant of each.
async fn claimed_tenants(world: &World, count: usize) -> String {
    let mut tenants = String::new();
    for _ in 0..count {
        tenants.push_str(&world.claim().await.task.tenant.as_str()[..1]);
    }
    tenants
}

/// Runs jobs one after the other, and gives the first letter of the tenant of each.
async fn run_in_turn(world: &World, count: usize) -> String {
    let mut tenants = String::new();
    for _ in 0..count {
        let claim = world.claim().await;
        world.store.finish_task(&claim, succeeded()).await.expect("finished");
        tenants.push_str(&claim.task.tenant.as_str()[..1]);
    }
    tenants
}

#[rstest]
#[tokio::test]
async fn tenants_take_turns_however_much_one_of_them_enqueues(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let (a, b, c) =
        (storage_of(&world, "a").await, storage_of(&world, "b").await, storage_of(&world, "c").await);
    create_tasks(&world, &a, 12).await;
    create_tasks(&world, &b, 3).await;
    assert_eq!(run_in_turn(&world, 5).await, "ababa");
    create_tasks(&world, &c, 2).await;
    assert_eq!(run_in_turn(&world, 5).await, "cbaca");
    // b was idle, and gains nothing by it
    create_tasks(&world, &b, 3).await;
    assert_eq!(run_in_turn(&world, 5).await, "babab");
    assert_eq!(run_in_turn(&world, 5).await, "aaaaa");
    assert_eq!(world.store.queue_depth().await.expect("counted").ready, 0);
}

#[rstest]
#[tokio::test]
async fn a_tenant_has_its_share_of_the_slots_while_others_wait_and_all_of_them_alone(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let (a, b, c) =
        (storage_of(&world, "a").await, storage_of(&world, "b").await, storage_of(&world, "c").await);
    create_tasks(&world, &a, 20).await;
    // six slots, and nobody else wants one
    let mut running: Vec<_> = Vec::new();
    for _ in 0..6 {
        running.push(world.claim().await);
    }
    create_tasks(&world, &b, 20).await;
    create_tasks(&world, &c, 20).await;
    // whichever job ends: the slot goes to who has the fewest, until each has a third
    let mut taken = String::new();
    for _ in 0..4 {
        world.store.finish_task(&running.remove(0), succeeded()).await.expect("finished");
        taken.push_str(&claimed_tenants(&world, 1).await);
    }
    assert_eq!(taken, "bcbc");
    // those of a go on for ever; its slots are its own, and it gets no more
    assert_eq!(claimed_tenants(&world, 3).await, "abc");
}

#[rstest]
#[tokio::test]
async fn a_priority_is_within_the_share_of_its_tenant(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let (a, b) = (storage_of(&world, "a").await, storage_of(&world, "b").await);
    create_tasks(&world, &a, 2).await;
    for _ in 0..4 {
        let mut urgent = world.task(&a);
        urgent.spec.priority = Priority::new(9).expect("a priority");
        world.store.create_task(&urgent).await.expect("created");
    }
    create_tasks(&world, &b, 2).await;
    let mut order = Vec::new();
    for _ in 0..8 {
        let claim = world.claim().await;
        world.store.finish_task(&claim, succeeded()).await.expect("finished");
        order.push(format!("{}{}", claim.task.tenant, claim.task.spec.priority.get()));
    }
    assert_eq!(order.join(" "), "a9 b5 a9 b5 a9 a9 a5 a5");
}

#[rstest]
#[tokio::test]
async fn a_retry_goes_behind_those_that_have_waited_longer(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let failing = world.create_task(&storage).await;
    let claim = world.claim().await;
    world.clock.advance(Duration::from_secs(3));
    let older = world.create_task(&storage).await;
    let why = "Output unreachable: no answer; it is tried again at noon (try 2 of 3)";
    world.store.retry_job(&claim, Duration::from_secs(10), why).await.expect("handed back");
    let waiting = world.store.task(&world.tenant, &failing.id).await.expect("found").state;
    assert_eq!((waiting.status(), waiting.waiting()), (TaskStatus::Pending, why));
    world.clock.advance(Duration::from_secs(10));
    world.clock.advance(Duration::from_secs(1));
    let newer = world.create_task(&storage).await;
    for expected in [older, failing, newer] {
        assert_eq!(world.claim().await.task.id, expected.id);
    }
}

#[rstest]
#[tokio::test]
async fn what_is_handed_back_counts_as_it_should(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let task = world.create_task(&storage).await;
    let first = world.claim().await;
    world.store.give_back_job(&first).await.expect("given back");
    is_fenced(world.store.give_back_job(&first).await);
    let stored = world.store.task(&world.tenant, &task.id).await.expect("found");
    let waiting = "its worker stopped; it waits for another one and begins anew".to_owned();
    assert_eq!(stored.state, TaskState::Pending { waiting });

    let second = world.claim().await;
    assert_eq!((second.fence, second.tries, second.claims), (2, 0, 1));
    world.store.retry_job(&second, Duration::from_secs(10), "it failed").await.expect("given back");
    let nobody = world.store.claim_job(&worker(), LEASE).await.expect("asked");
    assert_eq!(nobody, None, "it waits for the time of its next try");
    world.clock.advance(Duration::from_secs(10));
    let third = world.claim().await;
    assert_eq!((third.fence, third.tries, third.claims), (3, 1, 1));

    world.clock.advance(LEASE + Duration::from_millis(1));
    world.store.renew_lease(&third, LEASE).await.expect("nobody else has it");
    assert_eq!(world.store.reap_jobs().await.expect("reaped"), 0);
    world.clock.advance(LEASE + Duration::from_millis(1));
    assert_eq!(world.store.reap_jobs().await.expect("reaped"), 1);
    is_fenced(world.store.renew_lease(&third, LEASE).await);
    let fourth = world.claim().await;
    assert_eq!((fourth.fence, fourth.tries, fourth.claims), (4, 1, 2));
    assert_eq!(world.store.release_worker_claims(&worker()).await.expect("released"), 0);
    assert_eq!(world.store.release_worker_claims(&fourth.worker).await.expect("released"), 1);
    is_fenced(world.store.finish_task(&fourth, succeeded()).await);
    assert_eq!(world.claim().await.claims, 3);
}

#[rstest]
#[tokio::test]
async fn a_task_that_outlives_ten_workers_ends(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let poison = world.create_task(&storage).await;
    for claims in 1..=10 {
        let claim = world.claim().await;
        assert_eq!((&claim.task.id, claim.claims), (&poison.id, claims));
        world.store.release_worker_claims(&claim.worker).await.expect("released");
    }
    let next = world.create_task(&storage).await;
    assert_eq!(world.claim().await.task.id, next.id, "the next is taken instead");
    let ended = world.store.task(&world.tenant, &poison.id).await.expect("found");
    assert_eq!(ended.state.status(), TaskStatus::Failed);
    let Some((_, TaskEnd::Failed(failure))) = ended.state.ended() else { panic!("{:?}", ended.state) };
    assert_eq!(failure.code, ErrorCode::Internal);
    assert!(failure.detail.contains("outlived 10 workers"), "{failure}");
    let depth = world.store.queue_depth().await.expect("counted");
    assert_eq!(depth, QueueDepth { ready: 0, running: 1, owed: 1 });
}

#[rstest]
#[tokio::test]
async fn eight_workers_never_have_the_same_job(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    create_tasks(&world, &storage, 60).await;
    // two stores, as two processes have them
    let stores = [world.store.clone(), world.second_store().await];
    let mut workers = tokio::task::JoinSet::new();
    for index in 0..8 {
        let store = stores[index % 2].clone();
        workers.spawn(async move {
            let (worker, mut done) = (worker(), Vec::new());
            while let Some(claim) = store.claim_job(&worker, LEASE).await.expect("claimed") {
                store.update_progress(&claim, Stage::Running, 10, "").await.expect("never fenced");
                store.finish_task(&claim, succeeded()).await.expect("never fenced");
                done.push(claim.task.id);
            }
            done
        });
    }
    let mut done = workers.join_all().await.concat();
    done.sort();
    done.dedup();
    assert_eq!(done.len(), 60);
    let depth = world.store.queue_depth().await.expect("counted");
    assert_eq!(depth, QueueDepth { ready: 0, running: 0, owed: 60 });
}

/// Of two that end the same task at once, one does, the other fails, and one callback is owed.
#[rstest]
#[tokio::test]
async fn an_end_and_a_cancel_at_once_end_it_once(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    for round in 1..=20 {
        world.create_task(&storage).await;
        let claim = world.claim().await;
        let (store, tenant, id) = (world.store.clone(), world.tenant.clone(), claim.task.id.clone());
        let cancel = tokio::spawn(async move { store.cancel_task(&tenant, &id).await.is_ok() });
        let store = world.store.clone();
        let finish = tokio::spawn(async move { store.finish_task(&claim, succeeded()).await.is_ok() });
        let ended = [cancel.await.expect("no panic"), finish.await.expect("no panic")];
        assert_eq!(ended.iter().filter(|ended| **ended).count(), 1);
        let depth = world.store.queue_depth().await.expect("counted");
        assert_eq!(depth, QueueDepth { ready: 0, running: 0, owed: round });
    }
}
