//! What a job gets to work with, and how it says that it failed.
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

/// Why a job did not finish its task.
#[derive(Debug)]
pub(crate) enum JobError {
    /// May pass: the task is tried again while it has tries left.
    Retry(Failure),
    /// Will not pass: the task ends.
    Final(Failure),
    /// The work belongs to someone else now, or to no one: nothing more is written.
    Lost,
    /// The process stops: the task is given back as it was.
    Stopped,
}

impl JobError {
    /// An error of the server's own that may pass.
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
            other => Self::internal("the database did not answer", other),
        }
    }
}

/// How far a job has come; written to the database by the runner, at most once a second.
#[derive(Debug)]
pub(crate) struct Progress(Mutex<Headway>);

/// Where a job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Headway {
    /// What it is doing.
    pub(crate) stage: Stage,
    /// 0 to 100.
    pub(crate) percent: u8,
    /// Whom it waits for and why; empty when it goes on.
    pub(crate) waiting: String,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Headway { stage: Stage::Downloading, percent: 0, waiting: String::new() }))
    }

    /// Where the job stands now.
    pub(crate) fn get(&self) -> Headway {
        self.now().clone()
    }

    fn now(&self) -> MutexGuard<'_, Headway> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whom it waits for and why, in a sentence; empty: it goes on.
    pub(crate) fn wait(&self, why: &str) {
        why.clone_into(&mut self.now().waiting);
    }

    /// Says that `done` (0 to 1) of `stage` is done. It never goes back.
    pub(crate) fn set(&self, stage: Stage, done: f64) {
        let (from, to) = weight(stage);
        let percent = from + (f64::from(to - from) * done.clamp(0.0, 1.0)) as u8;
        let mut now = self.now();
        (now.stage, now.percent) = (stage, now.percent.max(percent));
    }
}

/// The share of a stage in the whole, in percent: encoding is nearly all of it.
const fn weight(stage: Stage) -> (u8, u8) {
    match stage {
        Stage::Downloading => (0, 10),
        Stage::Running => (10, 90),
        Stage::Uploading => (90, 99),
    }
}

/// What a job has at hand.
pub(crate) struct JobContext {
    /// The task, and the right to write about it.
    pub(crate) claim: Claim,
    /// A folder of the job's own; removed afterwards.
    pub(crate) work: PathBuf,
    /// How far it has come.
    pub(crate) progress: Arc<Progress>,
    /// Ends the job's children; why is in `JobContext::interruption`.
    pub(crate) cancel: CancellationToken,
    /// Why it was cancelled.
    pub(crate) interruption: Mutex<Option<Interruption>>,
}

/// Why a job is stopped from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// The lease or the task is gone.
    Lost,
    /// The process stops.
    Stopping,
    /// The disk is nearly full.
    DiskFull,
}

impl JobContext {
    /// Stops the job; the first reason counts.
    pub(crate) fn interrupt(&self, why: Interruption) {
        self.interruption.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        self.cancel.cancel();
    }

    /// The error of a job that was stopped from outside; `error` when it was not.
    pub(crate) fn interrupted_or(&self, error: JobError) -> JobError {
        match *self.interruption.lock().unwrap_or_else(PoisonError::into_inner) {
            None => error,
            Some(Interruption::Lost) => JobError::Lost,
            Some(Interruption::Stopping) => JobError::Stopped,
            Some(Interruption::DiskFull) => JobError::Final(Failure::new(
                ErrorCode::EncodingOverLimit,
                "the server's disk is nearly full",
            )),
        }
    }

    /// Ends the job here if it was stopped from outside.
    pub(crate) fn check(&self) -> Result<(), JobError> {
        if self.cancel.is_cancelled() { Err(self.interrupted_or(JobError::Lost)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_never_goes_back() {
        let progress = Progress::new();
        let now = || (progress.get().stage, progress.get().percent);
        progress.set(Stage::Running, 0.5);
        assert_eq!(now(), (Stage::Running, 50));
        progress.set(Stage::Running, 0.25);
        assert_eq!(now(), (Stage::Running, 50));
        progress.set(Stage::Uploading, 1.0);
        assert_eq!(now(), (Stage::Uploading, 99));
    }
}
