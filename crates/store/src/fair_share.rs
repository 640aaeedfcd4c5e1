//! Fair queueing between tenants: jobs are claimed in the order of their virtual time.
//!
//! A job gets its virtual time when it is enqueued: one more than the last job of its tenant, or than the
//! job at the front of the queue, whichever is more. So the jobs of two tenants alternate, however many
//! one of them has enqueued; a tenant that was idle gains nothing by it; and a claim only has to sort.

use model::Task;
use sea_orm::{ActiveValue::Set, ConnectionTrait as _, EntityTrait as _, Statement};

use crate::{
    convert,
    entities::job,
    error::{Result, StoreError},
    store::Store,
    transaction::WriteTransaction,
};

/// Advances a tenant ($1) in virtual time by a number of jobs ($2), and returns the virtual time of the
/// last of them. The front of the queue is the least virtual time of the jobs that are ready ($3: now);
/// when none is ready, the greatest of all tenants. The tenant's row stays locked for the rest of the
/// transaction, so that two do not give out the same virtual times.
const ADVANCE_TENANT: &str = "\
    INSERT INTO tenant (id, vtime) VALUES ($1, $2 + COALESCE(\
        (SELECT vtime FROM job WHERE worker IS NULL AND run_at <= $3 ORDER BY vtime LIMIT 1), \
        (SELECT MAX(vtime) FROM tenant), 0)) \
    ON CONFLICT (id) DO UPDATE SET vtime = \
        CASE WHEN excluded.vtime > tenant.vtime + $2 THEN excluded.vtime ELSE tenant.vtime + $2 END \
    RETURNING vtime";

impl Store {
    /// Enqueues the jobs of tasks, all of one tenant, in their order.
    pub(crate) async fn enqueue(&self, tx: &mut WriteTransaction<'_>, tasks: &[Task]) -> Result<()> {
        let Some(first) = tasks.first() else { return Ok(()) };
        let count: i64 = convert::number("tenant.vtime", tasks.len())?;
        let values = [first.tenant.as_str().into(), count.into(), self.now().as_millis().into()];
        let advance = Statement::from_sql_and_values(tx.db.get_database_backend(), ADVANCE_TENANT, values);
        let row = tx.db.query_one_raw(advance).await?;
        let missing = || StoreError::Corrupt(format!("tenant `{}` is missing", first.tenant));
        let last: i64 = row.ok_or_else(missing)?.try_get("", "vtime")?;
        let jobs = (last - count + 1..).zip(tasks).map(|(vtime, task)| job(task, vtime));
        job::Entity::insert_many(jobs).exec_without_returning(&tx.db).await?;
        tx.wake_jobs();
        Ok(())
    }
}

fn job(task: &Task, vtime: i64) -> job::ActiveModel {
    job::ActiveModel {
        task_id: Set(task.id.to_string()),
        priority: Set(task.spec.priority.get().into()),
        vtime: Set(vtime),
        run_at: Set(0),
        fence: Set(0),
        claims: Set(0),
        tries: Set(0),
        ..Default::default()
    }
}
