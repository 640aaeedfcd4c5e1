//! Delivery by queue: owed callbacks are found by the name of their queue; the attempts before a redelivery
//! do not count; a rotated secret goes on signing for a while; a batch counts its unfinished tasks.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer_null, binary_null, integer, text},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        let mut before = integer("attempts_before");
        // SQLite adds one column at a time
        for (table, column) in [
            ("callback", before.default(0).take()),
            ("storage", binary_null("old_notify_secret")),
            ("storage", big_integer_null("old_notify_secret_until")),
        ] {
            schema.alter_table(Table::alter().table(table).add_column(column).take()).await?;
        }
        schema.create_table(batch()).await?;
        for name in ["callback_due", "callback_lease"] {
            let mut drop = Index::drop();
            drop.name(name).table("callback");
            schema.drop_index(drop).await?;
        }
        schema.create_index(ready()).await?;
        schema.create_index(claimed()).await
    }
}

fn batch() -> TableCreateStatement {
    Table::create()
        .table("batch")
        .col(text("id").primary_key())
        .col(text("tenant_id"))
        .col(integer("unfinished"))
        .take()
}

/// The queues with callbacks to send, and what is next in each.
fn ready() -> IndexCreateStatement {
    let owed = Expr::col("next_attempt").is_not_null();
    Index::create()
        .name("callback_ready")
        .table("callback")
        .col("retry")
        .col("receiver")
        .col("next_attempt")
        .col("id")
        .and_where(owed.and(Expr::col("worker").is_null()))
        .take()
}

/// What each sender has claimed, and until when.
fn claimed() -> IndexCreateStatement {
    Index::create()
        .name("callback_claimed")
        .table("callback")
        .col("worker")
        .col("lease_until")
        .and_where(Expr::col("worker").is_not_null())
        .take()
}
