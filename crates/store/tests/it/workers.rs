//! Workers: counted while their heartbeats come.

use std::time::Duration;

use borealis_store::{IdleReason, testing::DatabaseKind};
use rstest::rstest;

use crate::world::{World, worker};

#[rstest]
#[tokio::test]
async fn workers_are_counted_while_they_say_so(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let (store, minute) = (&world.store, Duration::from_secs(60));
    let (first, second) = (worker(), worker());
    store.record_heartbeat(&first, 2, "", minute * 10).await.expect("kept");
    world.clock.advance(minute);
    store.record_heartbeat(&second, 3, "", minute * 10).await.expect("kept");
    store.record_heartbeat(&second, 4, "", minute * 10).await.expect("kept");
    let mut all = store.live_worker_capacities(minute).await.expect("read");
    all.sort_unstable();
    assert_eq!(all, [2, 4]);
    assert_eq!(store.live_worker_capacities(minute / 2).await.expect("read"), [4]);
    store.remove_worker(&second).await.expect("gone");
    assert_eq!(store.live_worker_capacities(minute).await.expect("read"), [2]);
}

#[rstest]
#[tokio::test]
async fn no_task_is_begun_when_no_worker_claims_any(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let (store, minute) = (&world.store, Duration::from_secs(60));
    assert_eq!(store.idle_reason(minute).await.expect("read"), Some(IdleReason::NoWorker));
    let (first, second) = (worker(), worker());
    store.record_heartbeat(&first, 1, "its disk is full", minute * 10).await.expect("kept");
    let full = Some(IdleReason::Paused("its disk is full".to_owned()));
    assert_eq!(store.idle_reason(minute).await.expect("read"), full);
    store.record_heartbeat(&second, 1, "", minute * 10).await.expect("kept");
    assert_eq!(store.idle_reason(minute).await.expect("read"), None);
    store.record_heartbeat(&second, 1, "so is this one's", minute * 10).await.expect("kept");
    store.record_heartbeat(&first, 1, "", minute * 10).await.expect("kept");
    assert_eq!(store.idle_reason(minute).await.expect("read"), None);
}
