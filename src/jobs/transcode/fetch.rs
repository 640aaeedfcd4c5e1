//! Fetches what a task reads: all of it before it is looked at; or, where a player waits for the first
//! segments, beside the run that reads it.

use std::{
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use media::{Arrival, Arriving};
use model::{ErrorCode, Failure, Input, InputPlace, Stage};
use storage::fetch::{FetchLimits, fetch_object, fetch_url};

use super::{publish, upload};
use crate::{
    app::App,
    input_storage,
    jobs::context::{JobContext, JobError},
};

/// How often it is looked whether a fetch may go on.
const LOOK: Duration = Duration::from_millis(10);
/// Bytes that are fetched ahead of what is read, as long as the first segments are waited for: more would
/// take the processor from what makes them.
const AHEAD: u64 = 32 << 20;
/// Servers give up who does not read for a minute.
const LONGEST_REST: Duration = Duration::from_secs(20);

/// The input of a task, on its way into the work folder.
pub(super) struct InputFetch<'a> {
    app: &'a App,
    job: &'a JobContext,
    path: PathBuf,
    arrival: Arrival,
    came: AtomicU64,
    /// The server could not go on where the connection broke, and sent it from its start.
    began_again: AtomicBool,
    /// A run reads it.
    is_run: AtomicBool,
    /// When it was first read, as far as is known.
    read_since: OnceLock<Instant>,
    /// The first segments are waited for.
    is_awaited: AtomicBool,
}

impl<'a> InputFetch<'a> {
    pub(super) fn new(app: &'a App, job: &'a JobContext) -> (Self, Arriving) {
        let path = job.work.join("input");
        let (arrival, arriving) = media::arriving(&path);
        let this = Self {
            app,
            job,
            path,
            arrival,
            came: AtomicU64::new(0),
            began_again: AtomicBool::new(false),
            is_run: AtomicBool::new(false),
            read_since: OnceLock::new(),
            is_awaited: AtomicBool::new(true),
        };
        (this, arriving)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is to be read before all of it is there: where a player waits for it, and once. What has
    /// failed before is given all the time it takes.
    pub(super) fn is_urgent(&self) -> bool {
        let claim = &self.job.claim;
        let options = &claim.task.spec.extra_options;
        let from_start = options.start.unwrap_or(0.0) <= 0.0;
        options.early_playlist == Some(true) && from_start && (claim.tries, claim.claims) == (0, 1)
    }

    /// Whether it came from its start again, so that what was read of it may be another version's.
    pub(super) fn began_again(&self) -> bool {
        self.began_again.load(Ordering::SeqCst)
    }

    /// Says that a run reads it from now on; false where it cannot.
    pub(super) fn run(&self) -> bool {
        let can = !self.began_again();
        self.is_run.store(can, Ordering::SeqCst);
        can
    }

    /// Lets it come as fast as it can: the first segments are there, or nobody waits for them.
    pub(super) fn go_on(&self) {
        self.is_awaited.store(false, Ordering::Relaxed);
    }

    /// Fetches all of it.
    pub(super) async fn fetch(&self) -> Result<(), JobError> {
        self.job.progress.set(Stage::Downloading, 0.0);
        tokio::fs::create_dir_all(&self.job.work)
            .await
            .map_err(|error| JobError::internal("could not make a work folder", error))?;
        let (input, limits) = (&self.job.claim.task.spec.input, self.app.settings.media.fetch_limits());
        let progress = |so_far, whole| self.came(so_far, whole);
        let mut fetching =
            std::pin::pin!(fetch_from(self.app, self.job, input, &self.path, &limits, &progress));
        loop {
            tokio::select! {
                biased;
                () = self.job.cancel.cancelled() => return Err(self.job.interrupted_or(JobError::Lost)),
                // what is not asked for is not sent
                fetched = &mut fetching, if !self.rests() => {
                    fetched?;
                    return self.is_one();
                }
                () = tokio::time::sleep(LOOK) => self.is_one()?,
            }
        }
    }

    /// Whether all that is read of it was sent in one go, so that it is one version's.
    fn is_one(&self) -> Result<(), JobError> {
        if !(self.began_again() && self.is_run.load(Ordering::SeqCst)) {
            return Ok(());
        }
        let input = self.job.claim.task.spec.input.redacted();
        let detail = format!("{input}: the connection broke, and the server could not go on from there");
        Err(JobError::Retry(Failure::new(ErrorCode::InputUnreachable, detail)))
    }

    fn came(&self, so_far: u64, whole: Option<u64>) {
        if self.came.swap(so_far, Ordering::Relaxed) > so_far {
            self.began_again.store(true, Ordering::SeqCst);
        }
        let Some(whole) = whole.filter(|whole| *whole > 0) else { return };
        self.arrival.has(whole);
        if !self.is_run.load(Ordering::Relaxed) {
            self.job.progress.set(Stage::Downloading, so_far as f64 / whole as f64);
        }
    }

    /// Whether enough has come for the first segments, which are not there yet.
    fn rests(&self) -> bool {
        let read = self.arrival.read_up_to();
        if read == 0 || !self.is_awaited.load(Ordering::Relaxed) {
            return false;
        }
        let since = self.read_since.get_or_init(Instant::now);
        self.came.load(Ordering::Relaxed) > read + AHEAD && since.elapsed() < LONGEST_REST
    }
}

/// Fetches the picture that is laid over the task's.
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
    match from.place() {
        InputPlace::Web(url) => {
            fetch_url(&app.net, url, to, limits, progress).await.map_err(JobError::storage)?;
        }
        InputPlace::Upload(id) => {
            upload::fetch(app, &task.tenant, id, to, limits.max_bytes).await?;
        }
        InputPlace::Object { kind, bucket, key } => {
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
