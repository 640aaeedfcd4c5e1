//! Wake-ups: whoever waits is notified, in this process and in others.

use std::time::Duration;

use borealis_store::{Store, testing::DatabaseKind};
use rstest::rstest;
use tokio::{sync::Notify, time::timeout};

use crate::world::{World, failed};

const WAKE_UP_TIMEOUT: Duration = Duration::from_secs(10);

async fn is_woken(notify: &Notify) {
    timeout(WAKE_UP_TIMEOUT, notify.notified()).await.expect("woken");
}

/// Takes the permit of a wake-up that nobody waited for.
async fn take_permit(notify: &Notify) {
    let _ = timeout(Duration::ZERO, notify.notified()).await;
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite, false)]
#[case::postgres(DatabaseKind::Postgres, false)]
#[case::postgres_in_another_process(DatabaseKind::Postgres, true)]
#[tokio::test]
async fn a_commit_wakes_who_waits(#[case] kind: DatabaseKind, #[case] elsewhere: bool) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let waiting: Store = if elsewhere { world.second_store().await } else { world.store.clone() };
    let task = world.create_task(&storage).await;
    is_woken(waiting.jobs_ready()).await;
    let claim = world.claim().await;
    take_permit(waiting.jobs_ready()).await;
    world.store.give_back_job(&claim).await.expect("given back");
    is_woken(waiting.jobs_ready()).await;
    let claim = world.claim().await;
    world.store.finish_task(&claim, failed()).await.expect("finished");
    is_woken(waiting.callbacks_due()).await;
    take_permit(waiting.jobs_ready()).await;
    world.store.retry_task(&world.tenant, &task.id).await.expect("retried");
    is_woken(waiting.jobs_ready()).await;
}

#[rstest]
#[tokio::test]
async fn all_who_wait_are_woken(#[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let waits: Vec<_> = (0..4).map(|_| world.store.jobs_ready().notified()).collect();
    world.create_task(&storage).await;
    for wait in waits {
        timeout(WAKE_UP_TIMEOUT, wait).await.expect("woken");
    }
}
