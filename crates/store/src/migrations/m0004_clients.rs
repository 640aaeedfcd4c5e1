//! Answers for idempotency keys, uploads, tasks counted by access key, and workers.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, binary, integer, text, text_null},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        for table in [answer(), upload(), worker()] {
            schema.create_table(table).await?;
        }
        // SQLite adds one column at a time
        for column in ["access_key", "upload_id"] {
            schema.alter_table(Table::alter().table("task").add_column(text_null(column)).take()).await?;
        }
        for index in indexes() {
            schema.create_index(index).await?;
        }
        Ok(())
    }
}

fn answer() -> TableCreateStatement {
    Table::create()
        .table("answer")
        .col(text("tenant_id"))
        .col(text("key"))
        .col(binary("digest"))
        .col(binary("answer"))
        .col(big_integer("created"))
        .primary_key(Index::create().col("tenant_id").col("key"))
        .take()
}

fn upload() -> TableCreateStatement {
    Table::create()
        .table("upload")
        .col(text("id").primary_key())
        .col(text("tenant_id"))
        .col(text("name"))
        .col(big_integer("size"))
        .col(text("host"))
        .col(big_integer("created"))
        .col(big_integer("used"))
        .take()
}

fn worker() -> TableCreateStatement {
    Table::create()
        .table("worker")
        .col(text("id").primary_key())
        .col(integer("capacity"))
        .col(big_integer("seen"))
        .take()
}

fn indexes() -> Vec<IndexCreateStatement> {
    let unfinished = || Expr::col("finished").is_null();
    let index = |name, column: &'static str| Index::create().name(name).table("task").col(column).take();
    vec![
        index("task_access_key", "access_key").and_where(unfinished()).take(),
        index("task_upload", "upload_id").and_where(unfinished()).take(),
        Index::create().name("answer_created").table("answer").col("created").take(),
        Index::create().name("upload_used").table("upload").col("used").take(),
    ]
}
