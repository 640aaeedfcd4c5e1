//! Opening a database: its schema, its master key, and the secrets in its files.

use borealis_store::{
    StoreError,
    testing::{DatabaseKind, database},
};
use rstest::rstest;

use crate::world::{World, open, storage};

#[tokio::test]
async fn no_secret_is_in_the_database_file_in_clear() {
    let world = World::new(DatabaseKind::Sqlite).await;
    let storage = world.add_storage().await;
    world.failed_task(&storage).await;
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
