//! Drafts: outputs that were begun, so that those are found which nobody finished.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer_null, text},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        schema.create_table(draft()).await?;
        schema.create_index(left()).await
    }
}

fn draft() -> TableCreateStatement {
    let mut storage = ForeignKey::create();
    storage.from("draft", "storage_id").to("storage", "id").on_delete(ForeignKeyAction::Cascade);
    Table::create()
        .table("draft")
        .col(text("tenant_id"))
        .col(text("place"))
        .col(text("storage_id"))
        .col(text("spec"))
        .col(big_integer_null("free_from"))
        .primary_key(Index::create().col("tenant_id").col("place"))
        .foreign_key(&mut storage)
        .take()
}

fn left() -> IndexCreateStatement {
    Index::create()
        .name("draft_left")
        .table("draft")
        .col("free_from")
        .and_where(Expr::col("free_from").is_not_null())
        .take()
}
