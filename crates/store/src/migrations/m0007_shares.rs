//! Shares: a job knows its tenant, a tenant when it was served last; SQLite gets a clock that nobody sets.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, schema: &SchemaManager) -> Result<(), DbErr> {
        let database = schema.get_connection();
        for statement in STATEMENTS {
            database.execute_unprepared(statement).await?;
        }
        if schema.get_database_backend() == DbBackend::Sqlite {
            database.execute_unprepared(CLOCK).await?;
        }
        Ok(())
    }
}

const STATEMENTS: &[&str] = &[
    "DROP INDEX job_ready",
    "DROP INDEX job_vtime",
    "ALTER TABLE job ADD COLUMN tenant_id text NOT NULL DEFAULT ''",
    "UPDATE job SET tenant_id = (SELECT tenant_id FROM task WHERE task.id = job.task_id)",
    "ALTER TABLE job DROP COLUMN vtime",
    "ALTER TABLE tenant DROP COLUMN vtime",
    "ALTER TABLE tenant ADD COLUMN turn bigint NOT NULL DEFAULT 0",
    // a tenant's jobs of one priority, in their order
    "CREATE INDEX job_ready ON job (tenant_id, priority, run_at, id) WHERE worker IS NULL",
    // the tenants that have any, and whether one is ready
    "CREATE INDEX job_due ON job (tenant_id, run_at) WHERE worker IS NULL",
    "CREATE INDEX job_running ON job (tenant_id) WHERE worker IS NOT NULL",
    "CREATE INDEX tenant_turn ON tenant (turn)",
];

/// One row: queue time, and the uptime of the machine at that moment, in milliseconds, since this boot.
const CLOCK: &str = "\
    CREATE TABLE clock (id integer PRIMARY KEY, boot text NOT NULL, uptime bigint NOT NULL, time bigint NOT NULL)";
