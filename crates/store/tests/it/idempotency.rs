//! Who something is written for: answers that are given again, and how many tasks a key may have.

use std::time::Duration;

use borealis_store::{
    CallerContext, IdempotentAnswer, Quota, Store, StoreError, TaskFilter, testing::DatabaseKind,
};
use model::{Secret, TaskEnd, TenantId};
use rstest::rstest;

use crate::world::{LEASE, World, worker};

fn stored_answer(tenant: &TenantId, key: &str, answer: &str) -> Option<IdempotentAnswer> {
    let (tenant, key) = (tenant.clone(), key.to_owned());
    Some(IdempotentAnswer { tenant, key, digest: vec![1, 2, 3], answer: Secret::new(answer) })
}

fn answering(store: &Store, idempotent_answer: Option<IdempotentAnswer>) -> Store {
    store.for_caller(CallerContext {
        access_key: "AK".to_owned(),
        quota: Quota::default(),
        idempotent_answer,
    })
}

#[rstest]
#[tokio::test]
async fn an_answer_is_kept_with_what_it_answers(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let (store, tenant) = (&world.store, &world.tenant);
    let (first, second) = (world.task(&storage), world.task(&storage));
    answering(store, stored_answer(tenant, "k", "one")).create_task(&first).await.expect("created");
    let again = answering(store, stored_answer(tenant, "k", "two")).create_task(&second).await;
    assert!(matches!(again, Err(StoreError::AlreadyAnswered)), "{again:?}");
    let kept = store.idempotent_answer(tenant, "k").await.expect("read").expect("an answer");
    assert_eq!((kept.answer.expose(), kept.digest.as_slice()), ("one", [1, 2, 3].as_slice()));

    // what was refused was not answered
    let clash = world.task_to(&storage, second.id.clone(), &format!("{}.mp4", first.id));
    let refused = answering(store, stored_answer(tenant, "refused", "")).create_task(&clash).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert!(store.idempotent_answer(tenant, "refused").await.expect("read").is_none());

    // another tenant's names are its own
    let theirs: TenantId = "other".parse().expect("a tenant");
    assert!(store.idempotent_answer(&theirs, "k").await.expect("read").is_none());

    world.clock.pass(Duration::from_secs(24 * 3600 + 1));
    assert!(store.idempotent_answer(tenant, "k").await.expect("read").is_none());
    answering(store, stored_answer(tenant, "k", "three"))
        .create_task(&second)
        .await
        .expect("its time was over");
    assert_eq!(store.delete_expired_answers().await.expect("swept"), 0);
    world.clock.pass(Duration::from_secs(24 * 3600 + 1));
    assert_eq!(store.delete_expired_answers().await.expect("swept"), 1);
}

#[rstest]
#[tokio::test]
async fn of_equal_calls_at_one_moment_one_is_done(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..8 {
        // the same output, too: the answer must be found before the conflict is
        let id = model::TaskId::generate(world.now(), &mut rand::rng());
        let task = world.task_to(&storage, id, "same.mp4");
        let store = answering(&world.store, stored_answer(&world.tenant, "k", task.id.as_str()));
        calls.spawn(async move { store.create_task(&task).await.map(|()| task.id) });
    }
    let mut created = Vec::new();
    while let Some(result) = calls.join_next().await {
        match result.expect("no panic") {
            Ok(id) => created.push(id),
            Err(StoreError::AlreadyAnswered) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let page = borealis_store::Page { offset: 0, limit: 100 };
    let listed = world.store.list_tasks(&world.tenant, &TaskFilter::default(), page).await.expect("listed");
    assert_eq!((created.len(), listed.total), (1, 1));
    let kept = world.store.idempotent_answer(&world.tenant, "k").await.expect("read").expect("an answer");
    assert_eq!(kept.answer.expose(), created[0].as_str());
}

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
