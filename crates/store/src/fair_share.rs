//! Who comes next: the fair share between tenants.
//!
//! A job gets its place in virtual time when it is enqueued, one after its tenant's last, but never
//! before those who wait at the front. So who has been away has nothing to catch up with, a thousand
//! tasks of one tenant stand beside the first of another, and a claim only has to sort.

use model::Task;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::{Expr, OnConflict},
};

use crate::{
    Result, Store, StoreError,
    begin::Write,
    entities::{job, tenant},
};

impl Store {
    /// Puts the jobs of tasks of one tenant into the queue, in their order.
    pub(crate) async fn enqueue(&self, write: &mut Write<'_>, tasks: &[Task]) -> Result<()> {
        let Some(first) = tasks.first() else { return Ok(()) };
        let tenant = first.tenant.as_str();
        let vtime = last_vtime(write, tenant).await?.max(self.front(write).await?) + 1;
        let jobs: Vec<job::ActiveModel> =
            (vtime..).zip(tasks).map(|(vtime, task)| job(task, vtime)).collect();
        let last = vtime + i64::try_from(jobs.len()).unwrap_or(i64::MAX) - 1;
        tenant::Entity::update_many()
            .col_expr(tenant::Column::Vtime, Expr::value(last))
            .filter(tenant::Column::Id.eq(tenant))
            .exec(&write.tx)
            .await?;
        job::Entity::insert_many(jobs).exec_without_returning(&write.tx).await?;
        write.made_job();
        Ok(())
    }

    /// The virtual time of the job that is next by it; when none is ready, that of the tenant who
    /// has come farthest.
    async fn front(&self, write: &Write<'_>) -> Result<i64> {
        let next = job::Entity::find()
            .filter(job::Column::Worker.is_null())
            .filter(job::Column::RunAt.lte(self.now().as_millis()))
            .order_by_asc(job::Column::Vtime)
            .one(&write.tx)
            .await?;
        if let Some(job) = next {
            return Ok(job.vtime);
        }
        let farthest = tenant::Entity::find().order_by_desc(tenant::Column::Vtime).one(&write.tx).await?;
        Ok(farthest.map_or(0, |tenant| tenant.vtime))
    }
}

/// The virtual time of a tenant's last job; nobody else gives it another until the transaction ends.
async fn last_vtime(write: &Write<'_>, tenant: &str) -> Result<i64> {
    let own = || tenant::Entity::find_by_id(tenant).lock_exclusive().one(&write.tx);
    if let Some(own) = own().await? {
        return Ok(own.vtime);
    }
    let newcomer = tenant::ActiveModel { id: Set(tenant.to_owned()), vtime: Set(0) };
    tenant::Entity::insert(newcomer)
        .on_conflict(OnConflict::column(tenant::Column::Id).do_nothing().to_owned())
        .exec_without_returning(&write.tx)
        .await?;
    let own = own().await?;
    Ok(own.ok_or_else(|| StoreError::Corrupt(format!("tenant `{tenant}` is missing")))?.vtime)
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
