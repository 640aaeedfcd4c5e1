//! The first schema: access keys, storages, templates, tasks with their jobs, callbacks with their attempts.
//!
//! JSON is in text columns: it is read as a whole, and PostgreSQL's own types for it refuse some values or
//! reorder keys.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, binary, boolean, integer, integer_null, text, text_null},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            tenant(),
            access_key(),
            storage(),
            template(),
            task(),
            job(),
            callback(),
            callback_task(),
            attempt(),
        ] {
            schema.create_table(table).await?;
        }
        for index in indexes() {
            schema.create_index(index).await?;
        }
        Ok(())
    }
}

fn tenant() -> TableCreateStatement {
    Table::create().table("tenant").col(text("id").primary_key()).col(big_integer("vtime")).take()
}

fn access_key() -> TableCreateStatement {
    Table::create()
        .table("access_key")
        .col(text("access_key").primary_key())
        .col(text("tenant_id"))
        .col(text("role"))
        .col(text("secret_hash"))
        .col(big_integer("created"))
        .take()
}

fn storage() -> TableCreateStatement {
    Table::create()
        .table("storage")
        .col(text("id").primary_key())
        .col(text("tenant_id"))
        .col(text("spec"))
        .col(text_null("folder"))
        .col(binary("storage_ak"))
        .col(binary("storage_sk"))
        .col(binary("notify_secret"))
        .col(big_integer("created"))
        .take()
}

fn template() -> TableCreateStatement {
    Table::create()
        .table("template")
        .col(text("tenant_id"))
        .col(text("name"))
        .col(text("spec"))
        .col(big_integer("created"))
        .primary_key(Index::create().col("tenant_id").col("name"))
        .take()
}

/// `storage_id` is no foreign key: ended tasks outlive their storage.
fn task() -> TableCreateStatement {
    Table::create()
        .table("task")
        .col(text("id").primary_key())
        .col(text("tenant_id"))
        .col(text_null("batch_id"))
        .col(text("storage_id"))
        .col(text("template_name"))
        .col(text("output_place"))
        .col(text("custom_info"))
        .col(text("spec"))
        .col(text("output_uri"))
        .col(text("region"))
        .col(big_integer("created"))
        .col(text("status"))
        .col(integer("progress"))
        .col(big_integer_null("started"))
        .col(big_integer_null("finished"))
        .col(text_null("outcome"))
        .col(text_null("source"))
        .take()
}

fn job() -> TableCreateStatement {
    Table::create()
        .table("job")
        .col(big_integer("id").auto_increment().primary_key())
        .col(text("task_id").unique_key())
        .col(integer("priority"))
        .col(big_integer("vtime"))
        .col(big_integer("run_at"))
        .col(text_null("worker"))
        .col(big_integer_null("lease_until"))
        .col(big_integer("fence"))
        .col(integer("claims"))
        .col(integer("tries"))
        .foreign_key(&mut belongs_to("job", "task_id", "task"))
        .take()
}

fn callback() -> TableCreateStatement {
    Table::create()
        .table("callback")
        .col(text("id").primary_key())
        .col(text("tenant_id"))
        .col(text("storage_id"))
        .col(text("receiver"))
        .col(text("status"))
        .col(binary("body"))
        .col(integer("attempts"))
        .col(boolean("retry"))
        .col(big_integer("created"))
        .col(big_integer_null("next_attempt"))
        .col(big_integer_null("delivered"))
        .col(text_null("worker"))
        .col(big_integer_null("lease_until"))
        .col(big_integer("fence"))
        .take()
}

fn callback_task() -> TableCreateStatement {
    Table::create()
        .table("callback_task")
        .col(text("callback_id"))
        .col(integer("position"))
        .col(text("task_id"))
        .primary_key(Index::create().col("callback_id").col("position"))
        .foreign_key(&mut belongs_to("callback_task", "callback_id", "callback"))
        .take()
}

fn attempt() -> TableCreateStatement {
    Table::create()
        .table("attempt")
        .col(text("callback_id"))
        .col(integer("number"))
        .col(big_integer("time"))
        .col(text_null("address"))
        .col(big_integer_null("dns_ms"))
        .col(big_integer_null("connect_ms"))
        .col(big_integer_null("first_byte_ms"))
        .col(big_integer("total_ms"))
        .col(integer_null("http_status"))
        .col(text_null("error"))
        .col(text_null("response_head"))
        .col(text_null("response_body"))
        .primary_key(Index::create().col("callback_id").col("number"))
        .foreign_key(&mut belongs_to("attempt", "callback_id", "callback"))
        .take()
}

/// A foreign key to the `id` of a table; rows that refer to a deleted one are deleted with it.
fn belongs_to(table: &'static str, column: &'static str, to: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create().from(table, column).to(to, "id").on_delete(ForeignKeyAction::Cascade).take()
}

fn indexes() -> Vec<IndexCreateStatement> {
    let index = |name, table, columns: &[&'static str]| {
        let mut index = Index::create();
        index.name(name).table(table);
        for column in columns {
            index.col(*column);
        }
        index
    };
    let free = || Expr::col("worker").is_null();
    let leased = || Expr::col("lease_until").is_not_null();
    // not `status = 'owed'`: neither database can tell that a bound `status = ?` fits a partial index
    let owed = || Expr::col("next_attempt").is_not_null();
    vec![
        index("storage_newest", "storage", &["tenant_id", "created"]),
        index("task_newest", "task", &["tenant_id", "created", "id"]),
        index("task_batch", "task", &["batch_id"]).and_where(Expr::col("batch_id").is_not_null()).take(),
        index("task_output", "task", &["tenant_id", "output_place"])
            .unique()
            .and_where(Expr::col("finished").is_null())
            .take(),
        Index::create()
            .name("job_ready")
            .table("job")
            .col(("priority", IndexOrder::Desc))
            .col("vtime")
            .col("id")
            .and_where(free())
            .take(),
        index("job_vtime", "job", &["vtime"]).and_where(free()).take(),
        index("job_lease", "job", &["lease_until"]).and_where(leased()).take(),
        index("callback_newest", "callback", &["tenant_id", "created", "id"]),
        index("callback_due", "callback", &["retry", "next_attempt", "id"])
            .and_where(owed().and(free()))
            .take(),
        index("callback_lease", "callback", &["lease_until"]).and_where(leased()).take(),
        index("callback_owed", "callback", &["storage_id"]).and_where(owed()).take(),
        index("callback_task_task", "callback_task", &["task_id"]),
    ]
}
