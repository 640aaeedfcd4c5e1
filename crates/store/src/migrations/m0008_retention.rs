//! Retention: ended tasks are found by when they ended.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        let index = "CREATE INDEX task_finished ON task (finished) WHERE finished IS NOT NULL";
        schema.get_connection().execute_unprepared(index).await?;
        Ok(())
    }
}
