//! Drafts: who has one, when it is abandoned, and when it is deleted.

use std::time::Duration;

use borealis_store::{Claim, Draft, DraftReservation, testing::DatabaseKind};
use model::{Format, OutputPath, Storage, Task, TaskId, Template};
use rstest::rstest;

use crate::world::{LEASE, World, failed, is_fenced, succeeded};

/// Creates and claims a task whose output has a folder, and so a draft.
async fn claimed_task(world: &World, storage: &Storage) -> Claim {
    let mut task = world.task_to(storage, TaskId::generate(world.now(), &mut rand::rng()), "a.mp4");
    task.spec.template = Template::new("plain".parse().expect("a name"), Format::Hls);
    task.spec.output = OutputPath::resolve("a", storage, Format::Hls).expect("an output");
    task.output_uri = storage.uri(task.spec.output.key());
    world.store.create_task(&task).await.expect("created");
    world.claim().await
}

async fn abandoned(world: &World) -> Vec<Draft> {
    world.store.abandoned_drafts(&[]).await.expect("listed")
}

async fn cancel(world: &World, task: &Task) {
    world.store.cancel_task(&world.tenant, &task.id).await.expect("cancelled");
}

#[rstest]
#[tokio::test]
async fn a_success_ends_it_and_a_failure_leaves_it(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let (storage, store) = (world.add_storage().await, &world.store);
    let claim = claimed_task(&world, &storage).await;
    assert_eq!(store.reserve_draft(&claim, false).await.expect("asked"), DraftReservation::NoDraft);
    assert_eq!(store.draft(&claim).await.expect("asked"), None);
    for create in [true, false, true] {
        assert_eq!(store.reserve_draft(&claim, create).await.expect("asked"), DraftReservation::Reserved);
    }
    let draft = store.draft(&claim).await.expect("asked").expect("a draft");
    assert_eq!((&draft.output, draft.format), (&claim.task.spec.output, Format::Hls));
    assert_eq!(abandoned(&world).await, Vec::new());
    store.finish_task(&claim, succeeded()).await.expect("finished");
    is_fenced(store.reserve_draft(&claim, true).await);
    is_fenced(store.draft(&claim).await);
    is_fenced(store.check_claim(&claim).await);

    let claim = claimed_task(&world, &storage).await;
    assert_eq!(
        store.reserve_draft(&claim, false).await.expect("asked"),
        DraftReservation::NoDraft,
        "the first is gone"
    );
    store.reserve_draft(&claim, true).await.expect("reserved");
    store.finish_task(&claim, failed()).await.expect("finished");
    store.delete_task(&world.tenant, &claim.task.id).await.expect("deleted");
    let [draft] = &abandoned(&world).await[..] else { panic!("one") };
    let elsewhere = store.abandoned_drafts(std::slice::from_ref(&storage.id)).await;
    assert_eq!(elsewhere.expect("listed"), Vec::new());

    let leased = store.lease_draft(draft, LEASE).await.expect("asked").expect("leased");
    assert_eq!(store.lease_draft(draft, LEASE).await.expect("asked"), None, "somebody else has leased it");
    assert_eq!(abandoned(&world).await, Vec::new());
    store.release_draft(&leased).await.expect("released");
    let [draft] = &abandoned(&world).await[..] else { panic!("one") };
    let leased = store.lease_draft(draft, LEASE).await.expect("asked").expect("leased");
    store.delete_draft(&leased).await.expect("deleted");
    world.clock.advance(LEASE * 2);
    assert_eq!(abandoned(&world).await, Vec::new());
}

#[rstest]
#[tokio::test]
async fn nobody_has_it_while_another_may_be_at_it(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let (storage, store) = (world.add_storage().await, &world.store);
    let first = claimed_task(&world, &storage).await;
    store.reserve_draft(&first, true).await.expect("reserved");
    world.clock.advance(Duration::from_secs(10));
    cancel(&world, &first.task).await;

    // the worker of the first task need not have noticed yet
    let second = claimed_task(&world, &storage).await;
    let busy = DraftReservation::BusyUntil(first.lease_until);
    assert_eq!(store.reserve_draft(&second, true).await.expect("asked"), busy);
    assert_eq!(abandoned(&world).await, Vec::new());
    world.clock.advance(Duration::from_secs(20));
    let [draft] = &abandoned(&world).await[..] else { panic!("one") };
    assert_eq!(store.reserve_draft(&second, false).await.expect("asked"), DraftReservation::Reserved);
    assert_eq!(store.lease_draft(draft, LEASE).await.expect("asked"), None, "it belongs to the second task");
    assert_eq!(abandoned(&world).await, Vec::new());

    store.finish_task(&second, failed()).await.expect("finished");
    let [draft] = &abandoned(&world).await[..] else { panic!("one") };
    let leased = store.lease_draft(draft, LEASE).await.expect("asked").expect("leased");
    let third = claimed_task(&world, &storage).await;
    let busy = DraftReservation::BusyUntil(world.now() + LEASE);
    assert_eq!(store.reserve_draft(&third, true).await.expect("asked"), busy, "it is being removed");
    store.delete_draft(&leased).await.expect("deleted");
    assert_eq!(store.reserve_draft(&third, true).await.expect("asked"), DraftReservation::Reserved);

    // a task whose worker died still has its draft when another worker claims it
    store.release_worker_claims(&third.worker).await.expect("released");
    let again = world.claim().await;
    assert_eq!(store.reserve_draft(&again, false).await.expect("asked"), DraftReservation::Reserved);
    is_fenced(store.check_claim(&third).await);
    store.check_claim(&again).await.expect("held");
    cancel(&world, &again.task).await;
    store.delete_storage(&world.tenant, &storage.id).await.expect_err("callbacks are owed");
}
