//! Jobs: who comes next, who has it, and what becomes of it when its worker dies.

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
    world.clock.pass(Duration::from_secs(3));
    let (me, started) = (worker(), world.now());
    let claim = world.store.claim_job(&me, LEASE).await.expect("claimed").expect("a job");
    let waiting = String::new();
    let state = TaskState::Working { stage: Stage::Downloading, progress: 0, started, waiting };
    assert_eq!(claim.task, Task { state, ..task.clone() });
    assert_eq!((claim.fence, claim.tries, claim.claims), (1, 0, 1));
    assert_eq!((&claim.worker, claim.lease_until), (&me, world.now() + LEASE));
    assert_eq!(world.store.claim_job(&me, LEASE).await.expect("asked"), None);

    for (stage, progress, expected, why) in [
        (Stage::Running, 40, 40, ""),
        (Stage::Running, 30, 40, "waiting for s3://bkt/: busy"),
        (Stage::Uploading, 200, 100, ""),
    ] {
        world.store.update_progress(&claim, stage, progress, why).await.expect("advanced");
        let kept = world.store.task(&world.tenant, &task.id).await.expect("found");
        assert_eq!(
            kept.state,
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

async fn flood(world: &World, storage: &Storage, count: usize) {
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

/// Whose the next jobs are, by the first letter.
async fn next(world: &World, count: usize) -> String {
    let mut tenants = String::new();
    for _ in 0..count {
        tenants.push_str(&world.claim().await.task.tenant.as_str()[..1]);
    }
    tenants
}

#[rstest]
#[tokio::test]
async fn a_flood_of_one_tenant_does_not_delay_another(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let (a, b, c) =
        (storage_of(&world, "a").await, storage_of(&world, "b").await, storage_of(&world, "c").await);
    flood(&world, &a, 12).await;
    flood(&world, &b, 3).await;
    assert_eq!(next(&world, 7).await, "aababab");
    flood(&world, &c, 2).await;
    assert_eq!(next(&world, 5).await, "aacac");
    // b has been away: it has nothing to catch up with
    flood(&world, &b, 2).await;
    assert_eq!(next(&world, 5).await, "aabab");
    assert_eq!(next(&world, 2).await, "aa");
    assert_eq!(world.store.queue_depth().await.expect("counted").ready, 0);
    // nobody is at the front: all start where the farthest is
    flood(&world, &b, 2).await;
    flood(&world, &a, 1).await;
    flood(&world, &c, 2).await;
    assert_eq!(next(&world, 5).await, "bbacc");
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
    let kept = world.store.task(&world.tenant, &task.id).await.expect("found");
    assert_eq!(kept.state, TaskState::Pending);

    let second = world.claim().await;
    assert_eq!((second.fence, second.tries, second.claims), (2, 0, 1));
    world.store.retry_job(&second, Duration::from_secs(10)).await.expect("given back");
    let nobody = world.store.claim_job(&worker(), LEASE).await.expect("asked");
    assert_eq!(nobody, None, "it waits for its time");
    world.clock.pass(Duration::from_secs(10));
    let third = world.claim().await;
    assert_eq!((third.fence, third.tries, third.claims), (3, 1, 1));

    world.clock.pass(LEASE + Duration::from_millis(1));
    world.store.renew_lease(&third, LEASE).await.expect("nobody else has it");
    assert_eq!(world.store.reap_jobs().await.expect("reaped"), 0);
    world.clock.pass(LEASE + Duration::from_millis(1));
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
    let behind = world.create_task(&storage).await;
    assert_eq!(world.claim().await.task.id, behind.id, "the next is taken instead");
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
    flood(&world, &storage, 60).await;
    // two stores, as two processes have them
    let stores = [world.store.clone(), world.second_store().await];
    let mut workers = tokio::task::JoinSet::new();
    for index in 0..8 {
        let store = stores[index % 2].clone();
        workers.spawn(async move {
            let (me, mut done) = (worker(), Vec::new());
            while let Some(claim) = store.claim_job(&me, LEASE).await.expect("claimed") {
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

/// Two who end the same task at once: one does, the other learns it, and one callback is owed.
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
