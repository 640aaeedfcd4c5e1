//! Quotas: how many unfinished tasks an access key may have.

use borealis_store::{CallerContext, Quota, StoreError, testing::DatabaseKind};
use model::TaskEnd;
use rstest::rstest;

use crate::world::{LEASE, World, worker};

#[rstest]
#[tokio::test]
async fn a_key_has_as_many_tasks_as_it_may(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let caller = |access_key: &str, running, queued| CallerContext {
        access_key: access_key.to_owned(),
        quota: Quota { running, queued },
        idempotent_answer: None,
    };
    let refused = |result: Result<(), StoreError>| {
        assert!(matches!(result, Err(StoreError::OverQuota(_))), "{result:?}")
    };
    let two = world.store.for_caller(caller("AK", None, Some(2)));
    let first = world.task(&storage);
    two.create_task(&first).await.expect("one");
    two.create_task(&world.task(&storage)).await.expect("two");
    refused(two.create_task(&world.task(&storage)).await);
    let other = world.store.for_caller(caller("other", None, Some(1)));
    other.create_task(&world.task(&storage)).await.expect("another key's own");

    let claim = world.store.claim_job(&worker(), LEASE).await.expect("claimed").expect("a job");
    assert_eq!(claim.task.id, first.id);
    let one_runs = world.store.for_caller(caller("AK", Some(1), None));
    refused(one_runs.create_task(&world.task(&storage)).await);
    two.create_task(&world.task(&storage)).await.expect("one of the two runs");
    world.store.finish_task(&claim, TaskEnd::Cancelled).await.expect("ended");
    one_runs.create_task(&world.task(&storage)).await.expect("none runs");
    refused(two.retry_task(&world.tenant, &first.id).await.map(|_| ()));
}
