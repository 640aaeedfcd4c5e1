//! The runner: claims jobs while there is room, runs each beside a heartbeat, and records how it ended.
//!
//! The heartbeat renews the lease, writes progress, and watches the disk; it is also where a worker
//! learns that a task is no longer its own.

use std::{
    convert::Infallible,
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use media::Media;
use model::{Failure, OutputFacts, Task, TaskEnd, WorkerId};
use store::{Claim, StoreError};
use tokio::{sync::watch, time::MissedTickBehavior};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use super::capacity;
use crate::{
    app::App,
    jobs::{
        context::{Interruption, JobContext, JobError},
        lease::{Lease, Moment},
        slot::{Slot, WorkerSlots},
        transcode,
    },
    telemetry,
};

/// From one heartbeat to the next at most: progress is written at most so often.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// From a failure that may pass to the next try: after the first try, and after each later one.
const RETRY_DELAYS: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(60)];

/// From one try to write the end of a task to the next, while the database does not answer.
const FINISH_RETRY_DELAY: Duration = Duration::from_secs(1);

/// Runs jobs until it is told to stop.
pub(crate) struct Runner {
    app: Arc<App>,
    media: Media,
    worker: WorkerId,
    /// The folder of all work of this process.
    work: PathBuf,
    /// Tasks at once.
    capacity: usize,
    /// Why no task is claimed now; empty while tasks are claimed.
    paused: watch::Sender<String>,
}

impl Runner {
    pub(crate) fn new(app: Arc<App>, media: Media, worker: WorkerId, work: PathBuf) -> Self {
        let capacity = app.settings.worker.capacity.unwrap_or_else(capacity::default_capacity);
        Self { app, media, worker, work, capacity, paused: watch::Sender::default() }
    }

    /// Claims and runs jobs until `stop`; then lets them finish for the grace time, and gives back
    /// what is left.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let this = Arc::new(self);
        let slots = WorkerSlots::new(this.capacity);
        let (jobs, grace_over) = (TaskTracker::new(), CancellationToken::new());
        tracing::info!(capacity = this.capacity, worker = %this.worker, "worker started");
        let registration = tokio::spawn(Arc::clone(&this).stay_registered(grace_over.clone()));
        while let Some((claim, lease, slot)) = this.next_claim(&slots, &stop).await {
            let (this, grace_over) = (Arc::clone(&this), grace_over.clone());
            let span = tracing::info_span!("task", task_id = %claim.task.id);
            jobs.spawn(async move { this.run_job(claim, lease, slot, grace_over).await }.instrument(span));
        }
        jobs.close();
        let grace = this.app.settings.server.shutdown_grace;
        if !jobs.is_empty() {
            tracing::info!(tasks = jobs.len(), ?grace, "stopping: waiting for running tasks");
        }
        if tokio::time::timeout(grace, jobs.wait()).await.is_err() {
            grace_over.cancel();
            jobs.wait().await;
        }
        // the registration ends with it in any case
        grace_over.cancel();
        if let Err(error) = registration.await {
            tracing::error!(%error, "the worker's registration panicked");
        }
    }

    /// Keeps this worker in the list of live ones until `stop`.
    async fn stay_registered(self: Arc<Self>, stop: CancellationToken) {
        let (store, lease) = (&self.app.store, self.app.settings.worker.lease);
        let mut paused = self.paused.subscribe();
        loop {
            let why = paused.borrow_and_update().clone();
            if let Err(error) = store.record_heartbeat(&self.worker, self.capacity, &why, lease * 10).await {
                tracing::warn!(%error, "could not register this worker");
            }
            tokio::select! {
                _ = paused.changed() => {}
                () = tokio::time::sleep(self.app.settings.worker.renewal_interval()) => {}
                () = stop.cancelled() => break,
            }
        }
        if let Err(error) = store.remove_worker(&self.worker).await {
            tracing::warn!(%error, "could not unregister this worker");
        }
    }

    /// The next job, when a slot is free for it; none when it is time to stop.
    async fn next_claim(
        &self,
        slots: &WorkerSlots,
        stop: &CancellationToken,
    ) -> Option<(Claim, Lease, Slot)> {
        loop {
            let slot = tokio::select! {
                slot = slots.acquire() => slot,
                () = stop.cancelled() => return None,
            };
            // before the look, so that no wake-up after it is missed
            let woken = self.app.store.jobs_ready().notified();
            if let Some((claim, lease)) = self.claim().await {
                return Some((claim, lease, slot));
            }
            // a task that takes its slot again is not to wait for one that nobody uses
            drop(slot);
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep(self.app.settings.worker.poll_interval) => {}
                () = stop.cancelled() => return None,
            }
        }
    }

    /// The next job, if there is one and this worker may take it; else what keeps it from that is said,
    /// once.
    async fn claim(&self) -> Option<(Claim, Lease)> {
        if self.free_disk_bytes() < self.app.settings.media.min_free_disk {
            self.set_paused("the disk of the data directory is nearly full");
            return None;
        }
        let (duration, sent) = (self.app.settings.worker.lease, Moment::now());
        match self.app.store.claim_job(&self.worker, duration).await {
            Ok(claim) => {
                self.set_paused("");
                claim.map(|claim| (claim, Lease::new(duration, sent)))
            }
            Err(error) if error.is_transient() => {
                tracing::debug!(%error, "could not claim a job");
                self.set_paused("the database does not answer");
                None
            }
            Err(error) => {
                tracing::error!(%error, "could not claim a job");
                None
            }
        }
    }

    /// Says why no task is claimed from now on; empty: tasks are claimed.
    fn set_paused(&self, why: &str) {
        let has_changed = self.paused.send_if_modified(|paused| {
            let has_changed = paused != why;
            if has_changed {
                why.clone_into(paused);
            }
            has_changed
        });
        match why {
            _ if !has_changed => {}
            "" => tracing::info!("tasks are claimed again"),
            why => tracing::error!(why, free_disk = self.free_disk_bytes(), "no task is claimed"),
        }
    }

    /// A disk that cannot be asked counts as empty: the job itself fails where it really is full.
    fn free_disk_bytes(&self) -> u64 {
        capacity::free_disk_bytes(&self.work).unwrap_or(u64::MAX)
    }

    async fn run_job(&self, claim: Claim, lease: Lease, slot: Slot, grace_over: CancellationToken) {
        let work = self.work.join(claim.task.id.as_str());
        let job = Arc::new(JobContext::new(claim, lease, slot, work));
        tracing::info!(input = %job.claim.task.spec.input.redacted(), output = %job.claim.task.output_uri, "task started");
        let result = tokio::select! {
            result = transcode::transcode(&self.app, &self.media, &job) => result,
            never = self.heartbeat(&job, &grace_over) => match never {},
        };
        if let Err(error) = tokio::fs::remove_dir_all(&job.work).await
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "could not remove the work folder");
        }
        match self.record_result(&job.claim, result).await {
            Ok(()) => {}
            Err(StoreError::Fenced) => {
                tracing::info!("the task is no longer this worker's; nothing was written")
            }
            // the lease runs out, and another worker takes the task up
            Err(error) => tracing::error!(%error, "could not write how the task ended"),
        }
    }

    /// Renews the lease, writes progress and watches the disk, until it is dropped with the job. A job whose
    /// lease was not renewed in time is stopped, also while the database leaves a renewal without an answer.
    async fn heartbeat(&self, job: &JobContext, grace_over: &CancellationToken) -> Infallible {
        tokio::select! {
            never = self.beat(job, grace_over) => match never {},
            () = job.lease.lost() => job.interrupt(Interruption::Lost),
        }
        std::future::pending().await
    }

    async fn beat(&self, job: &JobContext, grace_over: &CancellationToken) -> Infallible {
        let lease = self.app.settings.worker.lease;
        let beat = HEARTBEAT_INTERVAL.min(self.app.settings.worker.renewal_interval());
        let mut interval = tokio::time::interval_at(tokio::time::Instant::now() + beat, beat);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut written = job.progress.get();
        loop {
            tokio::select! {
                _ = interval.tick() => {}
                () = grace_over.cancelled(), if !job.cancel.is_cancelled() => {
                    job.interrupt(Interruption::Stopping);
                }
            }
            // running tasks may use what new ones may not: half of what is kept free
            if self.free_disk_bytes() < self.app.settings.media.min_free_disk / 2 {
                job.interrupt(Interruption::DiskFull);
            }
            let progress = job.progress.get();
            let outcome = if job.lease.age() >= self.app.settings.worker.renewal_interval() {
                let sent = Moment::now();
                self.app.store.renew_lease(&job.claim, lease).await.inspect(|()| job.lease.renew(sent))
            } else if progress != written {
                let (stage, percent, waiting) = (progress.stage, progress.percent, &progress.waiting);
                let advanced = self.app.store.update_progress(&job.claim, stage, percent, waiting).await;
                advanced.inspect(|()| written = progress)
            } else {
                continue;
            };
            match outcome {
                Ok(()) => {}
                Err(StoreError::Fenced) => job.interrupt(Interruption::Lost),
                // how long that may go on is for the lease to say
                Err(error) => tracing::warn!(%error, "could not write progress"),
            }
        }
    }

    /// Writes how a job ended.
    async fn record_result(
        &self,
        claim: &Claim,
        result: Result<OutputFacts, JobError>,
    ) -> Result<(), StoreError> {
        let end = match result {
            Ok(facts) => TaskEnd::Succeeded(Box::new(facts)),
            Err(JobError::Lost) => return Err(StoreError::Fenced),
            Err(JobError::Stopped) => {
                tracing::info!("the task is given back: the process stops");
                return self.app.store.give_back_job(claim).await;
            }
            Err(JobError::Retry(failure))
                if claim.tries.saturating_add(1) < self.app.settings.worker.tries =>
            {
                return self.try_again(claim, &failure).await;
            }
            Err(JobError::Retry(failure) | JobError::Final(failure)) => TaskEnd::Failed(failure),
        };
        let failure = end.failure();
        let task = self.finish_task(claim, end).await?;
        telemetry::count_task(task.state.status());
        match failure {
            None => tracing::info!(output = %task.output_uri, seconds = task.spend_time(), "task succeeded"),
            Some(failure) => tracing::warn!(code = failure.code.number(), %failure, "task failed"),
        }
        Ok(())
    }

    /// Hands a task back that failed and may do better later, and tells its customer when that is.
    async fn try_again(&self, claim: &Claim, failure: &Failure) -> Result<(), StoreError> {
        let after = RETRY_DELAYS[usize::from(claim.tries > 0)];
        tracing::warn!(%failure, ?after, "task failed; it is tried again");
        let (next, tries) = (claim.tries.saturating_add(2), self.app.settings.worker.tries);
        let at = self.app.clock.now() + after;
        let why = format!("{failure}; it is tried again at {at} (try {next} of {tries})");
        self.app.store.retry_job(claim, after, &why).await
    }

    /// Writes the end of a task, again and again while the database does not answer and the lease
    /// holds: the work is done and should not be done twice.
    async fn finish_task(&self, claim: &Claim, end: TaskEnd) -> Result<Task, StoreError> {
        let began = Instant::now();
        let timeout = self.app.settings.worker.lease / 2;
        loop {
            match self.app.store.finish_task(claim, end.clone()).await {
                Err(error) if error.is_transient() && began.elapsed() < timeout => {
                    tracing::warn!(%error, "could not write the task's end; trying again");
                    tokio::time::sleep(FINISH_RETRY_DELAY).await;
                }
                result => return result,
            }
        }
    }
}
