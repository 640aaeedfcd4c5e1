//! Of a callback that was sent very often, the newest attempts are shown.

use borealis_store::{AttemptRecord, ClaimRequest, DueQueue, testing::DatabaseKind};
use model::{Attempt, CallbackNext, limits::MAX_SHOWN_ATTEMPTS};
use rstest::rstest;

use crate::world::{LEASE, World, worker};

#[rstest]
#[tokio::test]
async fn the_newest_attempts_are_shown(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    world.failed_task(&world.add_storage().await).await;
    let (sender, mut id) = (worker(), None);
    for _ in 0..MAX_SHOWN_ATTEMPTS + 5 {
        let mut requests = Vec::new();
        for DueQueue { queue, retry, .. } in world.store.due_queues().await.expect("asked") {
            requests.push(ClaimRequest { queue, retry, limit: 1 });
        }
        let claims = world.store.claim_callbacks(&sender, LEASE, &requests).await.expect("claimed");
        let attempt = Attempt::new(claims[0].attempts + 1, world.now());
        let record = AttemptRecord::new(&claims[0], attempt, CallbackNext::RetryAt(world.now()));
        assert!(world.store.record_attempts(&sender, &[record]).await.expect("recorded").is_empty());
        id = Some(claims[0].id.clone());
    }
    let (callback, attempts) = world.store.callback(&world.tenant, &id.expect("one")).await.expect("found");
    assert_eq!(callback.attempts as usize, MAX_SHOWN_ATTEMPTS + 5);
    let numbers: Vec<_> = attempts.iter().map(|attempt| attempt.number as usize).collect();
    assert_eq!(numbers, (6..=MAX_SHOWN_ATTEMPTS + 5).collect::<Vec<_>>());
}
