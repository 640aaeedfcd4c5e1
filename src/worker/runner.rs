//! Claims jobs while there is room, runs each beside a pulse, and settles how it ended.
//!
//! The pulse renews the lease, writes progress, and watches the disk; it is also where a worker
//! learns that a task is no longer its own.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use media::Media;
use model::{TaskEnd, WorkerId};
use store::{Claim, StoreError};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::MissedTickBehavior,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use super::capacity;
use crate::{
    app::App,
    jobs::{
        context::{Interruption, JobContext, JobError, Progress},
        transcode,
    },
    telemetry,
};

/// How often progress is written, at most, and the disk looked at.
const PULSE: Duration = Duration::from_secs(1);

/// How long a failure that may pass waits: after the first time, and after each later one.
const RETRY_AFTER: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(60)];

/// Runs jobs until it is told to stop.
pub(crate) struct Runner {
    app: Arc<App>,
    media: Media,
    worker: WorkerId,
    /// The folder of all work of this process.
    work: PathBuf,
    capacity: usize,
}

impl Runner {
    pub(crate) fn new(app: Arc<App>, media: Media, worker: WorkerId, work: PathBuf) -> Self {
        let capacity = app.settings.worker.capacity.unwrap_or_else(capacity::from_cores);
        Self { app, media, worker, work, capacity }
    }

    /// Claims and runs jobs until `stop`; then lets them finish for the grace time, and gives back
    /// what is left.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let this = Arc::new(self);
        let room = Arc::new(Semaphore::new(this.capacity));
        let (jobs, halt) = (TaskTracker::new(), CancellationToken::new());
        tracing::info!(capacity = this.capacity, worker = %this.worker, "worker started");
        let shown = tokio::spawn(Arc::clone(&this).show(halt.clone()));
        while let Some((claim, place)) = this.next(&room, &stop).await {
            let (this, halt) = (Arc::clone(&this), halt.clone());
            let span = tracing::info_span!("task", task_id = %claim.task.id);
            jobs.spawn(
                async move {
                    this.work_on(claim, halt).await;
                    drop(place);
                }
                .instrument(span),
            );
        }
        jobs.close();
        let grace = this.app.settings.server.shutdown_grace;
        if !jobs.is_empty() {
            tracing::info!(tasks = jobs.len(), ?grace, "stopping: waiting for running tasks");
        }
        if tokio::time::timeout(grace, jobs.wait()).await.is_err() {
            halt.cancel();
            jobs.wait().await;
        }
        halt.cancel();
        if let Err(error) = shown.await {
            tracing::error!(%error, "the worker was not shown any more");
        }
    }

    /// Says now and then that this worker lives, until it does not.
    async fn show(self: Arc<Self>, halt: CancellationToken) {
        let (store, lease) = (&self.app.store, self.app.settings.worker.lease);
        loop {
            if let Err(error) = store.record_heartbeat(&self.worker, self.capacity, lease * 10).await {
                tracing::warn!(%error, "could not say that this worker lives");
            }
            tokio::select! {
                () = tokio::time::sleep(lease / 3) => {}
                () = halt.cancelled() => break,
            }
        }
        if let Err(error) = store.remove_worker(&self.worker).await {
            tracing::warn!(%error, "could not say that this worker stops");
        }
    }

    /// The next job, when there is room for it; none when it is time to stop.
    async fn next(
        &self,
        room: &Arc<Semaphore>,
        stop: &CancellationToken,
    ) -> Option<(Claim, OwnedSemaphorePermit)> {
        let place = tokio::select! {
            place = Arc::clone(room).acquire_owned() => place.ok()?,
            () = stop.cancelled() => return None,
        };
        loop {
            let woken = self.app.store.jobs_ready().notified();
            match self.claim().await {
                Ok(Some(claim)) => return Some((claim, place)),
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "could not claim a job"),
            }
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep(self.app.settings.worker.poll_interval) => {}
                () = stop.cancelled() => return None,
            }
        }
    }

    async fn claim(&self) -> Result<Option<Claim>, StoreError> {
        let free = capacity::free_disk(&self.work).unwrap_or(u64::MAX);
        if free < self.app.settings.media.min_free_disk {
            tracing::warn!(free, "no task is taken: the disk of the data directory is nearly full");
            return Ok(None);
        }
        self.app.store.claim_job(&self.worker, self.app.settings.worker.lease).await
    }

    async fn work_on(&self, claim: Claim, halt: CancellationToken) {
        let job = Arc::new(JobContext {
            work: self.work.join(claim.task.id.as_str()),
            claim,
            progress: Arc::new(Progress::new()),
            cancel: CancellationToken::new(),
            interruption: std::sync::Mutex::new(None),
        });
        tracing::info!(input = %job.claim.task.spec.input.redacted(), output = %job.claim.task.output_uri, "task started");
        let result = tokio::select! {
            result = transcode::transcode(&self.app, &self.media, &job) => result,
            never = self.pulse(&job, &halt) => match never {},
        };
        if let Err(error) = tokio::fs::remove_dir_all(&job.work).await
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "could not remove the work folder");
        }
        match self.settle(&job.claim, result).await {
            Ok(()) => {}
            Err(StoreError::Fenced) => {
                tracing::info!("the task is no longer this worker's; nothing was written")
            }
            // the lease runs out, and another worker takes the task up
            Err(error) => tracing::error!(%error, "could not write how the task ended"),
        }
    }

    /// Renews the lease, writes progress and watches the disk, until the job ends.
    async fn pulse(&self, job: &JobContext, halt: &CancellationToken) -> std::convert::Infallible {
        let lease = self.app.settings.worker.lease;
        let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + PULSE, PULSE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut renewed, mut written) = (Instant::now(), job.progress.get());
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = halt.cancelled(), if !job.cancel.is_cancelled() => job.interrupt(Interruption::Stopping),
            }
            if capacity::free_disk(&self.work).unwrap_or(u64::MAX) < self.app.settings.media.min_free_disk / 2
            {
                job.interrupt(Interruption::DiskFull);
            }
            let now = job.progress.get();
            let outcome = if renewed.elapsed() >= lease / 3 {
                self.app.store.renew_lease(&job.claim, lease).await.inspect(|()| renewed = Instant::now())
            } else if now != written {
                let advanced =
                    self.app.store.update_progress(&job.claim, now.stage, now.percent, &now.waiting).await;
                advanced.inspect(|()| written = now)
            } else {
                continue;
            };
            match outcome {
                Ok(()) => {}
                Err(StoreError::Fenced) => job.interrupt(Interruption::Lost),
                Err(error) if renewed.elapsed() < lease => tracing::warn!(%error, "could not write progress"),
                Err(_) => job.interrupt(Interruption::Lost),
            }
        }
    }

    /// Writes how a job ended.
    async fn settle(
        &self,
        claim: &Claim,
        result: Result<model::OutputFacts, JobError>,
    ) -> Result<(), StoreError> {
        let end = match result {
            Ok(facts) => TaskEnd::Succeeded(Box::new(facts)),
            Err(JobError::Lost) => return Err(StoreError::Fenced),
            Err(JobError::Stopped) => {
                tracing::info!("given back: the process stops");
                return self.app.store.give_back_job(claim).await;
            }
            Err(JobError::Retry(failure)) if claim.tries + 1 < self.app.settings.worker.tries => {
                let after = RETRY_AFTER[usize::from(claim.tries > 0)];
                tracing::warn!(%failure, ?after, "task failed; it is tried again");
                return self.app.store.retry_job(claim, after).await;
            }
            Err(JobError::Retry(failure)) => TaskEnd::Failed(failure),
            Err(JobError::Final(failure)) => TaskEnd::Failed(failure),
        };
        let failure = end.failure();
        let task = self.finish(claim, end).await?;
        telemetry::task_ended(task.state.status());
        match failure {
            None => tracing::info!(output = %task.output_uri, seconds = task.spend_time(), "task succeeded"),
            Some(failure) => tracing::warn!(code = failure.code.number(), %failure, "task failed"),
        }
        Ok(())
    }

    /// Writes the end of a task, again and again while the database does not answer and the lease
    /// holds: the work is done and should not be done twice.
    async fn finish(&self, claim: &Claim, end: TaskEnd) -> Result<model::Task, StoreError> {
        let began = Instant::now();
        loop {
            match self.app.store.finish_task(claim, end.clone()).await {
                Err(error)
                    if error.is_transient() && began.elapsed() < self.app.settings.worker.lease / 2 =>
                {
                    tracing::warn!(%error, "could not write the task's end; trying again");
                    tokio::time::sleep(PULSE).await;
                }
                result => return result,
            }
        }
    }
}
