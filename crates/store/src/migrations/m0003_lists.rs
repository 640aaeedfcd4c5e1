//! Lists that stay quick: an index for each filter, and counts of tasks that triggers keep up to date.
//!
//! A trigger inserts each change as a row of its own, so that writers never wait for one another;
//! `task_counts` folds them into the counts.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, text},
    sea_orm::DbBackend,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        let mut key = Index::create();
        for column in KEY {
            key.col(column);
        }
        let mut count = counted("task_count");
        schema.create_table(count.primary_key(&mut key).take()).await?;
        let mut change = counted("task_change");
        schema.create_table(change.col(big_integer("id").auto_increment().primary_key()).take()).await?;
        let triggers = match schema.get_database_backend() {
            DbBackend::Postgres => TRIGGERS_POSTGRES,
            _ => TRIGGERS_SQLITE,
        };
        for statement in [INDEXES, &[FIRST_COUNT], triggers].concat() {
            schema.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}

/// What tasks are counted by; `day` is the day of creation, in days since the epoch.
const KEY: [&str; 5] = ["tenant_id", "day", "storage_id", "template_name", "status"];

fn counted(table: &'static str) -> TableCreateStatement {
    Table::create()
        .table(table)
        .col(text("tenant_id"))
        .col(big_integer("day"))
        .col(text("storage_id"))
        .col(text("template_name"))
        .col(text("status"))
        .col(big_integer("n"))
        .take()
}

const INDEXES: &[&str] = &[
    "DROP INDEX task_batch",
    "CREATE INDEX task_batch ON task (batch_id, tenant_id, created, id) WHERE batch_id IS NOT NULL",
    "CREATE INDEX task_change_tenant ON task_change (tenant_id)",
    "CREATE INDEX task_status ON task (tenant_id, status, created, id)",
    "CREATE INDEX task_storage ON task (tenant_id, storage_id, created, id)",
    // for both filters at once: SQLite would take either of the two above, and read nearly all tasks by it
    "CREATE INDEX task_storage_status ON task (tenant_id, storage_id, status, created, id)",
    "CREATE INDEX task_template ON task (tenant_id, template_name, created, id)",
    // only the beginning of the text: an index entry of PostgreSQL has less room than `custom_info` may need
    "CREATE INDEX task_custom_info ON task (tenant_id, substr(custom_info, 1, 200), created, id) \
     WHERE custom_info <> ''",
];

const FIRST_COUNT: &str = "\
    INSERT INTO task_count (tenant_id, day, storage_id, template_name, status, n) \
    SELECT tenant_id, created / 86400000, storage_id, template_name, status, COUNT(*) \
    FROM task GROUP BY 1, 2, 3, 4, 5";

const TRIGGERS_SQLITE: &[&str] = &[
    "CREATE TRIGGER task_added AFTER INSERT ON task BEGIN \
     INSERT INTO task_change (tenant_id, day, storage_id, template_name, status, n) VALUES \
     (NEW.tenant_id, NEW.created / 86400000, NEW.storage_id, NEW.template_name, NEW.status, 1); END",
    "CREATE TRIGGER task_moved AFTER UPDATE OF status ON task WHEN OLD.status <> NEW.status BEGIN \
     INSERT INTO task_change (tenant_id, day, storage_id, template_name, status, n) VALUES \
     (OLD.tenant_id, OLD.created / 86400000, OLD.storage_id, OLD.template_name, OLD.status, -1), \
     (NEW.tenant_id, NEW.created / 86400000, NEW.storage_id, NEW.template_name, NEW.status, 1); END",
    "CREATE TRIGGER task_removed AFTER DELETE ON task BEGIN \
     INSERT INTO task_change (tenant_id, day, storage_id, template_name, status, n) VALUES \
     (OLD.tenant_id, OLD.created / 86400000, OLD.storage_id, OLD.template_name, OLD.status, -1); END",
];

const TRIGGERS_POSTGRES: &[&str] = &[
    "CREATE FUNCTION count_task() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
     IF TG_OP <> 'INSERT' THEN \
     INSERT INTO task_change (tenant_id, day, storage_id, template_name, status, n) VALUES \
     (OLD.tenant_id, OLD.created / 86400000, OLD.storage_id, OLD.template_name, OLD.status, -1); \
     END IF; \
     IF TG_OP <> 'DELETE' THEN \
     INSERT INTO task_change (tenant_id, day, storage_id, template_name, status, n) VALUES \
     (NEW.tenant_id, NEW.created / 86400000, NEW.storage_id, NEW.template_name, NEW.status, 1); \
     END IF; \
     RETURN NULL; END $$",
    "CREATE TRIGGER task_counted AFTER INSERT OR DELETE ON task \
     FOR EACH ROW EXECUTE FUNCTION count_task()",
    "CREATE TRIGGER task_moved AFTER UPDATE OF status ON task \
     FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION count_task()",
];
