//! Claims of callbacks are bounded by bytes, and large bodies of one queue hold up no other.

use borealis_store::{ClaimRequest, DueQueue, testing::DatabaseKind};
use model::limits::MAX_CLAIMED_BYTES;
use rstest::rstest;

use crate::world::{LEASE, World, worker};

/// The storages of the claimed callbacks, of which each due queue may give a hundred.
async fn claim(world: &World) -> Vec<String> {
    let mut requests = Vec::new();
    for DueQueue { queue, retry, .. } in world.store.due_queues().await.expect("asked") {
        requests.push(ClaimRequest { queue, retry, limit: 100 });
    }
    let claims = world.store.claim_callbacks(&worker(), LEASE, &requests).await.expect("claimed");
    claims.iter().map(|claim| claim.storage.name.clone()).collect()
}

#[rstest]
#[tokio::test]
async fn a_claim_has_so_many_bytes_and_one_body_at_most(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    // bodies begin with the notify
    let with_body_of = async |name: &str, host: &str, bytes: usize| {
        let notify = format!("https://{host}.example/{}", "n".repeat(bytes));
        let named = name.to_owned();
        world.add_storage_with(|storage| (storage.name, storage.notify) = (named, notify)).await
    };
    let large = with_body_of("large", "a", MAX_CLAIMED_BYTES * 2 / 5).await;
    for _ in 0..5 {
        world.failed_task(&large).await;
    }
    let small = with_body_of("small", "b", 10).await;
    world.failed_task(&small).await;

    let mut claimed = vec![claim(&world).await, claim(&world).await, claim(&world).await];
    assert!(claimed[0].iter().any(|name| name == "small"), "the large ones do not hold it up");
    claimed.push(claim(&world).await);
    for names in &claimed {
        assert!(names.iter().filter(|name| *name == "large").count() <= 3, "{claimed:?}");
    }
    assert_eq!(claimed.concat().iter().filter(|name| *name == "large").count(), 5, "{claimed:?}");
}
