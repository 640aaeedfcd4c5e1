//! SQLite rolls a transaction back by itself, as it does when the disk is full: nothing that is written
//! afterwards is lost.

use borealis_store::testing::DatabaseKind;
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use crate::world::{World, is_conflict};

#[tokio::test]
async fn what_is_created_after_a_transaction_was_undone_is_there() {
    let world = World::new(DatabaseKind::Sqlite).await;
    let storage = world.add_storage().await;
    let mut connection = SqliteConnection::connect(&world.database.url).await.expect("a database");
    let fail_inserts = "CREATE TRIGGER full BEFORE INSERT ON job \
        BEGIN SELECT RAISE(ROLLBACK, 'the disk is full'); END";
    connection.execute(fail_inserts).await.expect("a trigger");
    for _ in 0..3 {
        let error = world.store.create_task(&world.task(&storage)).await.expect_err("rolled back");
        assert!(error.to_string().contains("the disk is full"), "{error}");
    }
    connection.execute("DROP TRIGGER full").await.expect("no trigger");

    let other = world.second_store().await;
    for _ in 0..20 {
        let task = world.task(&storage);
        world.store.create_task(&task).await.expect("created");
        assert_eq!(other.task(&world.tenant, &task.id).await.expect("found"), task);
        // a transaction that is rolled back by the store itself
        is_conflict(world.store.create_task(&task).await);
    }
}
