//! Keys, storages, templates; whose they are, and what of them must not be seen.

use std::time::Duration;

use borealis_store::{
    StoreError, hash_secret,
    testing::{DatabaseKind, database},
};
use model::{AccessKey, Format, Role, Secret, Storage, StorageType, Template, TenantId};
use rstest::rstest;

use crate::world::{World, is_conflict, is_not_found, open, storage};

fn other_tenant() -> TenantId {
    "other".parse().expect("a tenant")
}

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
    add(of(&other_tenant(), StorageType::S3, "a")).await.expect("the store tells them apart");

    let moving = of(&other_tenant(), StorageType::File, "b");
    add(moving.clone()).await.expect("a free one");
    is_conflict(world.store.update_storage(&Storage { bucket: "a".to_owned(), ..moving }).await);
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
        world.clock.pass(Duration::from_millis(1));
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

#[rstest]
#[tokio::test]
async fn workers_are_counted_while_they_say_so(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let (store, minute) = (&world.store, Duration::from_secs(60));
    let (first, second) = (crate::world::worker(), crate::world::worker());
    store.record_heartbeat(&first, 2, minute * 10).await.expect("kept");
    world.clock.pass(minute);
    store.record_heartbeat(&second, 3, minute * 10).await.expect("kept");
    store.record_heartbeat(&second, 4, minute * 10).await.expect("kept");
    let mut all = store.live_worker_capacities(minute).await.expect("read");
    all.sort_unstable();
    assert_eq!(all, [2, 4]);
    assert_eq!(store.live_worker_capacities(minute / 2).await.expect("read"), [4]);
    store.remove_worker(&second).await.expect("gone");
    assert_eq!(store.live_worker_capacities(minute).await.expect("read"), [2]);
}

#[rstest]
#[tokio::test]
async fn storages_are_kept_whole_and_listed_newest_first(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let first = world.add_storage().await;
    world.clock.pass(Duration::from_millis(1));
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

#[rstest]
#[tokio::test]
async fn templates_are_a_tenants_own(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let (store, tenant, now) = (&world.store, &world.tenant, world.now());
    let name: model::TemplateName = "mine".parse().expect("a name");
    let template = Template { quality: Some(7.5), ..Template::new(name.clone(), Format::Hls) };
    is_not_found(store.update_template(tenant, &template).await);
    store.add_template(tenant, &template, now).await.expect("added");
    is_conflict(store.add_template(tenant, &template, now).await);
    let kept = store.template(tenant, &name).await.expect("found");
    assert_eq!((kept.template, kept.created), (template.clone(), now));

    let theirs = Template::new(name.clone(), Format::Flv);
    is_not_found(store.template(&other_tenant(), &name).await);
    is_not_found(store.update_template(&other_tenant(), &theirs).await);
    is_not_found(store.delete_template(&other_tenant(), &name).await);
    store.add_template(&other_tenant(), &theirs, now).await.expect("a name is a tenant's own");

    let replaced = Template::new(name.clone(), Format::Dash);
    store.update_template(tenant, &replaced).await.expect("replaced");
    let listed = store.templates(tenant).await.expect("listed");
    assert_eq!(listed.iter().map(|kept| &kept.template).collect::<Vec<_>>(), [&replaced]);
    store.delete_template(tenant, &name).await.expect("deleted");
    is_not_found(store.delete_template(tenant, &name).await);
    assert_eq!(store.template(&other_tenant(), &name).await.expect("untouched").template, theirs);
}

#[tokio::test]
async fn no_secret_is_in_the_database_file_in_clear() {
    let world = World::new(DatabaseKind::Sqlite).await;
    let storage = world.add_storage().await;
    world.ended_task(&storage).await;
    let folder = world.database.folder().expect("a folder");
    let mut seen_bucket = false;
    for file in std::fs::read_dir(folder).expect("a folder") {
        let content = std::fs::read(file.expect("a file").path()).expect("readable");
        let holds = |text: &str| content.windows(text.len()).any(|window| window == text.as_bytes());
        seen_bucket |= holds("cn-zhangjiakou");
        for secret in ["THE-ACCESS-KEY", "THE-SECRET-KEY", "THENOTIFYSECRET"] {
            assert!(!holds(secret), "{secret}");
        }
    }
    assert!(seen_bucket, "what is no secret must be found, or nothing was looked at");
}

#[rstest]
#[tokio::test]
async fn another_master_key_stops_the_start(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let database = database(kind).await;
    let world = World::new(kind).await;
    open(&database, &world.clock, [1; 32]).await.expect("opened");
    let store = open(&database, &world.clock, [2; 32]).await.expect("nothing was encrypted yet");
    store.add_storage(&storage(&world.tenant, world.now())).await.expect("added");
    let error = open(&database, &world.clock, [1; 32]).await.err().expect("refused");
    assert!(matches!(error, StoreError::Secret(_)), "{error}");
    assert!(error.to_string().contains("master key"), "{error}");
    open(&database, &world.clock, [2; 32]).await.expect("the right key").ping().await.expect("alive");
}

#[rstest]
#[tokio::test]
async fn processes_that_start_at_once_make_the_schema_once(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(DatabaseKind::Sqlite).await;
    let database = database(kind).await;
    let stores = futures_of(4, |_| open(&database, &world.clock, [1; 32])).await;
    for store in stores {
        assert_eq!(store.expect("opened").count_keys().await.expect("counted"), 0);
    }
}

/// Runs `count` futures at once, on this thread.
async fn futures_of<F: Future>(count: usize, make: impl Fn(usize) -> F) -> Vec<F::Output> {
    let mut running: Vec<_> = (0..count).map(|index| Box::pin(make(index))).collect();
    let mut done: Vec<Option<F::Output>> = (0..count).map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, output) in running.iter_mut().zip(&mut done) {
            if output.is_none()
                && let std::task::Poll::Ready(ready) = future.as_mut().poll(context)
            {
                *output = Some(ready);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}
