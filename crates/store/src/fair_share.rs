//! Fair share: whose job is claimed next, and which of its jobs.
//!
//! First a tenant is chosen, of those that have a job ready: who has the fewest jobs running goes first, and
//! among equals who was served the longest ago. So a tenant never has more than its share of all slots while
//! another waits, however long its jobs take, and however many it has enqueued; alone it may have all.
//! Then, within the tenant: the highest priority, then who has been ready for the longest. A job that is
//! tried again is ready from the time of its next try on, behind those that have waited longer.

use std::{fmt::Write as _, sync::LazyLock};

use model::{Priority, Task, TenantId, Timestamp};
use sea_orm::{
    ActiveValue::Set, ConnectionTrait as _, DbBackend, EntityTrait as _, FromQueryResult as _, Statement,
};

use crate::{entities::job, error::Result, store::Store, transaction::WriteTransaction};

/// A tenant that is new has its turn before all others.
const ADD_TENANT: &str = "INSERT INTO tenant (id, turn) VALUES ($1, 0) ON CONFLICT (id) DO NOTHING";

/// The tenants that have a job ready ($1: now), in the order in which they are served. Loose index scan, as
/// for the queues of callbacks: its cost grows with the tenants that wait, not with their jobs.
const TENANTS_IN_TURN: &str = "\
    WITH RECURSIVE waiting(tenant_id) AS (\
        SELECT (SELECT min(tenant_id) FROM job WHERE worker IS NULL) \
        UNION ALL \
        SELECT (SELECT min(tenant_id) FROM job WHERE worker IS NULL AND tenant_id > waiting.tenant_id) \
        FROM waiting WHERE waiting.tenant_id IS NOT NULL) \
    SELECT waiting.tenant_id AS tenant_id FROM waiting \
        LEFT JOIN (SELECT tenant_id, COUNT(*) AS jobs FROM job WHERE worker IS NOT NULL GROUP BY tenant_id) \
            AS running ON running.tenant_id = waiting.tenant_id \
        LEFT JOIN tenant ON tenant.id = waiting.tenant_id \
    WHERE EXISTS (\
        SELECT 1 FROM job WHERE worker IS NULL AND tenant_id = waiting.tenant_id AND run_at <= $1) \
    ORDER BY COALESCE(running.jobs, 0), COALESCE(tenant.turn, 0), waiting.tenant_id";

/// Claims a tenant's ($4) next job for the worker $1 until $2, one priority after the other ($3: now): so
/// jobs that wait for a later try are not even looked at.
static CLAIM_POSTGRES: LazyLock<String> = LazyLock::new(|| {
    let classes: Vec<String> = priorities().map(|priority| format!("({priority})")).collect();
    format!(
        "WITH next AS MATERIALIZED (\
            SELECT ready.id FROM (VALUES {}) AS class(priority) CROSS JOIN LATERAL (\
                SELECT id FROM job WHERE worker IS NULL AND tenant_id = $4 \
                AND job.priority = class.priority AND run_at <= $3 \
                ORDER BY run_at, id LIMIT 1 FOR UPDATE SKIP LOCKED) AS ready LIMIT 1) \
        UPDATE job SET worker = $1, lease_until = $2, fence = fence + 1, claims = claims + 1 \
        FROM next WHERE job.id = next.id RETURNING job.*",
        classes.join(", ")
    )
});

/// As [`CLAIM_POSTGRES`]; SQLite has no LATERAL, and evaluates no further than COALESCE needs.
static CLAIM_SQLITE: LazyLock<String> = LazyLock::new(|| {
    let mut first = String::new();
    for priority in priorities() {
        let _ = write!(
            first,
            "(SELECT id FROM job WHERE worker IS NULL AND tenant_id = $4 AND priority = {priority} \
             AND run_at <= $3 ORDER BY run_at, id LIMIT 1), "
        );
    }
    format!(
        "UPDATE job SET worker = $1, lease_until = $2, fence = fence + 1, claims = claims + 1 \
         WHERE id = COALESCE({first}NULL) RETURNING *"
    )
});

/// A tenant that was served goes to the end of the round. Where another process is just doing that, it is
/// done: nobody waits for the row.
const END_TURN_POSTGRES: &str = "\
    UPDATE tenant SET turn = 1 + (SELECT MAX(turn) FROM tenant) \
    WHERE id = (SELECT id FROM tenant WHERE id = $1 FOR UPDATE SKIP LOCKED)";

const END_TURN_SQLITE: &str = "UPDATE tenant SET turn = 1 + (SELECT MAX(turn) FROM tenant) WHERE id = $1";

impl Store {
    /// Enqueues the jobs of tasks, all of one tenant, in their order.
    pub(crate) async fn enqueue(&self, tx: &mut WriteTransaction<'_>, tasks: &[Task]) -> Result<()> {
        let Some(first) = tasks.first() else { return Ok(()) };
        let backend = tx.db.get_database_backend();
        let add = Statement::from_sql_and_values(backend, ADD_TENANT, [first.tenant.as_str().into()]);
        tx.db.execute_raw(add).await?;
        let now = self.queue_time();
        let jobs = tasks.iter().map(|task| job(task, now));
        job::Entity::insert_many(jobs).exec_without_returning(&tx.db).await?;
        tx.wake_jobs();
        Ok(())
    }
}

/// Claims the row of the job that is next, for these values of the columns `worker` and `lease_until`.
pub(crate) async fn claim_next(
    tx: &WriteTransaction<'_>,
    worker: &str,
    lease_until: Timestamp,
    now: Timestamp,
) -> Result<Option<job::Model>> {
    let backend = tx.db.get_database_backend();
    for tenant in tenants_in_turn(tx, now).await? {
        let values =
            [worker.into(), lease_until.as_millis().into(), now.as_millis().into(), tenant.as_str().into()];
        let claim = Statement::from_sql_and_values(backend, claim_sql(backend), values);
        // none: others have taken its last ones meanwhile
        if let Some(row) = tx.db.query_one_raw(claim).await? {
            return Ok(Some(job::Model::from_query_result(&row, "")?));
        }
    }
    Ok(None)
}

async fn tenants_in_turn(tx: &WriteTransaction<'_>, now: Timestamp) -> Result<Vec<String>> {
    let query = turn_query(tx.db.get_database_backend(), now);
    let rows = tx.db.query_all_raw(query).await?;
    Ok(rows.iter().map(|row| row.try_get("", "tenant_id")).collect::<std::result::Result<_, _>>()?)
}

/// Ends the turn of a tenant whose job was claimed: the last write of its transaction.
pub(crate) async fn end_turn(tx: &WriteTransaction<'_>, tenant: &TenantId) -> Result<()> {
    let backend = tx.db.get_database_backend();
    let end = if backend == DbBackend::Postgres { END_TURN_POSTGRES } else { END_TURN_SQLITE };
    tx.db.execute_raw(Statement::from_sql_and_values(backend, end, [tenant.as_str().into()])).await?;
    Ok(())
}

pub(crate) fn turn_query(backend: DbBackend, now: Timestamp) -> Statement {
    Statement::from_sql_and_values(backend, TENANTS_IN_TURN, [now.as_millis().into()])
}

pub(crate) fn claim_sql(backend: DbBackend) -> &'static str {
    if backend == DbBackend::Postgres { CLAIM_POSTGRES.as_str() } else { CLAIM_SQLITE.as_str() }
}

/// The highest first.
fn priorities() -> impl Iterator<Item = u8> {
    (Priority::LOWEST..=Priority::HIGHEST).rev()
}

fn job(task: &Task, now: Timestamp) -> job::ActiveModel {
    job::ActiveModel {
        task_id: Set(task.id.to_string()),
        tenant_id: Set(task.tenant.to_string()),
        priority: Set(task.spec.priority.get().into()),
        run_at: Set(now.as_millis()),
        fence: Set(0),
        claims: Set(0),
        tries: Set(0),
        ..Default::default()
    }
}
