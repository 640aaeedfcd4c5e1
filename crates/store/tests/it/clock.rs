//! Clocks that are wrong: whatever the clock of a machine says, nobody's lease is taken, and what is due is
//! due.

use std::{sync::Arc, time::Duration};

use borealis_store::{DraftReservation, Store, testing::DatabaseKind};
use model::{CallbackNext, Format};
use rstest::rstest;

use crate::{
    callbacks::{claim_as, record},
    world::{LEASE, ManualClock, World, failed, is_fenced, succeeded, worker},
};

/// Seconds that a clock is wrong by.
const MINUTES: i64 = 5 * 60;
const DAY: i64 = 24 * 3600;

/// The same database as a machine sees it whose clock is wrong by so many seconds.
async fn wrong_store(world: &World, wrong_by: i64) -> (Arc<ManualClock>, Store) {
    let clock = Arc::new(world.clock.off_by(wrong_by));
    let store = world.store_with(&clock).await;
    (clock, store)
}

#[rstest]
#[tokio::test]
async fn the_lease_of_a_live_worker_is_never_taken(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
    #[values(MINUTES, -MINUTES, DAY, -DAY)] wrong_by: i64,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let (wrong_clock, wrong) = wrong_store(&world, wrong_by).await;
    // each has a job, and neither takes the other's
    for (owner, other) in [(&world.store, &wrong), (&wrong, &world.store)] {
        world.create_task(&storage).await;
        let claim = owner.claim_job(&worker(), LEASE).await.expect("asked").expect("a job");
        assert_eq!(other.reap_jobs().await.expect("reaped"), 0);
        assert_eq!(other.claim_job(&worker(), LEASE).await.expect("asked"), None);
        owner.renew_lease(&claim, LEASE).await.expect("still its own");
        assert_eq!(other.reap_jobs().await.expect("reaped"), 0);
        // the owner dies, and its lease ends when it should
        world.clock.advance(LEASE + Duration::from_secs(1));
        wrong_clock.advance(LEASE + Duration::from_secs(1));
        assert_eq!(other.reap_jobs().await.expect("reaped"), 1);
        is_fenced(owner.finish_task(&claim, succeeded()).await);
        let again = other.claim_job(&worker(), LEASE).await.expect("asked").expect("it is free");
        other.finish_task(&again, failed()).await.expect("finished");
    }
}

#[rstest]
#[tokio::test]
async fn a_callback_is_due_when_its_time_has_come(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
    #[values(MINUTES, -MINUTES, DAY, -DAY)] wrong_by: i64,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let (wrong_clock, wrong) = wrong_store(&world, wrong_by).await;
    for (owner, other) in [(&world.store, &wrong), (&wrong, &world.store)] {
        world.create_task(&storage).await;
        let job = owner.claim_job(&worker(), LEASE).await.expect("asked").expect("a job");
        owner.finish_task(&job, failed()).await.expect("finished");
        // the two stores were opened some moments after each other, by the time of the database
        world.clock.advance(Duration::from_secs(1));
        wrong_clock.advance(Duration::from_secs(1));
        let sender = crate::callbacks::sender();
        let claims = claim_as(other, &sender, 10).await;
        assert_eq!(claims.len(), 1, "it is due at once");
        assert_eq!(owner.reap_callbacks().await.expect("reaped"), 0, "its lease holds");
        let retry = CallbackNext::RetryAt(other.queue_time() + Duration::from_secs(5));
        record(other, &claims[0], retry).await.expect("recorded");
        assert!(claim_as(owner, &sender, 10).await.is_empty(), "it is not due yet");
        world.clock.advance(Duration::from_secs(6));
        wrong_clock.advance(Duration::from_secs(6));
        let claims = claim_as(owner, &sender, 10).await;
        assert_eq!(claims.len(), 1, "its retry is due");
        record(owner, &claims[0], CallbackNext::Delivered).await.expect("recorded");
    }
}

/// Somebody sets the clock of a machine while it works.
#[rstest]
#[tokio::test]
async fn a_clock_that_is_set_moves_nothing(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
    #[values(3600, -3600, DAY, -DAY)] step: i64,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    world.create_task(&storage).await;
    world.create_task(&storage).await;
    let (first, second) = (world.claim().await, world.claim().await);
    world.store.retry_job(&first, Duration::from_secs(10), "it failed").await.expect("handed back");
    world.clock.step(step);
    assert_eq!(world.store.reap_jobs().await.expect("reaped"), 0);
    assert_eq!(world.store.claim_job(&worker(), LEASE).await.expect("asked"), None);
    world.clock.advance(Duration::from_secs(10));
    assert_eq!(world.claim().await.task.id, first.task.id, "the retry moved by no more than its distance");
    let task = world.store.finish_task(&second, failed()).await.expect("finished");
    let sender = crate::callbacks::sender();
    assert_eq!(claim_as(&world.store, &sender, 10).await.len(), 1);
    if kind == DatabaseKind::Postgres {
        assert_eq!(task.spend_time(), Some(10.0), "and the time of the database is told");
    }
}

#[rstest]
#[tokio::test]
async fn retention_trusts_no_clock_that_is_far_ahead(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    world.failed_task(&storage).await;
    crate::callbacks::deliver(&world).await;
    let month = Duration::from_secs(30 * 24 * 3600);
    let ahead = world.store_with(&Arc::new(world.clock.off_by(400 * DAY))).await;
    assert_eq!(ahead.delete_old_callbacks(ahead.ago(month)).await.expect("asked"), 0);
    world.clock.advance(month * 2);
    let store = &world.store;
    assert_eq!(store.delete_old_callbacks(store.ago(month)).await.expect("asked"), 1);
}

#[rstest]
#[tokio::test]
async fn a_draft_is_left_alone_while_its_worker_may_write(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
    #[values(MINUTES, -DAY)] wrong_by: i64,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let mut task = world.task(&storage);
    task.spec.template.format = Format::Hls;
    world.store.create_task(&task).await.expect("created");
    let claim = world.claim().await;
    let reserved = world.store.reserve_draft(&claim, true, "unused").await.expect("asked");
    assert!(matches!(reserved, DraftReservation::Reserved(_)), "{reserved:?}");
    world.store.cancel_task(&world.tenant, &task.id).await.expect("cancelled");
    let wrong_clock = Arc::new(world.clock.off_by(wrong_by));
    let wrong = world.store_with(&wrong_clock).await;
    assert_eq!(wrong.abandoned_drafts(&[]).await.expect("listed"), Vec::new());
    wrong_clock.advance(LEASE + Duration::from_secs(1));
    assert_eq!(wrong.abandoned_drafts(&[]).await.expect("listed").len(), 1);
}

/// On SQLite a process that starts later has the time of those before it, and after a boot time goes on
/// from where it was.
#[rstest]
#[tokio::test]
async fn queue_time_outlives_processes_and_boots(#[values(3600, -3600)] step: i64) {
    let world = World::new(DatabaseKind::Sqlite).await;
    world.clock.step(step);
    let later = world.second_store().await;
    assert_eq!(later.queue_time(), world.store.queue_time());
    world.clock.advance(Duration::from_secs(50));
    world.store.sync_clock().await.expect("kept");
    let before = later.queue_time();
    world.clock.boot();
    world.clock.step(-7200);
    let booted = world.second_store().await;
    let expected = before.max(model::Clock::now(&*world.clock));
    assert_eq!(booted.queue_time(), expected);
    world.clock.advance(Duration::from_secs(5));
    assert_eq!(booted.queue_time(), expected + Duration::from_secs(5));
}
