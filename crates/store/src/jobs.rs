//! Jobs: the queue that workers take tasks from.
//!
//! A job is free, or claimed by a worker until its lease ends. Each claim increments the job's fence,
//! and the claim's holder writes only while the row still has its worker and its fence: a worker that
//! was taken for dead gets [`StoreError::Fenced`]. Which job is next: see `fair_share`.

use std::time::Duration;

use model::{ErrorCode, Failure, JobId, SourceFacts, Stage, Task, TaskEnd, TaskState, Timestamp, WorkerId};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, Condition, EntityTrait as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
    sea_query::{Expr, LockBehavior, LockType},
};

use crate::{
    callbacks::release::release_callbacks_of,
    convert,
    entities::{callback, job},
    error::{Result, StoreError},
    fair_share,
    store::Store,
    tasks,
    transaction::WriteTransaction,
};

/// Poison tasks: one that kills its workers is not claimed more often than this. Claims that were given
/// back in good order do not count.
const MAX_CLAIMS: i32 = 10;

/// Why a task is pending again.
const WORKER_STOPPED: &str = "its worker stopped; it waits for another one and begins anew";
const WORKER_LOST: &str = "its worker was lost; it waits for another one and begins anew";

/// A job that a worker has, as long as its fence holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// The row of the queue.
    pub job_id: JobId,
    /// The task, as it was when it was claimed.
    pub task: Task,
    /// Grows with each claim of the job.
    pub fence: i64,
    /// Who claimed it.
    pub worker: WorkerId,
    /// How often it failed and was handed back to be tried again.
    pub tries: u32,
    /// How often it was claimed and not given back, this time included.
    pub claims: u32,
    /// When the claim ends unless it is renewed.
    pub lease_until: Timestamp,
}

/// How much work waits or is being done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Jobs that no worker has, including those that wait for the time of their next try.
    pub ready: u64,
    /// Jobs that a worker has.
    pub running: u64,
    /// Callbacks that are owed.
    pub owed: u64,
}

impl Store {
    /// Claims the next job: by fair share between tenants, then by priority, then by age. Its task is
    /// working from now on. A job that was claimed 10 times and never given back ends here as
    /// failed instead, and the next one is taken.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the job's task cannot be read; the job stays leased, so that it
    /// does not block the queue.
    pub async fn claim_job(&self, worker: &WorkerId, lease: Duration) -> Result<Option<Claim>> {
        loop {
            let mut tx = self.transaction().await?;
            let now = self.queue_time();
            let claimed = fair_share::claim_next(&tx, worker.as_str(), now + lease, now).await?;
            let Some(job) = claimed else { return Ok(None) };
            let task = match tasks::lock_task_of(&tx.db, &job).await {
                Err(corrupt @ StoreError::Corrupt(_)) => {
                    tx.commit().await?;
                    return Err(corrupt);
                }
                task => task?,
            };
            if job.claims > MAX_CLAIMS {
                let failure = Failure::new(ErrorCode::Internal, format!("it outlived {MAX_CLAIMS} workers"));
                self.end_task(&mut tx, task, TaskEnd::Failed(failure), None).await?;
                tx.commit().await?;
                continue;
            }
            let state = task.state.start(self.now())?;
            let task = Task { state, ..task };
            tasks::update(&mut tx, &task).await?;
            fair_share::end_turn(&tx, &task.tenant).await?;
            tx.commit().await?;
            return claim(job, task, worker).map(Some);
        }
    }

    /// Makes the lease last this long from now. A lease that ran out but was not reaped yet is
    /// renewed too.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim was lost.
    pub async fn renew_lease(&self, claim: &Claim, lease: Duration) -> Result<()> {
        let tx = self.transaction().await?;
        let renewed = job::Entity::update_many()
            .col_expr(job::Column::LeaseUntil, Expr::value((self.queue_time() + lease).as_millis()))
            .filter(claim_holds(claim))
            .exec(&tx.db)
            .await?;
        if renewed.rows_affected == 0 {
            return Err(StoreError::Fenced);
        }
        tx.commit().await
    }

    /// Checks that the claim still holds.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when it was lost.
    pub async fn check_claim(&self, claim: &Claim) -> Result<()> {
        match job::Entity::find().filter(claim_holds(claim)).count(self.database()).await? {
            0 => Err(StoreError::Fenced),
            _ => Ok(()),
        }
    }

    /// Writes how far the task has come, in percent, and what its worker waits for; empty when it waits
    /// for nothing. The progress never goes back.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim was lost.
    pub async fn update_progress(
        &self,
        claim: &Claim,
        stage: Stage,
        percent: u8,
        waiting_for: &str,
    ) -> Result<()> {
        let mut tx = self.transaction().await?;
        let (_, mut task) = lock_claimed(&tx, claim).await?;
        if let TaskState::Working { stage: current, progress, waiting, .. } = &mut task.state {
            *current = stage;
            *progress = percent.min(100).max(*progress);
            waiting_for.clone_into(waiting);
        }
        tasks::update(&mut tx, &task).await?;
        tx.commit().await
    }

    /// Writes what the task's input turned out to be.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim was lost.
    pub async fn record_source(&self, claim: &Claim, facts: &SourceFacts) -> Result<()> {
        let mut tx = self.transaction().await?;
        let (_, mut task) = lock_claimed(&tx, claim).await?;
        task.source = Some(facts.clone());
        tasks::update(&mut tx, &task).await?;
        tx.commit().await
    }

    /// Ends the task: its job is deleted, and its callback owed where its storage has a notify.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim was lost.
    pub async fn finish_task(&self, claim: &Claim, end: TaskEnd) -> Result<Task> {
        let mut tx = self.transaction().await?;
        let (_, task) = lock_claimed(&tx, claim).await?;
        let ended = self.end_task(&mut tx, task, end, None).await?;
        tx.commit().await?;
        Ok(ended)
    }

    /// Hands the job back to be tried again, not before `delay` has passed, behind those that have waited
    /// longer by then; `why` is told meanwhile. It counts as a try, but not as a claim: the worker lives.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim was lost.
    pub async fn retry_job(&self, claim: &Claim, delay: Duration, why: &str) -> Result<()> {
        let mut tx = self.transaction().await?;
        let (job, task) = lock_claimed(&tx, claim).await?;
        let changes = job::ActiveModel {
            run_at: Set((self.queue_time() + delay).as_millis()),
            tries: Set(job.tries + 1),
            claims: Set(job.claims - 1),
            ..Default::default()
        };
        release(&mut tx, &job, task, changes, why).await?;
        tx.commit().await
    }

    /// Gives the job back as if it had never been claimed: the worker stops.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim was lost.
    pub async fn give_back_job(&self, claim: &Claim) -> Result<()> {
        let mut tx = self.transaction().await?;
        let (job, task) = lock_claimed(&tx, claim).await?;
        let changes = job::ActiveModel { claims: Set(job.claims - 1), ..Default::default() };
        release(&mut tx, &job, task, changes, WORKER_STOPPED).await?;
        tx.commit().await
    }

    /// Releases what a dead worker had, jobs and callbacks, and returns how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release_worker_claims(&self, worker: &WorkerId) -> Result<u64> {
        let mut tx = self.transaction().await?;
        let callbacks = release_callbacks_of(&mut tx, worker).await?;
        let jobs = release_jobs(&mut tx, job::Column::Worker.eq(worker.as_str())).await?;
        tx.commit().await?;
        Ok(callbacks + jobs)
    }

    /// Releases the jobs whose leases have run out, and returns how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reap_jobs(&self) -> Result<u64> {
        let mut tx = self.transaction().await?;
        let released =
            release_jobs(&mut tx, job::Column::LeaseUntil.lt(self.queue_time().as_millis())).await?;
        tx.commit().await?;
        Ok(released)
    }

    /// How much work waits or is being done, for all tenants.
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

fn claim(job: job::Model, task: Task, worker: &WorkerId) -> Result<Claim> {
    Ok(Claim {
        job_id: JobId(job.id),
        task,
        fence: job.fence,
        worker: worker.clone(),
        tries: convert::number("job.tries", job.tries)?,
        claims: convert::number("job.claims", job.claims)?,
        lease_until: Timestamp::from_millis(job.lease_until.unwrap_or_default()),
    })
}

/// The fence: the row is there, and still claimed by this worker with this claim.
fn claim_holds(claim: &Claim) -> Condition {
    Condition::all()
        .add(job::Column::Id.eq(claim.job_id.0))
        .add(job::Column::Worker.eq(claim.worker.as_str()))
        .add(job::Column::Fence.eq(claim.fence))
}

/// The job and the task of a claim that holds, their rows locked for the rest of the transaction.
pub(crate) async fn lock_claimed(tx: &WriteTransaction<'_>, claim: &Claim) -> Result<(job::Model, Task)> {
    let job = job::Entity::find().filter(claim_holds(claim)).lock_exclusive().one(&tx.db).await?;
    let job = job.ok_or(StoreError::Fenced)?;
    let task = tasks::lock_task_of(&tx.db, &job).await?;
    Ok((job, task))
}

/// Makes a claimed job claimable again, with these changes to its row, and its task pending, which tells why.
async fn release(
    tx: &mut WriteTransaction<'_>,
    job: &job::Model,
    mut task: Task,
    changes: job::ActiveModel,
    why: &str,
) -> Result<()> {
    task.state = task.state.give_back(why)?;
    tasks::update(tx, &task).await?;
    let changes = job::ActiveModel { worker: Set(None), lease_until: Set(None), ..changes };
    job::Entity::update_many().set(changes).filter(job::Column::Id.eq(job.id)).exec(&tx.db).await?;
    tx.wake_jobs();
    Ok(())
}

/// Releases the claimed jobs that this is true of, and returns how many.
async fn release_jobs(tx: &mut WriteTransaction<'_>, which: Expr) -> Result<u64> {
    let lost = job::Entity::find()
        .filter(which)
        .order_by_asc(job::Column::LeaseUntil)
        // a row that is locked is just being written by its holder, so the holder lives
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(&tx.db)
        .await?;
    let mut released = 0;
    for job in lost {
        match tasks::lock_task_of(&tx.db, &job).await {
            Ok(task) => {
                release(tx, &job, task, job::ActiveModel::default(), WORKER_LOST).await?;
                released += 1;
            }
            Err(error @ StoreError::Corrupt(_)) => {
                tracing::error!(
                    job_id = job.id,
                    task_id = job.task_id,
                    %error,
                    "a job whose worker is gone cannot be released: its task is unreadable"
                );
            }
            Err(error) => return Err(error),
        }
    }
    Ok(released)
}
