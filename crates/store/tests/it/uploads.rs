//! Uploads: whose they are, and how long they are kept.

use std::time::Duration;

use borealis_store::testing::DatabaseKind;
use model::{Task, TenantId, Upload, UploadId};
use rstest::rstest;

use crate::world::{World, failed, is_not_found};

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
    store.add_upload(&upload).await.expect("added");
    let kept = store.upload(tenant, &upload.id).await.expect("found");
    assert_eq!((kept.size, kept.created), (upload.size, upload.created));
    let theirs: TenantId = "other".parse().expect("a tenant");
    is_not_found(store.upload(&theirs, &upload.id).await);

    let mut task = world.task(&storage);
    task.spec.input = format!("upload://{}", upload.id).parse().expect("an input");
    let foreign = world.add_storage_with(|storage| storage.tenant = theirs.clone()).await;
    is_not_found(store.create_task(&Task { spec: task.spec.clone(), ..world.task(&foreign) }).await);
    store.create_task(&task).await.expect("created");

    let forget = || store.delete_unused_uploads(world.now() - DAY);
    world.clock.pass(DAY * 3);
    assert_eq!(forget().await.expect("swept"), 0, "the task waits for it");
    let claim = world.claim().await;
    store.finish_task(&claim, failed()).await.expect("finished");
    world.clock.pass(DAY - Duration::from_secs(1));
    assert_eq!(forget().await.expect("swept"), 0);
    assert!(store.has_upload(&upload.id).await.expect("read"));
    world.clock.pass(Duration::from_secs(2));
    assert_eq!(forget().await.expect("swept"), 1);
    assert!(!store.has_upload(&upload.id).await.expect("read"));
    is_not_found(store.upload(tenant, &upload.id).await);
    is_not_found(store.retry_task(tenant, &task.id).await);
}
