//! Claim, lease and fence, against a small model (property test): whatever happens in whatever order, only
//! the writes of the last claim's holder succeed, whoever lost the fence writes nothing, each end owes one
//! callback, and no task is lost.

use std::time::Duration;

use borealis_store::{
    CallbackFilter, Claim, Page, QueueDepth, StoreError, TaskFilter, testing::DatabaseKind,
};
use model::{Priority, Stage, Storage, TaskId, TaskStatus, Timestamp, WorkerId};
use proptest::{prelude::*, test_runner::TestRunner};

use crate::world::{LEASE, World, failed, is_fenced, is_wrong_state, succeeded, worker};

const ALL: Page = Page { offset: 0, limit: 1000 };
/// As in the store: a job that was claimed so often and not given back is not claimed again.
const MAX_CLAIMS: u32 = 10;

/// What may happen. Numbers are taken modulo the workers, tasks and claims that there are; claims, lost ones
/// too, are counted back from the latest.
#[derive(Clone, Debug)]
enum Event {
    Create { priority: u32 },
    Claim { worker: usize },
    Renew { claim: usize },
    Advance { claim: usize, stage: Stage, progress: u8 },
    Finish { claim: usize, succeeds: bool },
    GiveBack { claim: usize },
    TryAgain { claim: usize, after: Duration },
    Cancel { task: usize },
    Retry { task: usize },
    TimePasses { time: Duration },
    Reap,
    ReleaseWorker { worker: usize },
}

fn event() -> impl Strategy<Value = Event> {
    let stage = prop::sample::select(Stage::ALL);
    let seconds = |range| prop::strategy::Strategy::prop_map(range, Duration::from_secs);
    prop_oneof![
        3 => (4u32..=6).prop_map(|priority| Event::Create { priority }),
        6 => (0..3usize).prop_map(|worker| Event::Claim { worker }),
        2 => (0..5usize).prop_map(|claim| Event::Renew { claim }),
        2 => (0..5usize, stage, 0..=100u8)
            .prop_map(|(claim, stage, progress)| Event::Advance { claim, stage, progress }),
        2 => (0..5usize, any::<bool>()).prop_map(|(claim, succeeds)| Event::Finish { claim, succeeds }),
        1 => (0..5usize).prop_map(|claim| Event::GiveBack { claim }),
        1 => (0..5usize, seconds(0..20u64)).prop_map(|(claim, after)| Event::TryAgain { claim, after }),
        1 => any::<usize>().prop_map(|task| Event::Cancel { task }),
        1 => any::<usize>().prop_map(|task| Event::Retry { task }),
        2 => seconds(1..40u64).prop_map(|time| Event::TimePasses { time }),
        2 => Just(Event::Reap),
        1 => (0..3usize).prop_map(|worker| Event::ReleaseWorker { worker }),
    ]
}

/// What the model expects of a task.
struct ExpectedTask {
    id: TaskId,
    priority: u32,
    status: TaskStatus,
    progress: u8,
    ends: usize,
    job: Option<ExpectedJob>,
}

/// What the model expects of its job.
struct ExpectedJob {
    /// The order in which jobs were enqueued.
    number: usize,
    run_at: Timestamp,
    /// The index of the claim that holds.
    holder: Option<usize>,
    lease_until: Timestamp,
    claims: u32,
    tries: u32,
}

struct Run {
    world: World,
    storage: Storage,
    workers: Vec<WorkerId>,
    tasks: Vec<ExpectedTask>,
    /// Every claim that was ever made, with the index of its task.
    claims: Vec<(Claim, usize)>,
    jobs_enqueued: usize,
}

impl Run {
    async fn new(kind: DatabaseKind) -> Self {
        let world = World::new(kind).await;
        let storage = world.add_storage().await;
        let workers = (0..3).map(|_| worker()).collect();
        Self { world, storage, workers, tasks: Vec::new(), claims: Vec::new(), jobs_enqueued: 0 }
    }

    fn new_job(&mut self) -> ExpectedJob {
        self.jobs_enqueued += 1;
        let now = self.world.now();
        ExpectedJob {
            number: self.jobs_enqueued,
            run_at: now,
            holder: None,
            lease_until: now,
            claims: 0,
            tries: 0,
        }
    }

    /// The index of the claim that an event is about.
    fn claim_at(&self, back: usize) -> Option<usize> {
        self.claims.len().checked_sub(1).map(|last| last - back % self.claims.len().min(5))
    }

    /// The task that a claim is of, if the claim still holds.
    fn held_by(&mut self, claim: usize) -> Option<&mut ExpectedTask> {
        let task = &mut self.tasks[self.claims[claim].1];
        task.job.as_ref().is_some_and(|job| job.holder == Some(claim)).then_some(task)
    }

    async fn apply(&mut self, event: Event) {
        match event {
            Event::Create { priority } => self.create(priority).await,
            Event::Claim { worker } => {
                self.claim(worker).await;
            }
            Event::Cancel { task } if !self.tasks.is_empty() => self.cancel(task % self.tasks.len()).await,
            Event::Retry { task } if !self.tasks.is_empty() => self.retry(task % self.tasks.len()).await,
            Event::Cancel { .. } | Event::Retry { .. } => {}
            Event::TimePasses { time } => self.world.clock.advance(time),
            Event::Reap => {
                let now = self.world.now();
                let reaped = self.world.store.reap_jobs().await.expect("reaped");
                assert_eq!(reaped, self.release_where(|job, _| job.lease_until < now));
            }
            Event::ReleaseWorker { worker } => {
                let worker = self.workers[worker].clone();
                let released = self.world.store.release_worker_claims(&worker).await.expect("released");
                assert_eq!(released, self.release_where(|_, claim| claim.worker == worker));
            }
            Event::Renew { claim }
            | Event::Advance { claim, .. }
            | Event::Finish { claim, .. }
            | Event::GiveBack { claim }
            | Event::TryAgain { claim, .. } => {
                if let Some(claim) = self.claim_at(claim) {
                    self.holder_writes(claim, event).await;
                }
            }
        }
    }

    async fn create(&mut self, priority: u32) {
        let mut task = self.world.task(&self.storage);
        task.spec.priority = Priority::new(priority).expect("a priority");
        self.world.store.create_task(&task).await.expect("created");
        let job = Some(self.new_job());
        let status = TaskStatus::Pending;
        self.tasks.push(ExpectedTask { id: task.id, priority, status, progress: 0, ends: 0, job });
    }

    /// Claims as this worker, and returns whether there was a job.
    async fn claim(&mut self, worker: usize) -> bool {
        let claimed = self.world.store.claim_job(&self.workers[worker], LEASE).await.expect("claimed");
        let now = self.world.now();
        loop {
            let ready = |task: &&mut ExpectedTask| {
                task.job.as_ref().is_some_and(|job| job.holder.is_none() && job.run_at <= now)
            };
            let order = |task: &&mut ExpectedTask| {
                (std::cmp::Reverse(task.priority), task.job.as_ref().map(|job| (job.run_at, job.number)))
            };
            let Some(next) = self.tasks.iter_mut().filter(ready).min_by_key(order) else {
                assert_eq!(claimed, None);
                return false;
            };
            let job = next.job.as_mut().expect("a ready job");
            job.claims += 1;
            if job.claims > MAX_CLAIMS {
                next.end(TaskStatus::Failed);
                continue;
            }
            let claim = claimed.expect("a job is ready");
            assert_eq!((&claim.task.id, claim.claims, claim.tries), (&next.id, job.claims, job.tries));
            (next.status, next.progress) = (TaskStatus::Downloading, 0);
            job.holder = Some(self.claims.len());
            job.lease_until = now + LEASE;
            let older = self.claims.iter().filter(|(old, _)| old.job_id == claim.job_id);
            assert!(older.into_iter().all(|(old, _)| old.fence < claim.fence), "the fence grows");
            let task = self.tasks.iter().position(|task| task.id == claim.task.id).expect("ours");
            self.claims.push((claim, task));
            return true;
        }
    }

    async fn holder_writes(&mut self, index: usize, event: Event) {
        let claim = self.claims[index].0.clone();
        let store = self.world.store.clone();
        let now = self.world.now();
        let result = match event {
            Event::Renew { .. } => store.renew_lease(&claim, LEASE).await,
            Event::Advance { stage, progress, .. } => {
                store.update_progress(&claim, stage, progress, "").await
            }
            Event::Finish { succeeds, .. } => {
                let end = if succeeds { succeeded() } else { failed() };
                store.finish_task(&claim, end).await.map(|_| ())
            }
            Event::GiveBack { .. } => store.give_back_job(&claim).await,
            Event::TryAgain { after, .. } => store.retry_job(&claim, after, "it failed").await,
            _ => unreachable!("only a claim's holder writes these"),
        };
        let Some(task) = self.held_by(index) else { return is_fenced(result) };
        result.expect("the holder may write");
        let job = task.job.as_mut().expect("it is held");
        match event {
            Event::Renew { .. } => job.lease_until = now + LEASE,
            Event::Advance { stage, progress, .. } => {
                task.status = stage.as_str().parse().expect("a stage is a status");
                task.progress = task.progress.max(progress);
            }
            Event::Finish { succeeds: true, .. } => task.end(TaskStatus::Succeeded),
            Event::Finish { .. } => task.end(TaskStatus::Failed),
            Event::GiveBack { .. } => {
                job.claims -= 1;
                task.wait();
            }
            Event::TryAgain { after, .. } => {
                job.claims -= 1;
                job.tries += 1;
                job.run_at = now + after;
                task.wait();
            }
            _ => unreachable!("only a claim's holder writes these"),
        }
    }

    async fn cancel(&mut self, index: usize) {
        let task = &mut self.tasks[index];
        let result = self.world.store.cancel_task(&self.world.tenant, &task.id).await;
        if task.job.is_none() {
            return is_wrong_state(result);
        }
        result.expect("cancelled");
        task.end(TaskStatus::Cancelled);
    }

    async fn retry(&mut self, index: usize) {
        let job = self.new_job();
        let task = &mut self.tasks[index];
        let result = self.world.store.retry_task(&self.world.tenant, &task.id).await;
        if task.job.is_some() {
            return is_wrong_state(result);
        }
        result.expect("retried");
        task.job = Some(job);
        (task.status, task.progress) = (TaskStatus::Pending, 0);
    }

    /// Releases the claimed jobs that this is true of, and returns how many.
    fn release_where(&mut self, is_lost: impl Fn(&ExpectedJob, &Claim) -> bool) -> u64 {
        let mut count = 0;
        for task in &mut self.tasks {
            let Some(job) = &task.job else { continue };
            if job.holder.is_some_and(|holder| is_lost(job, &self.claims[holder].0)) {
                task.wait();
                count += 1;
            }
        }
        count
    }

    /// Checks that the database agrees with the model.
    async fn check_agreement(&self) {
        let filter = TaskFilter::default();
        let page = self.world.store.list_tasks(&self.world.tenant, &filter, ALL).await.expect("listed");
        assert_eq!(page.tasks.len(), self.tasks.len());
        for expected in &self.tasks {
            let task = page.tasks.iter().find(|task| task.id == expected.id).expect("nothing is lost");
            assert_eq!(task.state.status(), expected.status, "{}", task.id);
            let progress = if expected.status == TaskStatus::Succeeded { 100 } else { expected.progress };
            assert_eq!(task.state.progress(), progress, "{}", task.id);
        }
        let held = |job: &&ExpectedJob| job.holder.is_some();
        let jobs = || self.tasks.iter().filter_map(|task| task.job.as_ref());
        let running = jobs().filter(held).count();
        let expected = QueueDepth {
            ready: (jobs().count() - running) as u64,
            running: running as u64,
            owed: self.tasks.iter().map(|task| task.ends as u64).sum(),
        };
        assert_eq!(self.world.store.queue_depth().await.expect("counted"), expected);
    }

    /// Checks that of all claims ever made exactly those hold that the model says do.
    async fn check_claims(&mut self) {
        for index in 0..self.claims.len() {
            let claim = self.claims[index].0.clone();
            match self.world.store.renew_lease(&claim, LEASE).await {
                Ok(()) => assert!(self.held_by(index).is_some(), "{claim:?} should be lost"),
                Err(StoreError::Fenced) => assert!(self.held_by(index).is_none(), "{claim:?} should hold"),
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// All workers die and another finishes what is left; then each end has owed one callback.
    async fn finish_all(&mut self) {
        self.world.clock.advance(Duration::from_secs(1000));
        self.apply(Event::Reap).await;
        while self.claim(0).await {
            let finish = Event::Finish { claim: 0, succeeds: true };
            self.holder_writes(self.claims.len() - 1, finish).await;
        }
        self.check_agreement().await;
        for task in &self.tasks {
            assert!(task.job.is_none() && task.ends > 0);
            let filter = CallbackFilter { task_id: Some(task.id.clone()), ..Default::default() };
            let callbacks = self.world.store.callbacks(&self.world.tenant, &filter, ALL).await;
            assert_eq!(callbacks.expect("listed").0, task.ends as u64, "{}", task.id);
        }
    }
}

impl ExpectedTask {
    fn wait(&mut self) {
        let job = self.job.as_mut().expect("an unfinished task has a job");
        job.holder = None;
        (self.status, self.progress) = (TaskStatus::Pending, 0);
    }

    fn end(&mut self, status: TaskStatus) {
        self.job = None;
        self.ends += 1;
        (self.status, self.progress) = (status, 0);
    }
}

fn check(kind: DatabaseKind, cases: u32) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let checked = TestRunner::new(config).run(&prop::collection::vec(event(), 1..60), |events| {
        runtime.block_on(async {
            let mut run = Run::new(kind).await;
            for event in events {
                run.apply(event).await;
                run.check_agreement().await;
            }
            run.check_claims().await;
            run.finish_all().await;
        });
        Ok(())
    });
    if let Err(failure) = checked {
        panic!("{failure}");
    }
}

#[test]
fn the_protocol_holds_on_sqlite() {
    check(DatabaseKind::Sqlite, 40);
}

#[test]
fn the_protocol_holds_on_postgres() {
    check(DatabaseKind::Postgres, 8);
}
