//! Uploads: whose they are, and how long they are kept.

use std::time::Duration;

use borealis_store::testing::DatabaseKind;
use model::{Task, Upload, UploadId};
use rstest::rstest;

use crate::world::{World, failed, is_not_found, other_tenant};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[rstest]
#[tokio::test]
async fn an_upload_is_kept_for_a_day_after_its_last_use(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let (store, tenant) = (&world.store, &world.tenant);
    let upload = Upload {
        id: UploadId::generate(&mut rand::rng()),
        tenant: tenant.clone(),
        name: "a \0 b.mp4".to_owned(),
        size: 3 << 30,
        host: "here".to_owned(),
        created: world.now(),
    };
    store.add_upload(&upload, None).await.expect("added");
    let stored = store.upload(tenant, &upload.id).await.expect("found");
    assert_eq!((stored.size, stored.created), (upload.size, upload.created));
    let theirs = other_tenant();
    is_not_found(store.upload(&theirs, &upload.id).await);

    let mut task = world.task(&storage);
    task.spec.input = format!("upload://{}", upload.id).parse().expect("an input");
    let foreign = world.add_storage_with(|storage| storage.tenant = theirs.clone()).await;
    is_not_found(store.create_task(&Task { spec: task.spec.clone(), ..world.task(&foreign) }).await);
    store.create_task(&task).await.expect("created");

    let delete_unused = || store.delete_unused_uploads(world.now() - DAY);
    world.clock.advance(DAY * 3);
    assert_eq!(delete_unused().await.expect("deleted"), 0, "the task needs it");
    let claim = world.claim().await;
    store.finish_task(&claim, failed()).await.expect("finished");
    world.clock.advance(DAY - Duration::from_secs(1));
    assert_eq!(delete_unused().await.expect("deleted"), 0);
    assert!(store.has_upload(&upload.id).await.expect("read"));
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(delete_unused().await.expect("deleted"), 1);
    assert!(!store.has_upload(&upload.id).await.expect("read"));
    is_not_found(store.upload(tenant, &upload.id).await);
    is_not_found(store.retry_task(tenant, &task.id).await);
}
