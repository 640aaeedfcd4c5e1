//! Jobs: the queue that workers take tasks from.
//!
//! A job is free or has a worker, until its lease ends. Each claim makes its fence grow, and every
//! write of the holder is done only while the row still has its worker and its fence: whoever was
//! taken for dead learns it by [`StoreError::Fenced`]. Who comes next is decided when a job is
//! enqueued (see `fair_share`), so that a claim touches no row but the job's and the task's.

use std::time::Duration;

use model::{ErrorCode, Failure, JobId, SourceFacts, Stage, Task, TaskEnd, TaskState, Timestamp, WorkerId};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, Condition, ConnectionTrait, DbBackend, EntityTrait as _, FromQueryResult as _,
    PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Statement,
    sea_query::{Expr, LockBehavior, LockType},
};

use crate::{
    Result, Store, StoreError,
    begin::Write,
    column,
    entities::{callback, job},
    tasks,
};

/// A task that this many workers had and none handed back is a poison to them.
const MAX_CLAIMS: i32 = 10;

const CLAIM_POSTGRES: &str = "\
    WITH next AS MATERIALIZED (\
        SELECT id FROM job WHERE worker IS NULL AND run_at <= $3 \
        ORDER BY priority DESC, vtime, id LIMIT 1 FOR UPDATE SKIP LOCKED) \
    UPDATE job SET worker = $1, lease_until = $2, fence = fence + 1, claims = claims + 1 \
    FROM next WHERE job.id = next.id RETURNING job.*";

const CLAIM_SQLITE: &str = "\
    UPDATE job SET worker = $1, lease_until = $2, fence = fence + 1, claims = claims + 1 \
    WHERE id = (\
        SELECT id FROM job WHERE worker IS NULL AND run_at <= $3 \
        ORDER BY priority DESC, vtime, id LIMIT 1) \
    RETURNING *";

/// A job that a worker has, as long as its fence holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// The row of the queue.
    pub job_id: JobId,
    /// The task, as it was when it was claimed.
    pub task: Task,
    /// Grows with each claim of the job.
    pub fence: i64,
    /// Who has it.
    pub worker: WorkerId,
    /// How often it failed and was to be tried again.
    pub tries: u32,
    /// How often it was claimed and not handed back, this time included.
    pub claims: u32,
    /// Until when it is the worker's without a renewal.
    pub lease_until: Timestamp,
}

/// How much there is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Jobs that no worker has, those that wait for another try included.
    pub ready: u64,
    /// Jobs that a worker has.
    pub running: u64,
    /// Callbacks that are owed.
    pub owed: u64,
}

impl Store {
    /// Takes the next job: by priority, then by fair share between tenants, then by age. The task
    /// is working from now on. One that was claimed 10 times and never handed back ends here
    /// instead, and the next is taken.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the job's task cannot be read; the job stays leased, so that it
    /// does not stand before all others.
    pub async fn claim_job(&self, worker: &WorkerId, lease: Duration) -> Result<Option<Claim>> {
        loop {
            let mut write = self.begin().await?;
            let Some(job) = self.claim_row(&write, worker, lease).await? else { return Ok(None) };
            let task = match tasks::locked_of(&write.tx, &job).await {
                Err(corrupt @ StoreError::Corrupt(_)) => {
                    write.commit().await?;
                    return Err(corrupt);
                }
                task => task?,
            };
            if job.claims > MAX_CLAIMS {
                let failure = Failure::new(ErrorCode::Internal, format!("it outlived {MAX_CLAIMS} workers"));
                self.end_task(&mut write, task, TaskEnd::Failed(failure), None).await?;
                write.commit().await?;
                continue;
            }
            let state = task.state.start(self.now())?;
            let task = Task { state, ..task };
            tasks::save(&mut write, &task).await?;
            write.commit().await?;
            return claim(job, task, worker).map(Some);
        }
    }

    async fn claim_row(
        &self,
        write: &Write<'_>,
        worker: &WorkerId,
        lease: Duration,
    ) -> Result<Option<job::Model>> {
        let backend = write.tx.get_database_backend();
        let claim = claim_sql(backend);
        let now = self.now();
        let values = [worker.as_str().into(), (now + lease).as_millis().into(), now.as_millis().into()];
        let row = write.tx.query_one_raw(Statement::from_sql_and_values(backend, claim, values)).await?;
        Ok(row.map(|row| job::Model::from_query_result(&row, "")).transpose()?)
    }

    /// Makes the lease last this long from now. A lease that ran out and was not reaped yet is
    /// still the holder's.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim was lost.
    pub async fn renew(&self, claim: &Claim, lease: Duration) -> Result<()> {
        let write = self.begin().await?;
        let renewed = job::Entity::update_many()
            .col_expr(job::Column::LeaseUntil, Expr::value((self.now() + lease).as_millis()))
            .filter(held(claim))
            .exec(&write.tx)
            .await?;
        if renewed.rows_affected == 0 {
            return Err(StoreError::Fenced);
        }
        write.commit().await
    }

    /// Says whether the claim still holds.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when it was lost.
    pub async fn check(&self, claim: &Claim) -> Result<()> {
        match job::Entity::find().filter(held(claim)).count(self.database()).await? {
            0 => Err(StoreError::Fenced),
            _ => Ok(()),
        }
    }

    /// Says how far the task has come, and whom its worker waits for, if it does. Its progress (0 to
    /// 100) never goes back.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim was lost.
    pub async fn advance(&self, claim: &Claim, stage: Stage, progress: u8, why_waiting: &str) -> Result<()> {
        let mut write = self.begin().await?;
        let (_, mut task) = hold(&write, claim).await?;
        if let TaskState::Working { stage: at, progress: so_far, waiting, .. } = &mut task.state {
            why_waiting.clone_into(waiting);
            *at = stage;
            *so_far = progress.min(100).max(*so_far);
        }
        tasks::save(&mut write, &task).await?;
        write.commit().await
    }

    /// Keeps what the input turned out to be.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim was lost.
    pub async fn found_source(&self, claim: &Claim, facts: &SourceFacts) -> Result<()> {
        let mut write = self.begin().await?;
        let (_, mut task) = hold(&write, claim).await?;
        task.source = Some(facts.clone());
        tasks::save(&mut write, &task).await?;
        write.commit().await
    }

    /// Ends the task: its job is gone, and its callback is owed where its storage wants one.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim was lost.
    pub async fn finish_task(&self, claim: &Claim, end: TaskEnd) -> Result<Task> {
        let mut write = self.begin().await?;
        let (_, task) = hold(&write, claim).await?;
        let ended = self.end_task(&mut write, task, end, None).await?;
        write.commit().await?;
        Ok(ended)
    }

    /// Hands the job back to be tried again, not before `after` has passed. It counts as a try, not
    /// as a claim: the worker lives.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim was lost.
    pub async fn try_again(&self, claim: &Claim, after: Duration) -> Result<()> {
        let mut write = self.begin().await?;
        let (job, task) = hold(&write, claim).await?;
        let back = job::ActiveModel {
            run_at: Set((self.now() + after).as_millis()),
            tries: Set(job.tries + 1),
            claims: Set(job.claims - 1),
            ..Default::default()
        };
        free(&mut write, &job, task, back).await?;
        write.commit().await
    }

    /// Hands the job back as if it had never been claimed: the worker stops.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim was lost.
    pub async fn give_back(&self, claim: &Claim) -> Result<()> {
        let mut write = self.begin().await?;
        let (job, task) = hold(&write, claim).await?;
        let back = job::ActiveModel { claims: Set(job.claims - 1), ..Default::default() };
        free(&mut write, &job, task, back).await?;
        write.commit().await
    }

    /// Gives back what a dead worker had, jobs and callbacks, and says how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release_worker(&self, worker: &WorkerId) -> Result<u64> {
        let jobs = job::Column::Worker.eq(worker.as_str());
        let callbacks = Condition::all().add(callback::Column::Worker.eq(worker.as_str()));
        self.release(jobs, Some(callbacks)).await
    }

    /// Gives back the jobs that have outlived their leases, and says how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reap(&self) -> Result<u64> {
        self.release(job::Column::LeaseUntil.lt(self.now().as_millis()), None).await
    }

    /// Gives back the callbacks that have outlived their leases, and says how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reap_callbacks(&self) -> Result<u64> {
        let mut write = self.begin().await?;
        let expired = Condition::all()
            .add(callback::Column::Worker.is_not_null())
            .add(callback::Column::LeaseUntil.lt(self.now().as_millis()));
        let released = release_callbacks(&mut write, expired).await?;
        write.commit().await?;
        Ok(released)
    }

    async fn release(&self, jobs: Expr, callbacks: Option<Condition>) -> Result<u64> {
        let mut write = self.begin().await?;
        let mut released = match callbacks {
            Some(callbacks) => release_callbacks(&mut write, callbacks).await?,
            None => 0,
        };
        let lost = job::Entity::find()
            .filter(jobs)
            .order_by_asc(job::Column::LeaseUntil)
            // one that is locked is being written to, so its holder lives
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .all(&write.tx)
            .await?;
        for job in lost {
            match tasks::locked_of(&write.tx, &job).await {
                Ok(task) => free(&mut write, &job, task, job::ActiveModel::default()).await?,
                Err(error @ StoreError::Corrupt(_)) => {
                    tracing::error!(job_id = job.id, task_id = job.task_id, %error, "a job stays lost");
                    continue;
                }
                Err(error) => return Err(error),
            }
            released += 1;
        }
        write.commit().await?;
        Ok(released)
    }

    /// How much there is to do, for all tenants.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn queue_depth(&self) -> Result<QueueDepth> {
        let jobs = job::Entity::find;
        let owed = callback::Entity::find().filter(callback::Column::NextAttempt.is_not_null());
        Ok(QueueDepth {
            ready: jobs().filter(job::Column::Worker.is_null()).count(self.database()).await?,
            running: jobs().filter(job::Column::Worker.is_not_null()).count(self.database()).await?,
            owed: owed.count(self.database()).await?,
        })
    }
}

pub(crate) fn claim_sql(backend: DbBackend) -> &'static str {
    if backend == DbBackend::Postgres { CLAIM_POSTGRES } else { CLAIM_SQLITE }
}

fn claim(job: job::Model, task: Task, worker: &WorkerId) -> Result<Claim> {
    Ok(Claim {
        job_id: JobId(job.id),
        task,
        fence: job.fence,
        worker: worker.clone(),
        tries: column::number("job.tries", job.tries)?,
        claims: column::number("job.claims", job.claims)?,
        lease_until: Timestamp::from_millis(job.lease_until.unwrap_or_default()),
    })
}

/// The fence: the row is there, and still this worker's by this claim.
fn held(claim: &Claim) -> Condition {
    Condition::all()
        .add(job::Column::Id.eq(claim.job_id.0))
        .add(job::Column::Worker.eq(claim.worker.as_str()))
        .add(job::Column::Fence.eq(claim.fence))
}

/// The job and the task of a claim, their rows locked for the rest of the transaction.
pub(crate) async fn hold(write: &Write<'_>, claim: &Claim) -> Result<(job::Model, Task)> {
    let job = job::Entity::find().filter(held(claim)).lock_exclusive().one(&write.tx).await?;
    let job = job.ok_or(StoreError::Fenced)?;
    let task = tasks::locked_of(&write.tx, &job).await?;
    Ok((job, task))
}

/// Makes a held job claimable again, and its task pending.
async fn free(
    write: &mut Write<'_>,
    job: &job::Model,
    mut task: Task,
    changes: job::ActiveModel,
) -> Result<()> {
    task.state = task.state.give_back()?;
    tasks::save(write, &task).await?;
    let freed = job::ActiveModel { worker: Set(None), lease_until: Set(None), ..changes };
    job::Entity::update_many().set(freed).filter(job::Column::Id.eq(job.id)).exec(&write.tx).await?;
    write.made_job();
    Ok(())
}

async fn release_callbacks(write: &mut Write<'_>, which: Condition) -> Result<u64> {
    let freed = callback::ActiveModel { worker: Set(None), lease_until: Set(None), ..Default::default() };
    let released = callback::Entity::update_many().set(freed).filter(which).exec(&write.tx).await?;
    if released.rows_affected > 0 {
        write.made_callback("");
    }
    Ok(released.rows_affected)
}
