//! Storages: each is one tenant's, and so is the folder of a `file` storage.

use std::time::Duration;

use borealis_store::testing::DatabaseKind;
use model::{Secret, Storage, StorageType, TenantId};
use rstest::rstest;

use crate::world::{World, is_conflict, is_not_found, other_tenant, storage};

#[rstest]
#[tokio::test]
async fn a_folder_of_the_server_is_of_one_tenant(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let of = |tenant: &TenantId, kind: StorageType, bucket: &str| Storage {
        kind,
        bucket: bucket.to_owned(),
        ..storage(tenant, world.now())
    };
    let add = async |storage: Storage| world.store.add_storage(&storage).await;
    add(of(&world.tenant, StorageType::File, "a")).await.expect("the first");
    add(of(&world.tenant, StorageType::File, "a")).await.expect("the same tenant's");
    is_conflict(add(of(&other_tenant(), StorageType::File, "a")).await);
    add(of(&other_tenant(), StorageType::S3, "a")).await.expect("the object store tells them apart");

    let moving = of(&other_tenant(), StorageType::File, "b");
    add(moving.clone()).await.expect("a free one");
    is_conflict(world.replace_storage(&Storage { bucket: "a".to_owned(), ..moving }).await);
}

#[rstest]
#[tokio::test]
async fn a_folder_stays_its_tenants_when_no_storage_of_it_is_left(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let of = |tenant: &TenantId| Storage { kind: StorageType::File, ..storage(tenant, world.now()) };
    let first = of(&world.tenant);
    world.store.add_storage(&first).await.expect("added");
    world.store.delete_storage(&world.tenant, &first.id).await.expect("deleted");
    is_conflict(world.store.add_storage(&of(&other_tenant())).await);
    world.store.add_storage(&of(&world.tenant)).await.expect("its own again");
}

#[rstest]
#[tokio::test]
async fn storages_are_kept_whole_and_listed_newest_first(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let first = world.add_storage().await;
    world.clock.advance(Duration::from_millis(1));
    let second = world.add_storage_with(|storage| storage.notify = String::new()).await;
    is_conflict(world.store.add_storage(&first).await);
    assert_eq!(world.store.storage(&world.tenant, &first.id).await.expect("found"), first);
    assert_eq!(world.store.storages(&world.tenant).await.expect("listed"), [second.clone(), first.clone()]);

    is_not_found(world.store.storage(&other_tenant(), &first.id).await);
    is_not_found(world.store.delete_storage(&other_tenant(), &first.id).await);
    assert_eq!(world.store.storages(&other_tenant()).await.expect("listed"), []);

    world.store.delete_storage(&world.tenant, &first.id).await.expect("deleted");
    is_not_found(world.store.storage(&world.tenant, &first.id).await);
    is_not_found(world.store.delete_storage(&world.tenant, &first.id).await);
    assert_eq!(world.store.storages(&world.tenant).await.expect("listed"), [second]);
}

/// Whoever changes something of a storage keeps what others change of it at the same moment.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_at_one_moment_are_all_kept(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let (tenant, id) = (&world.tenant, &storage.id);
    for round in 0..50 {
        let secret = Secret::new(format!("whsec_{round}"));
        let rotate = world.store.rotate_notify_secret(tenant, id, secret.clone(), world.now());
        let rename = world
            .store
            .update_storage(tenant, id, |present| Storage { name: format!("name {round}"), ..present });
        let (rotated, renamed) = tokio::join!(rotate, rename);
        rotated.expect("rotated");
        renamed.expect("renamed");
        let present = world.store.storage(tenant, id).await.expect("found");
        assert_eq!((&present.notify_secret, present.name), (&secret, format!("name {round}")));
    }
}
