//! Fetches what a task reads into its work folder.
//!
//! Where a player waits for the first segments, the input is probed and run while the rest of it still
//! arrives (docs/decisions/0016). What a run reads is one version of the input to its end, or the fetch
//! fails.

use std::{
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::FutureExt as _;
use media::{GrowingInput, InputFeed, Media, MediaInput, Source};
use model::{ErrorCode, Failure, Input, InputLocation, Stage};
use storage::fetch::{FetchLimits, fetch_object, fetch_url};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::{media_failed, publish, upload};
use crate::{
    app::App,
    input_storage,
    jobs::context::{JobContext, JobError},
};

/// Bytes that are fetched ahead of what is read, as long as the first segments are waited for: more would
/// take the processor from what makes them.
const PREFETCH_BYTES: u64 = 32 << 20;
/// How long a fetch is held back at most: servers give up a client that does not read for a minute.
const MAX_HOLD: Duration = Duration::from_secs(20);

/// The fetch of a task's input, which goes on beside whoever reads it. Dropping it ends it.
pub(super) struct InputFetch {
    fetch: Arc<Fetch>,
    growing: GrowingInput,
    _task: AbortOnDropHandle<()>,
}

/// Where a fetch stands.
#[derive(Clone, Debug)]
enum FetchState {
    /// Bytes arrive, and no run reads them.
    Receiving,
    /// The connection broke, and the server sent the input from its start again: what was read of it
    /// before may be another version's.
    Restarted,
    /// A run reads it while the rest arrives.
    Growing,
    /// All of it is there.
    Complete,
    /// It will not be there.
    Failed(JobError),
}

impl FetchState {
    fn failure(&self) -> Option<&JobError> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Receiving | Self::Restarted | Self::Growing | Self::Complete => None,
        }
    }
}

impl InputFetch {
    /// Begins to fetch the input of `job` into its work folder.
    pub(super) fn start(app: &Arc<App>, job: &Arc<JobContext>) -> Self {
        let path = input_file(&job.work);
        let (feed, growing) = media::growing_input(&path);
        let fetch = Arc::new(Fetch {
            app: Arc::clone(app),
            job: Arc::clone(job),
            path,
            feed,
            bytes_received: watch::Sender::new(0),
            state: watch::Sender::new(FetchState::Receiving),
            is_held_back: watch::Sender::new(true),
        });
        let task = tokio::spawn(Arc::clone(&fetch).run().in_current_span());
        Self { fetch, growing, _task: AbortOnDropHandle::new(task) }
    }

    /// Says what the input is: by its index while the rest still arrives where a player waits and that is
    /// enough, else by the complete file.
    pub(super) async fn probe(&self, media: &Media) -> Result<Source, JobError> {
        if self.is_read_early()
            && let Some(source) = self.probe_while_it_grows(media).await?
        {
            return Ok(source);
        }
        self.complete().await?;
        let job = &self.fetch.job;
        let source = media.probe(&self.fetch.path, &job.cancel).await;
        source.map_err(|error| media_failed(job, error))
    }

    /// Whether a player waits for the first segments; on a first try alone: after a failure an input is
    /// given all the time that it takes to arrive.
    fn is_read_early(&self) -> bool {
        let claim = &self.fetch.job.claim;
        let options = &claim.task.spec.extra_options;
        let is_from_start = options.start.unwrap_or(0.0) <= 0.0;
        options.early_playlist == Some(true) && is_from_start && (claim.tries, claim.claims) == (0, 1)
    }

    /// None where only the complete file tells, which is then fetched as fast as it can be.
    async fn probe_while_it_grows(&self, media: &Media) -> Result<Option<Source>, JobError> {
        let job = &self.fetch.job;
        let probed = tokio::select! {
            biased;
            completed = self.complete() => return completed.map(|()| None),
            probed = media.probe_growing(&self.growing, &job.cancel) => probed,
        };
        match probed {
            Ok(Some(source)) if self.begin_growing() => return Ok(Some(source)),
            // what was probed may have been a mixture of two versions
            Err(error) if !matches!(*self.fetch.state.borrow(), FetchState::Restarted) => {
                return Err(media_failed(job, error));
            }
            _ => {}
        }
        self.fetch_freely();
        Ok(None)
    }

    /// Receiving → Growing. False in every other state.
    fn begin_growing(&self) -> bool {
        self.fetch.state.send_if_modified(|state| {
            let is_receiving = matches!(state, FetchState::Receiving);
            if is_receiving {
                *state = FetchState::Growing;
            }
            is_receiving
        })
    }

    /// What a run reads now.
    pub(super) fn reader(&self) -> MediaInput<'_> {
        match *self.fetch.state.borrow() {
            FetchState::Growing => MediaInput::Growing(&self.growing),
            _ => MediaInput::File(&self.fetch.path),
        }
    }

    /// Lets the input arrive as fast as it can: the first segments are there, or nobody waits for them.
    pub(super) fn fetch_freely(&self) {
        self.fetch.is_held_back.send_replace(false);
    }

    /// Waits until all of it is there.
    pub(super) async fn complete(&self) -> Result<(), JobError> {
        tokio::select! {
            error = self.failure() => Err(error),
            () = self.fetch.reaches(|state| matches!(state, FetchState::Complete)) => Ok(()),
        }
    }

    /// Waits until it fails, which may be for ever.
    pub(super) async fn failure(&self) -> JobError {
        self.fetch.failure().await
    }
}

/// What the fetch itself works with.
struct Fetch {
    app: Arc<App>,
    job: Arc<JobContext>,
    path: PathBuf,
    feed: InputFeed,
    bytes_received: watch::Sender<u64>,
    state: watch::Sender<FetchState>,
    is_held_back: watch::Sender<bool>,
}

impl Fetch {
    async fn run(self: Arc<Self>) {
        let fetched = AssertUnwindSafe(self.fetch()).catch_unwind().await;
        let ended = match fetched {
            Ok(Ok(())) => FetchState::Complete,
            Ok(Err(error)) => FetchState::Failed(error),
            Err(_) => FetchState::Failed(JobError::internal("could not fetch the input", "it panicked")),
        };
        self.state.send_if_modified(|state| {
            let is_first_failure = state.failure().is_none();
            if is_first_failure {
                *state = ended;
            }
            is_first_failure
        });
    }

    async fn fetch(&self) -> Result<(), JobError> {
        self.job.progress.set(Stage::Downloading, 0.0);
        tokio::fs::create_dir_all(&self.job.work)
            .await
            .map_err(|error| JobError::internal("could not make a work folder", error))?;
        let (input, limits) = (&self.job.claim.task.spec.input, self.app.settings.media.fetch_limits());
        let progress = |bytes, total| self.receive(bytes, total);
        let mut fetching =
            std::pin::pin!(fetch_from(&self.app, &self.job, input, &self.path, &limits, &progress));
        let limit = self.app.settings.media.input_deadline;
        let mut deadline = std::pin::pin!(sleep(limit));
        let mut hold_until = None;
        loop {
            tokio::select! {
                biased;
                () = self.job.cancel.cancelled() => return Err(self.job.interrupted_or(JobError::Lost)),
                error = self.failure() => return Err(error),
                () = &mut deadline => return Err(late(&self.job, limit)),
                fetched = &mut fetching => return fetched,
                () = self.far_ahead(&mut hold_until) => {}
            }
            // meanwhile the fetch is not polled: what is not read, the server does not send
            tokio::select! {
                () = self.job.cancel.cancelled() => return Err(self.job.interrupted_or(JobError::Lost)),
                () = self.may_go_on(hold_until) => {}
            }
        }
    }

    /// Takes note of what can be read now, and of a server that began anew.
    fn receive(&self, bytes: u64, total: Option<u64>) {
        if self.bytes_received.send_replace(bytes) > bytes {
            self.state.send_if_modified(|state| {
                let restarted = match state {
                    FetchState::Receiving => FetchState::Restarted,
                    FetchState::Growing => FetchState::Failed(self.version_lost()),
                    FetchState::Restarted | FetchState::Complete | FetchState::Failed(_) => return false,
                };
                *state = restarted;
                true
            });
        }
        self.feed.received(bytes, total);
        if let Some(total) = total.filter(|total| *total > 0)
            && !matches!(*self.state.borrow(), FetchState::Growing)
        {
            self.job.progress.set(Stage::Downloading, bytes as f64 / total as f64);
        }
    }

    /// A run has read the start of one version, and the rest may be another's.
    fn version_lost(&self) -> JobError {
        let input = self.job.claim.task.spec.input.redacted();
        let detail = format!("{input}: the connection broke, and the server could not go on from there");
        JobError::Retry(Failure::new(ErrorCode::InputUnreachable, detail))
    }

    async fn failure(&self) -> JobError {
        self.reaches(|state| state.failure().is_some()).await;
        self.state.borrow().failure().cloned().expect("a failure is the last state")
    }

    async fn reaches(&self, is_it: impl FnMut(&FetchState) -> bool) {
        let mut state = self.state.subscribe();
        state.wait_for(is_it).await.expect("the sender lives as long as this");
    }

    /// Waits until more is there than the first segments take, while these are waited for. From the first
    /// byte on that is read, `hold_until` is when the fetch goes on in any case.
    async fn far_ahead(&self, hold_until: &mut Option<Instant>) {
        let (mut bytes_received, read_position) =
            (self.bytes_received.subscribe(), self.feed.read_position());
        let is_far_ahead = |bytes: &u64| {
            let read = *read_position.borrow();
            if read == 0 || !*self.is_held_back.borrow() {
                return false;
            }
            let until = *hold_until.get_or_insert_with(|| Instant::now() + MAX_HOLD);
            *bytes > read + PREFETCH_BYTES && Instant::now() < until
        };
        let _ = bytes_received.wait_for(is_far_ahead).await;
    }

    /// Waits until a fetch that is held back may go on.
    async fn may_go_on(&self, hold_until: Option<Instant>) {
        let bytes = *self.bytes_received.borrow();
        let (mut read_position, mut is_held_back) =
            (self.feed.read_position(), self.is_held_back.subscribe());
        tokio::select! {
            _ = read_position.wait_for(|read| bytes <= read + PREFETCH_BYTES) => {}
            _ = is_held_back.wait_for(|is_held_back| !is_held_back) => {}
            () = sleep_until(hold_until.unwrap_or_else(Instant::now)) => {}
        }
    }
}

/// An input that is not there, or not probed, when its time is over. It is not tried again: it would hold a
/// slot for as long once more.
pub(super) fn late(job: &JobContext, limit: Duration) -> JobError {
    let input = job.claim.task.spec.input.redacted();
    let detail =
        format!("{input}: not fetched and probed within {} s, the longest it may take", limit.as_secs());
    JobError::Final(Failure::new(ErrorCode::InputUnreachable, detail))
}

/// Where a task's input lies in its work folder.
pub(super) fn input_file(work: &Path) -> PathBuf {
    work.join("input")
}

/// Fetches the image that is laid over the task's video.
pub(super) async fn fetch_logo(app: &App, job: &JobContext, logo: &Input) -> Result<PathBuf, JobError> {
    let file = media::logo_file(&job.work);
    let limits = FetchLimits { max_bytes: media::MAX_LOGO_BYTES, ..app.settings.media.fetch_limits() };
    tokio::select! {
        fetched = fetch_from(app, job, logo, &file, &limits, &|_, _| {}) => fetched?,
        () = job.cancel.cancelled() => return Err(job.interrupted_or(JobError::Lost)),
    }
    Ok(file)
}

/// Fetches what a task reads from where it is: the web, or a storage of the customer's.
async fn fetch_from(
    app: &App,
    job: &JobContext,
    from: &Input,
    to: &Path,
    limits: &FetchLimits,
    progress: &(dyn Fn(u64, Option<u64>) + Sync),
) -> Result<(), JobError> {
    let task = &job.claim.task;
    match from.location() {
        InputLocation::Url(url) => {
            fetch_url(&app.net, url, to, limits, progress).await.map_err(JobError::storage)?;
        }
        InputLocation::Upload(id) => {
            upload::fetch(app, &task.tenant, id, to, limits, progress).await?;
        }
        InputLocation::Object { kind, bucket, key } => {
            let own =
                app.store.storage(&task.tenant, &task.spec.storage_id).await.map_err(JobError::store)?;
            let storage =
                input_storage::find(&app.store, &own, *kind, bucket).await.map_err(JobError::store)?;
            let storage = storage.ok_or_else(|| {
                let detail = format!("{from}: no storage is this bucket any more");
                JobError::Final(Failure::new(ErrorCode::InputUnreachable, detail))
            })?;
            let bucket = publish::open(app, job, &storage)?;
            fetch_object(&bucket, key, to, limits, progress).await.map_err(JobError::storage)?;
        }
    }
    Ok(())
}
