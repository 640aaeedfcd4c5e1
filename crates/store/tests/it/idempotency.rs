//! Idempotency: an answer is stored with what it answers, and a repeated call does nothing more.

use std::time::Duration;

use borealis_store::{
    CallerContext, IdempotentAnswer, Quota, Store, StoreError, TaskFilter, testing::DatabaseKind,
};
use model::{Secret, TenantId};
use rstest::rstest;

use crate::world::{World, other_tenant};

fn an_answer(tenant: &TenantId, key: &str, answer: &str) -> Option<IdempotentAnswer> {
    let (tenant, key) = (tenant.clone(), key.to_owned());
    Some(IdempotentAnswer { tenant, key, digest: vec![1, 2, 3], answer: Secret::new(answer) })
}

fn storing_answer(store: &Store, idempotent_answer: Option<IdempotentAnswer>) -> Store {
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
    storing_answer(store, an_answer(tenant, "k", "one")).create_task(&first).await.expect("created");
    let again = storing_answer(store, an_answer(tenant, "k", "two")).create_task(&second).await;
    assert!(matches!(again, Err(StoreError::AlreadyAnswered)), "{again:?}");
    let stored = store.idempotent_answer(tenant, "k").await.expect("read").expect("an answer");
    assert_eq!((stored.answer.expose(), stored.digest.as_slice()), ("one", [1, 2, 3].as_slice()));

    // nothing is stored for a call that was refused
    let conflicting = world.task_to(&storage, second.id.clone(), &format!("{}.mp4", first.id));
    let refused = storing_answer(store, an_answer(tenant, "refused", "")).create_task(&conflicting).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert!(store.idempotent_answer(tenant, "refused").await.expect("read").is_none());

    // idempotency keys are each tenant's own
    assert!(store.idempotent_answer(&other_tenant(), "k").await.expect("read").is_none());

    world.clock.advance(Duration::from_secs(24 * 3600 + 1));
    assert!(store.idempotent_answer(tenant, "k").await.expect("read").is_none());
    storing_answer(store, an_answer(tenant, "k", "three"))
        .create_task(&second)
        .await
        .expect("the old answer has expired");
    assert_eq!(store.delete_expired_answers().await.expect("swept"), 0);
    world.clock.advance(Duration::from_secs(24 * 3600 + 1));
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
        let store = storing_answer(&world.store, an_answer(&world.tenant, "k", task.id.as_str()));
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
    let stored = world.store.idempotent_answer(&world.tenant, "k").await.expect("read").expect("an answer");
    assert_eq!(stored.answer.expose(), created[0].as_str());
}
