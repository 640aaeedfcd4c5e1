//! Publishes an output in its storage: segments as soon as they are finished, the rest when `verify` agreed,
//! and playlists and manifests after the files that they refer to.
//!
//! Segments are published early only where no earlier output would be harmed if the task failed; the draft
//! is known to the database before the first of them. Growing playlists are published early too, and refer
//! to published segments alone. A worker that lost its claim publishes nothing more.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use media::{OutputLayout, Plan, RunOutput};
use model::{Stage, Storage};
use storage::Bucket;
use store::{DraftReservation, StoreError};
use tokio::sync::mpsc::UnboundedReceiver;

use super::objects::{OutputObjects, key_of};
use crate::{
    app::App,
    jobs::context::{JobContext, JobError},
};

/// How often it is asked whether the draft of an ended task is still being removed.
const DRAFT_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The least wait for the lease of such a removal to end.
const MIN_DRAFT_WAIT: Duration = Duration::from_millis(100);

/// An output on its way into its storage.
pub(super) struct Publisher<'a> {
    app: &'a App,
    job: &'a JobContext,
    storage: Storage,
    bucket: Bucket,
    reserved: DraftReservation,
    /// What was published, by its key: the version of its file then.
    published: HashMap<String, FileVersion>,
    /// The texts of growing playlists that were published, by their keys.
    growing_playlists: HashMap<String, String>,
}

/// Tells whether a file was written to since it was published.
#[derive(PartialEq, Eq)]
struct FileVersion {
    modified: SystemTime,
    bytes: u64,
}

impl FileVersion {
    fn of(file: &Path) -> io::Result<Self> {
        let meta = std::fs::metadata(file)?;
        Ok(Self { modified: meta.modified()?, bytes: meta.len() })
    }
}

impl<'a> Publisher<'a> {
    /// Looks whether segments may go out early, and gets ready for them.
    pub(super) async fn begin(app: &'a App, job: &'a JobContext) -> Result<Self, JobError> {
        let (tenant, spec) = (&job.claim.task.tenant, &job.claim.task.spec);
        let storage = app.store.storage(tenant, &spec.storage_id).await.map_err(JobError::store)?;
        let bucket = open(app, job, &storage)?;
        let mut this = Self {
            app,
            job,
            storage,
            bucket,
            reserved: DraftReservation::NoDraft,
            published: HashMap::new(),
            growing_playlists: HashMap::new(),
        };
        this.reserve().await?;
        Ok(this)
    }

    /// Whether segments go out while others are still being made.
    pub(super) fn publishes_early(&self) -> bool {
        self.reserved == DraftReservation::Reserved
    }

    /// Makes the output a draft of this task's, unless an earlier output is there or may be.
    async fn reserve(&mut self) -> Result<(), JobError> {
        if !self.job.claim.task.spec.template.has_folder() {
            return Ok(());
        }
        let main = self.job.claim.task.spec.output.key();
        let earlier_size = match self.app.storages.interactive().open(&self.storage) {
            Ok(bucket) => bucket.size(main).await,
            Err(error) => Err(error),
        };
        let (has_main_object, may_begin_draft) = match earlier_size {
            Ok(size) => (size.is_some(), size.is_none()),
            Err(error) => {
                tracing::info!(%error, "could not look for an earlier output");
                // one that is there must not be taken for a draft
                (true, false)
            }
        };
        self.reserved =
            self.app.store.reserve_draft(&self.job.claim, may_begin_draft).await.map_err(JobError::store)?;
        if has_main_object && self.publishes_early() {
            // of an earlier try of this task: it refers to segments that are now written anew
            self.bucket.delete(main).await.map_err(JobError::storage)?;
        }
        Ok(())
    }

    /// Publishes each file that is reported as finished, by its path below the output's folder, and says when the
    /// growing playlists with the first segments are published. It has no end of its own.
    pub(super) async fn follow(
        &mut self,
        plan: &Plan,
        mut finished: UnboundedReceiver<String>,
        on_playlists_published: impl Fn(),
    ) -> Result<Infallible, JobError> {
        let dir = OutputLayout::dir(&self.job.work);
        while let Some(path) = finished.recv().await {
            let file = dir.join(&path);
            // a run that begins again empties the folder, also while a file is being put, and reports each file anew
            if !self.publishes_early() || !file.exists() {
                continue;
            }
            if !path.ends_with(".m3u8") {
                let key = self.key(&path);
                match self.put(&key, &file, &|_| {}).await {
                    Err(JobError::Retry(_)) if !file.exists() => {}
                    put => put?,
                }
            } else if plan.is_growing {
                self.publish_growing(plan, &dir, &path).await?;
                if self.growing_playlists.contains_key(self.job.claim.task.spec.output.key()) {
                    on_playlists_published();
                }
            }
        }
        std::future::pending().await
    }

    /// Publishes how far a playlist has grown; the main playlist once, when every media playlist that it refers to
    /// is published.
    async fn publish_growing(&mut self, plan: &Plan, dir: &Path, path: &str) -> Result<(), JobError> {
        let unreadable = |error| JobError::internal("could not read a playlist", error);
        let (main, key) = (self.job.claim.task.spec.output.key(), self.key(path));
        if key != main {
            let is_published = |path: &str| self.published.contains_key(&self.key(path));
            let text = media::growing_media_playlist(plan, dir, path, is_published).map_err(unreadable)?;
            if let Some(text) = text.filter(|text| self.growing_playlists.get(&key) != Some(text)) {
                self.put_text(key, text).await?;
            }
        }
        let has_growing_playlist =
            |name: &str| self.growing_playlists.contains_key(&self.key(&OutputLayout::media_playlist(name)));
        if !self.growing_playlists.contains_key(main)
            && OutputLayout::stream_names(plan).all(has_growing_playlist)
        {
            let folder = self.job.claim.task.spec.output.folder_name(plan.format);
            if let Some(text) = media::growing_main_playlist(plan, dir, &folder).map_err(unreadable)? {
                self.put_text(main.to_owned(), text).await?;
            }
        }
        Ok(())
    }

    /// Publishes every file that is not yet published as it is now, the main object last, and removes what an
    /// earlier output left beside it. Returns the bytes of all objects.
    pub(super) async fn finish(mut self, output: &RunOutput) -> Result<u64, JobError> {
        self.wait_for_removal().await?;
        let spec = &self.job.claim.task.spec;
        let unreadable = |error| JobError::internal("could not read the output", error);
        let files =
            OutputObjects::collect(&spec.output, spec.template.format, &output.dir).map_err(unreadable)?;
        let (mut done, progress) = (0, &self.job.progress);
        for (key, path) in files.objects() {
            let version = FileVersion::of(path).map_err(unreadable)?;
            if self.published.get(key) != Some(&version) {
                let on_bytes = |bytes: u64| {
                    progress.set(Stage::Uploading, (done + bytes) as f64 / files.bytes.max(1) as f64);
                };
                self.put(key, path, &on_bytes).await?;
            }
            done += version.bytes;
        }
        self.remove_leftovers(&files).await;
        Ok(done)
    }

    /// Waits until the draft of an ended task at the same place is removed.
    async fn wait_for_removal(&mut self) -> Result<(), JobError> {
        while !self.publishes_early() {
            self.reserve().await?;
            let DraftReservation::BusyUntil(until) = self.reserved else { break };
            self.job.progress.set_waiting("what an ended task left there is being removed");
            // it may be sooner
            let left = until.since(self.app.clock.now()).clamp(MIN_DRAFT_WAIT, DRAFT_POLL_INTERVAL);
            tokio::select! {
                () = tokio::time::sleep(left) => self.job.progress.set_waiting(""),
                () = self.job.cancel.cancelled() => return Err(self.job.interrupted_or(JobError::Lost)),
            }
        }
        Ok(())
    }

    async fn put(&mut self, key: &str, file: &Path, progress: &(dyn Fn(u64) + Sync)) -> Result<(), JobError> {
        self.check_claim().await?;
        let version =
            FileVersion::of(file).map_err(|error| JobError::internal("could not read the output", error))?;
        tokio::select! {
            put = self.bucket.put_file(key, file, progress) => put.map_err(JobError::storage)?,
            () = self.job.cancel.cancelled() => return Err(self.job.interrupted_or(JobError::Lost)),
        };
        self.published.insert(key.to_owned(), version);
        Ok(())
    }

    async fn put_text(&mut self, key: String, text: String) -> Result<(), JobError> {
        self.check_claim().await?;
        tokio::select! {
            put = self.bucket.put_bytes(&key, text.clone().into()) => put.map_err(JobError::storage)?,
            () = self.job.cancel.cancelled() => return Err(self.job.interrupted_or(JobError::Lost)),
        };
        self.growing_playlists.insert(key, text);
        Ok(())
    }

    /// Ends the job here when the task is no longer its own: by then another may put the same objects.
    async fn check_claim(&self) -> Result<(), JobError> {
        self.job.check_interrupted()?;
        match self.app.store.check_claim(&self.job.claim).await {
            Err(StoreError::Fenced) => Err(JobError::Lost),
            // how long that may go on is for the lease to say
            Err(error) => {
                tracing::warn!(%error, "could not ask whether the task is still this worker's");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    async fn remove_leftovers(&self, files: &OutputObjects) {
        let spec = &self.job.claim.task.spec;
        let folder = format!("{}/", spec.output.folder(spec.template.format));
        for key in self.bucket.list(&folder).await.unwrap_or_default() {
            if !files.has(&key)
                && let Err(error) = self.bucket.delete(&key).await
            {
                tracing::warn!(%error, key, "could not remove an object of an earlier output");
            }
        }
    }

    fn key(&self, path: &str) -> String {
        let spec = &self.job.claim.task.spec;
        key_of(&spec.output, spec.template.format, path)
    }
}

/// A bucket that says in the task's progress when it has to be waited for.
pub(super) fn open(app: &App, job: &JobContext, storage: &Storage) -> Result<Bucket, JobError> {
    let progress = Arc::clone(&job.progress);
    app.storages
        .with_wait_reporter(Arc::new(move |why| progress.set_waiting(why)))
        .open(storage)
        .map_err(JobError::storage)
}
