//! A folder of the server belongs to a tenant, also after the last storage in it was deleted: what was
//! written still lies there.

use sea_orm_migration::{prelude::*, schema::text};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        schema
            .create_table(
                Table::create().table("folder").col(text("name").primary_key()).col(text("tenant_id")).take(),
            )
            .await?;
        for statement in [
            "INSERT INTO folder (name, tenant_id) \
             SELECT folder, MIN(tenant_id) FROM storage WHERE folder IS NOT NULL GROUP BY folder",
            "ALTER TABLE storage DROP COLUMN folder",
        ] {
            schema.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
