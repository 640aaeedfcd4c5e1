//! A worker that claims no task says why.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        let column = "ALTER TABLE worker ADD COLUMN paused text NOT NULL DEFAULT ''";
        schema.get_connection().execute_unprepared(column).await?;
        Ok(())
    }
}
