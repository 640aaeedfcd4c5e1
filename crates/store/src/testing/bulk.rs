//! Rows in great number, made by one statement of the database itself.

use model::{ErrorCode, Failure, OutputFacts, StorageId, Task, Template, TenantId};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

use crate::{convert, error::Result, store::Store, task_counts::DAY_MILLIS};

/// How many days the creation times of the tasks are spread over; the last is that of the example.
pub const CREATION_DAYS: i64 = 100;

/// Of each thousand tasks 899 have succeeded, 100 were cancelled and 1 has failed; a quarter is of the
/// other storage, each fiftieth made with the template `rare`, the first three are a batch, and each has
/// a `custom_info` of its own.
const INSERT_TASKS: &str = "\
    WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < $1) \
    INSERT INTO task (id, tenant_id, batch_id, storage_id, template_name, output_place, custom_info, spec, \
        output_uri, region, created, status, progress, started, finished, outcome) \
    SELECT '20231114221320000000' || substr(CAST(1000000000000 + n AS text), 2), $2, \
        CASE WHEN n % 1000 < 3 \
            THEN '20231114221320000000' || substr(CAST(1000000000000 + n / 1000 AS text), 2) END, \
        CASE WHEN n % 4 = 0 THEN $4 ELSE $3 END, \
        CASE WHEN n % 50 = 0 THEN 'rare' ELSE $5 END, \
        'out/' || n || '.mp4', 'order ' || n, $6, 'file://many/' || n, '', $7 - $8 * ($1 - n) / $1, \
        CASE WHEN n % 10 = 9 THEN 'cancelled' WHEN n % 1000 = 5 THEN 'failed' ELSE 'succeeded' END, \
        100, $7, $7, \
        CASE WHEN n % 10 = 9 THEN NULL WHEN n % 1000 = 5 THEN $9 ELSE $10 END \
    FROM series";

/// Adds `count` ended tasks like the example, and brings counts and planner statistics up to date.
///
/// # Errors
/// When the database fails.
pub async fn add_ended_tasks(
    store: &Store,
    example: &Task,
    other_storage: &StorageId,
    count: i64,
) -> Result<()> {
    let spec = &example.spec;
    let facts = OutputFacts { duration: 30.0, size: 1 << 20, ..OutputFacts::default() };
    let failure = Failure::new(ErrorCode::InvalidInput, "no moov box");
    let tx = store.transaction().await?;
    let values = [
        count.into(),
        example.tenant.as_str().into(),
        spec.storage_id.as_str().into(),
        other_storage.as_str().into(),
        spec.template.template_name.as_str().into(),
        convert::to_json("task.spec", spec)?.into(),
        example.created.as_millis().into(),
        (CREATION_DAYS * DAY_MILLIS).into(),
        convert::to_json("task.outcome", &failure)?.into(),
        convert::to_json("task.outcome", &facts)?.into(),
    ];
    let backend = tx.db.get_database_backend();
    tx.db.execute_raw(Statement::from_sql_and_values(backend, INSERT_TASKS, values)).await?;
    tx.commit().await?;
    store.fold_counts().await?;
    if backend == DbBackend::Postgres {
        // as autovacuum does within a minute
        store.database().execute_unprepared("VACUUM ANALYZE").await?;
    }
    Ok(())
}

const QUEUE_TASKS: &[&str] = &[
    "WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < $1) \
    INSERT INTO task (id, tenant_id, storage_id, template_name, output_place, custom_info, spec, output_uri, \
        region, created, status, progress) \
    SELECT '20231114221320000000' || substr(CAST(1000000000000 + n AS text), 2), $2, $3, $4, \
        'queued/' || n || '.mp4', '', $5, 'file://many/' || n, '', $6, 'pending', 0 FROM series",
    "INSERT INTO job (task_id, tenant_id, priority, run_at, fence, claims, tries) \
    SELECT id, tenant_id, 5, created, 0, 0, 0 FROM task WHERE tenant_id = $1 AND status = 'pending'",
];

/// Creates `count` tasks like the example, which was not created, with their jobs; and brings the planner's
/// statistics up to date.
///
/// # Errors
/// When the database fails.
pub async fn add_queued_tasks(store: &Store, example: &Task, count: i64) -> Result<()> {
    let (spec, tenant) = (&example.spec, example.tenant.as_str());
    let tx = store.transaction().await?;
    let values: [Vec<sea_orm::Value>; 2] = [
        vec![
            count.into(),
            tenant.into(),
            spec.storage_id.as_str().into(),
            spec.template.template_name.as_str().into(),
            convert::to_json("task.spec", spec)?.into(),
            example.created.as_millis().into(),
        ],
        vec![tenant.into()],
    ];
    let backend = tx.db.get_database_backend();
    for (statement, values) in QUEUE_TASKS.iter().zip(values) {
        tx.db.execute_raw(Statement::from_sql_and_values(backend, *statement, values)).await?;
    }
    tx.commit().await?;
    if backend == DbBackend::Postgres {
        store.database().execute_unprepared("VACUUM ANALYZE").await?;
    }
    Ok(())
}

const INSERT_TEMPLATES: &str = "\
    WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < $1) \
    INSERT INTO template (tenant_id, name, spec, created) SELECT $2, $3 || '-' || n, $4, n FROM series";

/// Adds `count` templates like the example; each has its name with a number.
///
/// # Errors
/// When the database fails.
pub async fn add_templates(store: &Store, tenant: &TenantId, example: &Template, count: i64) -> Result<()> {
    let tx = store.transaction().await?;
    let values = [
        count.into(),
        tenant.as_str().into(),
        example.template_name.as_str().into(),
        convert::to_json("template.spec", example)?.into(),
    ];
    let backend = tx.db.get_database_backend();
    tx.db.execute_raw(Statement::from_sql_and_values(backend, INSERT_TEMPLATES, values)).await?;
    tx.commit().await
}
