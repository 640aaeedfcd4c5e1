//! A folder of the server has an owner of its own, who stays when the last storage of it is deleted:
//! what was written lies there still.

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
