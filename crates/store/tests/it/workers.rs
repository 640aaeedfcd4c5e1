//! Workers: counted while their heartbeats come.

use std::time::Duration;

use borealis_store::testing::DatabaseKind;
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
    store.record_heartbeat(&first, 2, minute * 10).await.expect("kept");
    world.clock.advance(minute);
    store.record_heartbeat(&second, 3, minute * 10).await.expect("kept");
    store.record_heartbeat(&second, 4, minute * 10).await.expect("kept");
    let mut all = store.live_worker_capacities(minute).await.expect("read");
    all.sort_unstable();
    assert_eq!(all, [2, 4]);
    assert_eq!(store.live_worker_capacities(minute / 2).await.expect("read"), [4]);
    store.remove_worker(&second).await.expect("gone");
    assert_eq!(store.live_worker_capacities(minute).await.expect("read"), [2]);
}
