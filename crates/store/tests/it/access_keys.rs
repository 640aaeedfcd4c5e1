//! Access keys: found by their public half, and never the last administrator's deleted.

use std::time::Duration;

use borealis_store::{hash_secret, testing::DatabaseKind};
use model::{AccessKey, Role, Secret};
use rstest::rstest;

use crate::world::{World, is_conflict, is_not_found, other_tenant};

#[rstest]
#[tokio::test]
async fn a_key_is_found_by_its_public_half(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let key = AccessKey {
        access_key: "AK".to_owned(),
        tenant: world.tenant.clone(),
        role: Role::Member,
        secret_hash: hash_secret(&Secret::new("SK")),
        created: world.now(),
    };
    assert_eq!(world.store.count_keys().await.expect("counted"), 0);
    world.store.add_key(&key).await.expect("added");
    is_conflict(world.store.add_key(&key).await);
    assert_eq!(world.store.find_key("AK").await.expect("looked up"), Some(key));
    for unknown in ["ak", "", "A\0K", "AK' OR '1'='1"] {
        assert_eq!(world.store.find_key(unknown).await.expect("looked up"), None, "{unknown:?}");
    }
    assert_eq!(world.store.count_keys().await.expect("counted"), 1);
}

#[rstest]
#[tokio::test]
async fn the_last_administrator_stays(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let store = &world.store;
    for (name, tenant, role) in [
        ("first", world.tenant.clone(), Role::Admin),
        ("member", world.tenant.clone(), Role::Member),
        ("theirs", other_tenant(), Role::Admin),
    ] {
        let (access_key, secret_hash) = (name.to_owned(), String::new());
        store
            .add_key(&AccessKey { access_key, tenant, role, secret_hash, created: world.now() })
            .await
            .expect("added");
        world.clock.advance(Duration::from_millis(1));
    }
    let names = |keys: Vec<AccessKey>| keys.into_iter().map(|key| key.access_key).collect::<Vec<_>>();
    assert_eq!(names(store.keys(None).await.expect("listed")), ["theirs", "member", "first"]);
    assert_eq!(names(store.keys(Some(&other_tenant())).await.expect("listed")), ["theirs"]);
    is_not_found(store.delete_key(Some(&other_tenant()), "member").await);
    is_conflict(store.delete_key(None, "first").await);
    store.delete_key(Some(&other_tenant()), "theirs").await.expect("deleted");
    store.delete_key(None, "member").await.expect("deleted");
    is_not_found(store.delete_key(None, "member").await);
    is_conflict(store.delete_key(None, "first").await);
}
