//! Who comes next: the fair share between tenants.
//!
//! A job gets its place in virtual time when it is enqueued, one after its tenant's last, but never
//! before those who wait at the front. So who has been away has nothing to catch up with, a thousand
//! tasks of one tenant stand beside the first of another, and a claim only has to sort.

use model::Task;
use sea_orm::{ActiveValue::Set, ConnectionTrait as _, EntityTrait as _, Statement};

use crate::{Result, Store, StoreError, convert, entities::job, transaction::WriteTransaction};

/// Gives a tenant ($1) places for so many jobs ($2), and says which the last of them is. At the
/// front waits the next job that is ready ($3: now); when there is none, whoever has come farthest
/// is there. The tenant's row stays locked, so nobody else gives it other places meanwhile.
const PLACES: &str = "\
    INSERT INTO tenant (id, vtime) VALUES ($1, $2 + COALESCE(\
        (SELECT vtime FROM job WHERE worker IS NULL AND run_at <= $3 ORDER BY vtime LIMIT 1), \
        (SELECT MAX(vtime) FROM tenant), 0)) \
    ON CONFLICT (id) DO UPDATE SET vtime = \
        CASE WHEN excluded.vtime > tenant.vtime + $2 THEN excluded.vtime ELSE tenant.vtime + $2 END \
    RETURNING vtime";

impl Store {
    /// Puts the jobs of tasks of one tenant into the queue, in their order.
    pub(crate) async fn enqueue(&self, tx: &mut WriteTransaction<'_>, tasks: &[Task]) -> Result<()> {
        let Some(first) = tasks.first() else { return Ok(()) };
        let count: i64 = convert::number("tenant.vtime", tasks.len())?;
        let values = [first.tenant.as_str().into(), count.into(), self.now().as_millis().into()];
        let places = Statement::from_sql_and_values(tx.db.get_database_backend(), PLACES, values);
        let row = tx.db.query_one_raw(places).await?;
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
