//! Drafts: who has one, when it is abandoned, and when it is deleted.

use std::time::Duration;

use borealis_store::{
    Claim, Draft, DraftObjects, DraftReservation, MainObjectPut, Result, testing::DatabaseKind,
};
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

/// Reserves the draft for a try; fails unless it gets it. Gives its objects.
async fn reserve(world: &World, claim: &Claim, own_folder: &str) -> DraftObjects {
    match world.store.reserve_draft(claim, true, own_folder).await.expect("asked") {
        DraftReservation::Reserved(objects) => objects,
        other => panic!("{other:?}"),
    }
}

/// What is answered to a try that gets no folder of its own here.
async fn reserve_present(world: &World, claim: &Claim) -> Result<DraftReservation> {
    world.store.reserve_draft(claim, false, "unused").await
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
    assert_eq!(reserve_present(&world, &claim).await.expect("asked"), DraftReservation::NoDraft);
    assert_eq!(store.draft(&claim).await.expect("asked"), None);
    assert_eq!(reserve(&world, &claim, "unused").await, DraftObjects::default());
    let draft = store.draft(&claim).await.expect("asked").expect("a draft");
    assert_eq!((&draft.output, draft.format), (&claim.task.spec.output, Format::Hls));
    assert_eq!(abandoned(&world).await, Vec::new());
    store.finish_task(&claim, succeeded()).await.expect("finished");
    is_fenced(reserve_present(&world, &claim).await);
    is_fenced(store.draft(&claim).await);
    is_fenced(store.check_claim(&claim).await);

    let claim = claimed_task(&world, &storage).await;
    let reserved = reserve_present(&world, &claim).await.expect("asked");
    assert_eq!(reserved, DraftReservation::NoDraft, "the first is gone");
    reserve(&world, &claim, "unused").await;
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
    reserve(&world, &first, "unused").await;
    world.clock.advance(Duration::from_secs(10));
    cancel(&world, &first.task).await;

    // the worker of the first task need not have noticed yet
    let second = claimed_task(&world, &storage).await;
    let busy = DraftReservation::BusyUntil(first.lease_until);
    assert_eq!(reserve_present(&world, &second).await.expect("asked"), busy);
    assert_eq!(abandoned(&world).await, Vec::new());
    world.clock.advance(Duration::from_secs(20));
    let [draft] = &abandoned(&world).await[..] else { panic!("one") };
    let objects = reserve(&world, &second, "two").await;
    assert_eq!((objects.folder.as_str(), objects.earlier_folders), ("two", vec![String::new()]));
    assert_eq!(store.lease_draft(draft, LEASE).await.expect("asked"), None, "it belongs to the second task");
    assert_eq!(abandoned(&world).await, Vec::new());

    store.finish_task(&second, failed()).await.expect("finished");
    let [draft] = &abandoned(&world).await[..] else { panic!("one") };
    let leased = store.lease_draft(draft, LEASE).await.expect("asked").expect("leased");
    let third = claimed_task(&world, &storage).await;
    let busy = DraftReservation::BusyUntil(world.now() + LEASE);
    assert_eq!(reserve_present(&world, &third).await.expect("asked"), busy, "it is being removed");
    store.delete_draft(&leased).await.expect("deleted");
    assert_eq!(reserve(&world, &third, "unused").await, DraftObjects::default());

    // a task whose worker died still has its draft when another worker claims it
    store.release_worker_claims(&third.worker).await.expect("released");
    let again = world.claim().await;
    assert_eq!(reserve(&world, &again, "four").await.folder, "four");
    is_fenced(store.check_claim(&third).await);
    store.check_claim(&again).await.expect("held");
    cancel(&world, &again.task).await;
    store.delete_storage(&world.tenant, &storage.id).await.expect_err("callbacks are owed");
}

#[rstest]
#[tokio::test]
async fn what_earlier_tries_left_outlives_a_success(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let (storage, store) = (world.add_storage().await, &world.store);
    let first = claimed_task(&world, &storage).await;
    reserve(&world, &first, "unused").await;
    store.release_worker_claims(&first.worker).await.expect("released");
    let second = world.claim().await;
    reserve(&world, &second, "two").await;
    store.finish_task(&second, succeeded()).await.expect("finished");

    assert_eq!(abandoned(&world).await, Vec::new(), "a request may still be on its way");
    world.clock.advance(Duration::from_secs(60));
    let [draft] = &abandoned(&world).await[..] else { panic!("one") };
    let finished = DraftObjects {
        folder: "two".to_owned(),
        earlier_folders: vec![String::new()],
        is_finished: true,
        main: None,
    };
    assert_eq!(draft.objects, finished);

    // the next task does not wait for it: the output that it replaces is no try of its own
    store.lease_draft(draft, LEASE).await.expect("asked").expect("leased");
    let next = claimed_task(&world, &storage).await;
    let objects = reserve(&world, &next, "three").await;
    assert_eq!((objects.folder.as_str(), objects.earlier_folders), ("three", vec![String::new()]));
    assert!(!objects.is_finished);
}

#[rstest]
#[tokio::test]
async fn what_the_first_main_object_replaced_is_remembered(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let (storage, store) = (world.add_storage().await, &world.store);
    let first = claimed_task(&world, &storage).await;
    reserve(&world, &first, "unused").await;
    store.begin_main_object(&first, Some("v1".to_owned())).await.expect("noted");
    store.release_worker_claims(&first.worker).await.expect("released");
    is_fenced(store.begin_main_object(&first, None).await);

    let second = world.claim().await;
    let noted = Some(MainObjectPut { replaced: Some("v1".to_owned()) });
    assert_eq!(reserve(&world, &second, "two").await.main, noted);
    store.begin_main_object(&second, Some("v2".to_owned())).await.expect("noted");
    cancel(&world, &second.task).await;
    world.clock.advance(LEASE);
    let [draft] = &abandoned(&world).await[..] else { panic!("one") };
    assert_eq!(draft.objects.main, noted, "what the first try put is no output that was there before");
}

#[rstest]
#[tokio::test]
async fn a_draft_is_not_looked_for_where_its_storage_is_no_more(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let (storage, store) = (world.add_storage().await, &world.store);
    let claim = claimed_task(&world, &storage).await;
    reserve(&world, &claim, "unused").await;
    store.finish_task(&claim, failed()).await.expect("finished");
    let [draft] = &abandoned(&world).await[..] else { panic!("one") };
    assert_eq!(store.storage_of_draft(draft).await.expect("asked").as_ref(), Some(&storage));
    world.replace_storage(&Storage { bucket: "other".to_owned(), ..storage }).await.expect("updated");
    assert_eq!(store.storage_of_draft(draft).await.expect("asked"), None);
}
