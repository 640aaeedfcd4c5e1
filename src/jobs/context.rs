//! What a job gets to work with, and how it fails.
//!
//! A job's error always says what becomes of the task. There is no `From` for it, so a bare `?` on
//! another error does not compile.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use model::{ErrorCode, Failure, Stage};
use storage::StorageError;
use store::{Claim, StoreError};
use tokio_util::sync::CancellationToken;

use super::{lease::Lease, slot::Slot};

/// Why a job did not finish its task.
#[derive(Clone, Debug)]
pub(crate) enum JobError {
    /// It may pass: the task is tried again while it has tries left.
    Retry(Failure),
    /// It will not pass: the task ends.
    Final(Failure),
    /// The claim was lost: the task is another worker's, or was cancelled; nothing more is written.
    Lost,
    /// The process stops: the task is given back as it was.
    Stopped,
}

impl JobError {
    /// An error of this server that may pass: `error` is logged, and only `what` is shown.
    pub(crate) fn internal(what: &str, error: impl std::fmt::Display) -> Self {
        tracing::error!(%error, "{what}");
        Self::Retry(Failure::new(ErrorCode::Internal, what))
    }

    /// What an error of a storage, or of the fetch of an input, means for a job.
    pub(crate) fn storage(error: StorageError) -> Self {
        let failure = Failure::new(error.code, error.detail);
        if error.retry { Self::Retry(failure) } else { Self::Final(failure) }
    }

    /// What an error of the database means for a job.
    pub(crate) fn store(error: StoreError) -> Self {
        match error {
            StoreError::Fenced => Self::Lost,
            StoreError::Field(wrong) => Self::Final(Failure::new(ErrorCode::BadParam, wrong.to_string())),
            other => Self::internal("the database did not answer", other),
        }
    }
}

/// How far a job has come, as the job reports it; the runner writes it to the database, at most once a
/// second.
#[derive(Debug)]
pub(crate) struct ProgressReporter {
    progress: Mutex<JobProgress>,
    slot: Slot,
}

/// How far a job has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JobProgress {
    /// What it is doing.
    pub(crate) stage: Stage,
    /// Of the whole task, 0 to 100.
    pub(crate) percent: u8,
    /// Whom it waits for and why, in a sentence; empty when it waits for nobody.
    pub(crate) waiting: String,
}

impl ProgressReporter {
    pub(crate) fn new(slot: Slot) -> Self {
        let progress = JobProgress { stage: Stage::Downloading, percent: 0, waiting: String::new() };
        Self { progress: Mutex::new(progress), slot }
    }

    /// How far the job has come.
    pub(crate) fn get(&self) -> JobProgress {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, JobProgress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whom the job waits for and why, in a sentence; empty: it goes on. While it waits and computes
    /// nothing, another job has its slot.
    pub(crate) fn set_waiting(&self, why: &str) {
        let mut progress = self.lock();
        why.clone_into(&mut progress.waiting);
        if !why.is_empty() && progress.stage != Stage::Running {
            self.slot.park();
        }
    }

    /// Takes the job's slot again before it computes, if another job has got it.
    pub(crate) async fn resume(&self) {
        if self.slot.is_parked() {
            self.set_waiting("it waits for a free slot of its worker");
            self.slot.resume().await;
            self.set_waiting("");
        }
    }

    /// Says that `done` (0 to 1) of `stage` is done. The percentage never goes back.
    pub(crate) fn set(&self, stage: Stage, done: f64) {
        let (from, to) = percent_range(stage);
        let percent = from + (f64::from(to - from) * done.clamp(0.0, 1.0)) as u8;
        let mut progress = self.lock();
        (progress.stage, progress.percent) = (stage, progress.percent.max(percent));
    }
}

/// Where a stage begins and ends in the whole task, in percent: encoding is nearly all of it.
const fn percent_range(stage: Stage) -> (u8, u8) {
    match stage {
        Stage::Downloading => (0, 10),
        Stage::Running => (10, 90),
        Stage::Uploading => (90, 99),
    }
}

/// What a job has at hand.
pub(crate) struct JobContext {
    /// The task, with the lease and the fence that let this worker write about it.
    pub(crate) claim: Claim,
    /// A folder of the job's own, which the job makes; it is removed afterwards.
    pub(crate) work: PathBuf,
    /// Where it reports how far it has come.
    pub(crate) progress: Arc<ProgressReporter>,
    /// Whether the claim surely still holds; asked before anything is put or deleted.
    pub(crate) lease: Arc<Lease>,
    /// Ends what the job runs; [`JobContext::interrupted_or`] says why.
    pub(crate) cancel: CancellationToken,
    /// Why it was cancelled.
    interruption: Mutex<Option<Interruption>>,
}

/// Why a job is stopped from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// The claim was lost, or the task was cancelled or deleted.
    Lost,
    /// The process stops.
    Stopping,
    /// The disk is nearly full.
    DiskFull,
}

impl JobContext {
    /// The context of a job that was just claimed with this lease, its slot, and the folder that it may use.
    pub(crate) fn new(claim: Claim, lease: Lease, slot: Slot, work: PathBuf) -> Self {
        Self {
            claim,
            work,
            progress: Arc::new(ProgressReporter::new(slot)),
            lease: Arc::new(lease),
            cancel: CancellationToken::new(),
            interruption: Mutex::new(None),
        }
    }

    /// Stops the job; the first reason counts.
    pub(crate) fn interrupt(&self, why: Interruption) {
        if why == Interruption::Lost {
            self.lease.end();
        }
        self.interruption.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        self.cancel.cancel();
    }

    /// The error of a job that was stopped from outside; `error` when it was not.
    pub(crate) fn interrupted_or(&self, error: JobError) -> JobError {
        if !self.lease.is_held() {
            return JobError::Lost;
        }
        match *self.interruption.lock().unwrap_or_else(PoisonError::into_inner) {
            None => error,
            Some(Interruption::Lost) => JobError::Lost,
            Some(Interruption::Stopping) => JobError::Stopped,
            // others make room: uploads expire, and tasks end
            Some(Interruption::DiskFull) => JobError::Retry(Failure::new(
                ErrorCode::EncodingOverLimit,
                "the server's disk is nearly full",
            )),
        }
    }

    /// Fails if the job was stopped from outside.
    pub(crate) fn check_interrupted(&self) -> Result<(), JobError> {
        if self.cancel.is_cancelled() || !self.lease.is_held() {
            return Err(self.interrupted_or(JobError::Lost));
        }
        Ok(())
    }

    /// What `work` gives, unless the job is stopped from outside before.
    pub(crate) async fn unless_interrupted<T>(
        &self,
        work: impl Future<Output = Result<T, JobError>>,
    ) -> Result<T, JobError> {
        tokio::select! {
            done = work => done.map_err(|error| self.interrupted_or(error)),
            () = self.cancel.cancelled() => Err(self.interrupted_or(JobError::Lost)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::slot::WorkerSlots;

    #[tokio::test]
    async fn progress_never_goes_back() {
        let progress = ProgressReporter::new(WorkerSlots::new(1).acquire().await);
        let now = || (progress.get().stage, progress.get().percent);
        progress.set(Stage::Running, 0.5);
        assert_eq!(now(), (Stage::Running, 50));
        progress.set(Stage::Running, 0.25);
        assert_eq!(now(), (Stage::Running, 50));
        progress.set(Stage::Uploading, 1.0);
        assert_eq!(now(), (Stage::Uploading, 99));
    }
}
