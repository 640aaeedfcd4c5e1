//! Jobs.

use std::time::Duration;

use model::{JobId, SourceFacts, Stage, Task, TaskEnd, Timestamp, WorkerId};

use crate::{Result, Store};

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
    /// Takes the next job.
    pub async fn claim_job(&self, _worker: &WorkerId, _lease: Duration) -> Result<Option<Claim>> {
        todo!()
    }

    /// Makes the lease last this long from now.
    pub async fn renew(&self, _claim: &Claim, _lease: Duration) -> Result<()> {
        todo!()
    }

    /// Says how far the task has come; its progress never goes back.
    pub async fn advance(&self, _claim: &Claim, _stage: Stage, _progress: u8) -> Result<()> {
        todo!()
    }

    /// Keeps what the input turned out to be.
    pub async fn found_source(&self, _claim: &Claim, _facts: &SourceFacts) -> Result<()> {
        todo!()
    }

    /// Ends the task.
    pub async fn finish_task(&self, _claim: &Claim, _end: TaskEnd) -> Result<Task> {
        todo!()
    }

    /// Hands the job back to be tried again, not before `after` has passed.
    pub async fn try_again(&self, _claim: &Claim, _after: Duration) -> Result<()> {
        todo!()
    }

    /// Hands the job back as if it had never been claimed.
    pub async fn give_back(&self, _claim: &Claim) -> Result<()> {
        todo!()
    }

    /// Gives back what a dead worker had, jobs and callbacks, and says how many.
    pub async fn release_worker(&self, _worker: &WorkerId) -> Result<u64> {
        todo!()
    }

    /// Gives back whatever has outlived its lease, jobs and callbacks, and says how many.
    pub async fn reap(&self) -> Result<u64> {
        todo!()
    }

    /// How much there is to do, for all tenants.
    pub async fn queue_depth(&self) -> Result<QueueDepth> {
        todo!()
    }
}
