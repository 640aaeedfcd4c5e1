//! Publishes an output in its storage: segments as soon as they are finished, the rest when `verify` agreed,
//! and playlists and manifests after the files that they refer to.
//!
//! Segments are published early only where no earlier output would be harmed if the task failed; the draft
//! is known to the database before the first object of any output. Growing playlists are published early too, and
//! refer to published segments alone. A worker whose lease may have ended publishes and deletes nothing more: its
//! bucket asks the lease before each request. The main object is put when all that it refers to was seen there.

use std::{
    collections::HashMap,
    convert::Infallible,
    fs::File,
    io,
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, SystemTime},
};

use media::{NotPlain, OutputLayout, Plan, RunOutput, WorkFolder};
use model::{ErrorCode, Failure, FieldError, Stage, Storage};
use rand::RngExt as _;
use storage::{Bucket, ObjectVersion, StorageError};
use store::{DraftObjects, DraftReservation, StoreError};
use tokio::sync::mpsc::UnboundedReceiver;

use super::{
    fetch,
    objects::{ObjectKeys, OutputObject, OutputObjects},
};
use crate::{
    app::App,
    jobs::{
        context::{JobContext, JobError},
        drafts,
        lease::write_guard,
    },
};

/// How often it is asked whether the draft of an ended task is still being removed.
const DRAFT_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The least wait for the lease of such a removal to end.
const MIN_DRAFT_WAIT: Duration = Duration::from_millis(100);

/// From one try to write to the database that the main object follows to the next.
const STORE_RETRY_DELAY: Duration = Duration::from_secs(1);

/// An output on its way into its storage.
pub(super) struct Publisher<'a> {
    app: &'a App,
    job: &'a Arc<JobContext>,
    storage: Storage,
    bucket: Bucket,
    /// The draft's objects, once it is reserved.
    draft: Option<DraftObjects>,
    publishes_early: bool,
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
    fn of(file: &File) -> io::Result<Self> {
        let meta = file.metadata()?;
        Ok(Self { modified: meta.modified()?, bytes: meta.len() })
    }
}

impl<'a> Publisher<'a> {
    /// Looks whether segments may go out early, and gets ready for them.
    pub(super) async fn begin(app: &'a App, job: &'a Arc<JobContext>) -> Result<Self, JobError> {
        let (tenant, spec) = (&job.claim.task.tenant, &job.claim.task.spec);
        let storage = app.store.storage(tenant, &spec.storage_id).await.map_err(JobError::store)?;
        let bucket = open(app, job, &storage)?;
        let mut this = Self {
            app,
            job,
            storage,
            bucket,
            draft: None,
            publishes_early: false,
            published: HashMap::new(),
            growing_playlists: HashMap::new(),
        };
        if job.claim.task.spec.template.has_folder() {
            this.publishes_early = this.reserve_early().await?;
        }
        Ok(this)
    }

    /// Whether segments go out while others are still being made.
    pub(super) fn publishes_early(&self) -> bool {
        self.publishes_early
    }

    /// The keys of this try's objects.
    pub(super) fn keys(&self) -> ObjectKeys<'a> {
        let spec = &self.job.claim.task.spec;
        let folder = self.draft.as_ref().map(|draft| draft.folder.clone()).unwrap_or_default();
        ObjectKeys::new(&spec.output, spec.template.format, folder)
    }

    /// Makes the output a draft of this try's, unless an earlier output is there or may be.
    async fn reserve_early(&mut self) -> Result<bool, JobError> {
        let spec = &self.job.claim.task.spec;
        let main = spec.output.key();
        let earlier = match self.app.storages.interactive().open(&self.storage) {
            Ok(bucket) => bucket.version(main).await,
            Err(error) => Err(error),
        };
        let earlier = match earlier {
            Ok(earlier) => earlier,
            Err(error) => {
                tracing::info!(%error, "could not look for an earlier output");
                return Ok(false);
            }
        };
        let DraftReservation::Reserved(draft) = self.reserve(earlier.is_none()).await? else {
            return Ok(false);
        };
        let Some(earlier) = earlier else { return Ok(true) };
        let format = spec.template.format;
        let take_over = async {
            let is_its_own = drafts::is_main_of_draft(&self.bucket, main, format, &draft, &earlier).await?;
            if is_its_own {
                // of an earlier try: it refers to what that one has put
                self.bucket.delete(main).await?;
            }
            Ok(is_its_own)
        };
        self.job.unless_interrupted(async { take_over.await.map_err(JobError::storage) }).await
    }

    /// Reserves the draft for this try; where there is none, creates one if `create` says so.
    async fn reserve(&mut self, create: bool) -> Result<DraftReservation, JobError> {
        let own_folder = OutputLayout::try_folder(rand::rng().random());
        let reserving = Box::pin(self.app.store.reserve_draft(&self.job.claim, create, &own_folder));
        let reserved =
            self.job.unless_interrupted(async { reserving.await.map_err(JobError::store) }).await?;
        if let DraftReservation::Reserved(draft) = &reserved {
            self.draft = Some(draft.clone());
        }
        Ok(reserved)
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
            if !self.publishes_early() {
                continue;
            }
            // a run that begins again makes the folder anew, also while a file is being put, and reports each file
            // again
            let Ok(dir) = WorkFolder::open(&dir) else { continue };
            match dir.bytes_of(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                there => there.map_err(unreadable)?,
            };
            if !path.ends_with(".m3u8") {
                let key = self.keys().of(&path);
                match self.put(&key, &dir, &path, &|_| {}).await {
                    Err(JobError::Retry(_)) if !dir.has_file(&path) => {}
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
    async fn publish_growing(&mut self, plan: &Plan, dir: &WorkFolder, path: &str) -> Result<(), JobError> {
        let keys = self.keys();
        let (main, key) = (keys.main(), keys.of(path));
        if key != main {
            let is_published = |path: &str| self.published.contains_key(&keys.of(path));
            let text = media::growing_media_playlist(plan, dir, path, is_published).map_err(unreadable)?;
            if let Some(text) = text.filter(|text| self.growing_playlists.get(&key) != Some(text)) {
                self.put_text(key, text).await?;
            }
        }
        let has_growing_playlist =
            |name: &str| self.growing_playlists.contains_key(&keys.of(&OutputLayout::media_playlist(name)));
        if !self.growing_playlists.contains_key(main)
            && OutputLayout::stream_names(plan).all(has_growing_playlist)
        {
            let text = media::growing_main_playlist(plan, dir, &keys.folder_name()).map_err(unreadable)?;
            if let Some(text) = text {
                self.put_text(main.to_owned(), text).await?;
            }
        }
        Ok(())
    }

    /// Publishes every file that is not yet published as it is now, the main object last, and removes what an
    /// earlier output or try left beside it. Returns the bytes of all objects.
    pub(super) async fn finish(&mut self, output: &RunOutput) -> Result<u64, JobError> {
        self.wait_for_draft().await?;
        let keys = self.keys();
        let dir = &WorkFolder::open(&output.dir).map_err(unreadable)?;
        let objects = OutputObjects::collect(&keys, dir).map_err(unreadable)?;
        let (mut done, total) = (0, objects.bytes());
        for object in &objects.others {
            let file = dir.open_file(&object.file).map_err(unreadable)?;
            let version = FileVersion::of(&file).map_err(unreadable)?;
            if self.published.get(&object.key) != Some(&version) {
                self.put_object(object, dir, done, total).await?;
            }
            done += object.bytes;
        }
        let leftovers = self.put_missing(&keys, &objects, dir).await?;
        self.begin_main_object().await?;
        self.put_object(&objects.main, dir, done, total).await?;
        if let Err(error) = drafts::delete_all(&self.bucket, leftovers).await {
            tracing::warn!(%error, "could not remove every object of an earlier output or try");
        }
        Ok(total)
    }

    /// Reserves the draft, if that was not done early; waits until the draft of an ended task at the same place is
    /// removed.
    async fn wait_for_draft(&mut self) -> Result<(), JobError> {
        while self.draft.is_none() {
            let DraftReservation::BusyUntil(until) = self.reserve(true).await? else { continue };
            self.job.progress.set_waiting("what an ended task left there is being removed");
            // it may be sooner
            let left = until.since(self.app.store.queue_time()).clamp(MIN_DRAFT_WAIT, DRAFT_POLL_INTERVAL);
            tokio::select! {
                () = tokio::time::sleep(left) => self.job.progress.set_waiting(""),
                () = self.job.cancel.cancelled() => return Err(self.job.interrupted_or(JobError::Lost)),
            }
        }
        Ok(())
    }

    /// Looks whether every object but the main one is there, of its size, and puts again what is not. Gives the
    /// keys of objects there that are not of this output.
    async fn put_missing(
        &mut self,
        keys: &ObjectKeys<'_>,
        objects: &OutputObjects,
        dir: &WorkFolder,
    ) -> Result<Vec<String>, JobError> {
        if !self.job.claim.task.spec.template.has_folder() {
            return Ok(Vec::new());
        }
        let prefix = keys.prefix();
        let (mut missing, mut leftovers) = (objects.sizes(), Vec::new());
        let expected = objects.sizes();
        let mut note = |key: &str, bytes: u64| {
            match expected.get(key) {
                Some(size) if *size == bytes => drop(missing.remove(key)),
                Some(_) => {}
                None if key.strip_prefix(&prefix).and_then(OutputLayout::try_folder_of).is_some() => {
                    leftovers.push(key.to_owned());
                }
                // it has no name of ours: it is somebody else's
                None => {}
            }
            ControlFlow::Continue(())
        };
        let listing = async { Ok(self.bucket.visit(&prefix, &mut note).await) };
        match self.job.unless_interrupted(listing).await? {
            Ok(()) => {}
            // credentials that may write need not be allowed to list: then each object is asked for
            Err(error) if error.code == ErrorCode::OutputRefused => {
                tracing::info!(%error, "could not list the output's objects");
            }
            Err(error) => return Err(self.job.interrupted_or(JobError::storage(error))),
        }
        let missing: Vec<&OutputObject> =
            objects.others.iter().filter(|object| missing.contains_key(object.key.as_str())).collect();
        for object in missing {
            match self.bucket.size(&object.key).await {
                Ok(Some(bytes)) if bytes == object.bytes => {}
                Err(error) if error.code == ErrorCode::OutputRefused => {
                    tracing::info!(%error, "could not look whether the output's objects are there");
                    break;
                }
                Err(error) => return Err(self.job.interrupted_or(JobError::storage(error))),
                Ok(size) => {
                    tracing::warn!(
                        key = object.key,
                        ?size,
                        "an object is not as it was put; it is put again"
                    );
                    self.put(&object.key, dir, &object.file, &|_| {}).await?;
                }
            }
        }
        Ok(leftovers)
    }

    /// Lets the database know that the main object follows. Where it does not answer, the lease says for how long
    /// that is asked again: the work is done, and should not be done twice.
    async fn begin_main_object(&self) -> Result<(), JobError> {
        let main = self.job.claim.task.spec.output.key();
        let replaced = async {
            match self.bucket.version(main).await {
                // credentials that may write need not be allowed to look; where they may look at objects and not
                // list them, this is how S3 says that there is none
                Err(error) if error.code == ErrorCode::OutputRefused => Ok(None),
                version => version.map_err(JobError::storage),
            }
        };
        let replaced = self.job.unless_interrupted(replaced).await?;
        if let Some(replaced) = &replaced {
            self.job.unless_interrupted(self.check_input_is_kept(main, replaced)).await?;
        }
        let replaced = replaced.map(|version| version.text);
        loop {
            let begun = Box::pin(self.app.store.begin_main_object(&self.job.claim, replaced.clone()));
            match self.job.unless_interrupted(async { Ok(begun.await) }).await? {
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "could not write that the main object follows; trying again");
                    let pause = async {
                        tokio::time::sleep(STORE_RETRY_DELAY).await;
                        Ok(())
                    };
                    self.job.unless_interrupted(pause).await?;
                }
                begun => return begun.map_err(JobError::store),
            }
        }
    }

    /// Fails if the object that the main one would replace is the input, by whatever name that was fetched.
    async fn check_input_is_kept(&self, main: &str, replaced: &ObjectVersion) -> Result<(), JobError> {
        let file = fetch::input_file(&self.job.work);
        if self.bucket.has_content_of(main, replaced, &file).await.map_err(JobError::storage)? {
            let task = &self.job.claim.task;
            let input = task.spec.input.redacted();
            let problem = format!("`{}` would take the place of the input `{input}`", task.output_uri);
            let wrong = FieldError::new("output", problem).to_string();
            return Err(JobError::Final(Failure::new(ErrorCode::BadParam, wrong)));
        }
        Ok(())
    }

    /// Puts an object of which `total` bytes `done` are published, and reports the progress.
    async fn put_object(
        &mut self,
        object: &OutputObject,
        dir: &WorkFolder,
        done: u64,
        total: u64,
    ) -> Result<(), JobError> {
        let progress = Arc::clone(&self.job.progress);
        let on_bytes = |bytes: u64| {
            progress.set(Stage::Uploading, (done + bytes) as f64 / total.max(1) as f64);
        };
        self.put(&object.key, dir, &object.file, &on_bytes).await
    }

    async fn put(
        &mut self,
        key: &str,
        dir: &WorkFolder,
        path: &str,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), JobError> {
        let file = dir.open_file(path).map_err(unreadable)?;
        let version = FileVersion::of(&file).map_err(unreadable)?;
        self.write(Box::pin(self.bucket.put_file(key, file, progress))).await?;
        self.published.insert(key.to_owned(), version);
        Ok(())
    }

    async fn put_text(&mut self, key: String, text: String) -> Result<(), JobError> {
        self.write(Box::pin(self.bucket.put_bytes(&key, text.clone().into()))).await?;
        self.growing_playlists.insert(key, text);
        Ok(())
    }

    /// Writes to the bucket, unless the task is no longer this worker's.
    async fn write<T>(&self, writing: impl Future<Output = Result<T, StorageError>>) -> Result<T, JobError> {
        self.job.check_interrupted()?;
        self.job
            .unless_interrupted(async {
                match self.app.store.check_claim(&self.job.claim).await {
                    Err(StoreError::Fenced) => return Err(JobError::Lost),
                    // how long that may go on is for the lease to say
                    Err(error) => {
                        tracing::warn!(%error, "could not ask whether the task is still this worker's");
                    }
                    Ok(()) => {}
                }
                writing.await.map_err(JobError::storage)
            })
            .await
    }
}

/// What cannot be read of an output may be read at another try; what is no plain file is nothing that the media
/// tools leave behind by themselves.
fn unreadable(error: io::Error) -> JobError {
    if NotPlain::is_cause_of(&error) {
        let detail = format!("the media tools left what is no output: {error}");
        return JobError::Final(Failure::new(ErrorCode::EncodingFailed, detail));
    }
    JobError::internal("could not read the output", error)
}

/// A bucket that says in the task's progress when it has to be waited for, and that only the holder of the
/// task's lease changes.
pub(super) fn open(app: &App, job: &JobContext, storage: &Storage) -> Result<Bucket, JobError> {
    let progress = Arc::clone(&job.progress);
    app.storages
        .with_wait_reporter(Arc::new(move |why| progress.set_waiting(why)))
        .with_write_guard(write_guard(&job.lease))
        .open(storage)
        .map_err(JobError::storage)
}
