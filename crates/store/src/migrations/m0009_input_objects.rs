//! Inputs that are objects of storages, so that no task is created whose output would take their place.

use sea_orm_migration::{prelude::*, schema::text_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        schema.alter_table(Table::alter().table("task").add_column(text_null("input_object")).take()).await?;
        let unfinished = Expr::col("finished").is_null();
        schema
            .create_index(
                Index::create()
                    .name("task_input_object")
                    .table("task")
                    .col("tenant_id")
                    .col("input_object")
                    .and_where(unfinished.and(Expr::col("input_object").is_not_null()))
                    .take(),
            )
            .await
    }
}
