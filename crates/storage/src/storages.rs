//! Opens buckets: from a storage as the database keeps it to something that objects go into.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use model::{Storage, StorageType};

use crate::{
    backend::{Backend, FileBucket, OBJECT_FIELDS, RemoteBucket, require_unset},
    bucket::Bucket,
    error::StorageError,
    key,
    transport::{RetryBudget, TransportConfig, WaitReporter, WriteGuard},
};

/// The retry budget where somebody waits for the answer of an API call.
const INTERACTIVE_RETRY_BUDGET: RetryBudget =
    RetryBudget { total: Duration::from_secs(3), idle: Duration::from_secs(10) };

/// Every kind of storage the server can write to; cheap to clone.
#[derive(Clone)]
pub struct Storages {
    root: PathBuf,
    transport: TransportConfig,
}

impl Storages {
    /// `root` is the folder of the buckets of kind `file`, made when it is absent; `client` is the
    /// guarded way to every object store that is reached by network.
    pub fn new(root: PathBuf, client: net::Client) -> Self {
        let transport = TransportConfig {
            client,
            retry_budget: RetryBudget::default(),
            wait_reporter: None,
            write_guard: None,
        };
        Self { root, transport }
    }

    /// Sets how long object stores that are reached by network are waited for.
    #[must_use]
    pub fn with_retry_budget(mut self, retry_budget: RetryBudget) -> Self {
        self.transport.retry_budget = retry_budget;
        self
    }

    /// The same, reporting why an object store is waited for.
    #[must_use]
    pub fn with_wait_reporter(&self, reporter: WaitReporter) -> Self {
        let mut storages = self.clone();
        storages.transport.wait_reporter = Some(reporter);
        storages
    }

    /// The same, asking the guard before anything is changed.
    #[must_use]
    pub fn with_write_guard(&self, guard: WriteGuard) -> Self {
        let mut storages = self.clone();
        storages.transport.write_guard = Some(guard);
        storages
    }

    /// The same for an API call: with a retry budget of a few seconds.
    #[must_use]
    pub fn interactive(&self) -> Self {
        let RetryBudget { total, idle } = self.transport.retry_budget;
        self.clone().with_retry_budget(RetryBudget {
            total: total.min(INTERACTIVE_RETRY_BUDGET.total),
            idle: idle.min(INTERACTIVE_RETRY_BUDGET.idle),
        })
    }

    /// The bucket of a storage. Nothing is connected to yet; a `file` bucket's folder is made.
    ///
    /// # Errors
    /// 1001 when a field of it cannot be used, or its endpoint is forbidden; the text begins with
    /// the field. 1201 and 1202 when the folder of a `file` bucket cannot be made.
    pub fn open(&self, storage: &Storage) -> Result<Bucket, StorageError> {
        let backend = match storage.kind {
            StorageType::File => {
                require_unset(&storage.objects, OBJECT_FIELDS)?;
                Backend::File(self.open_folder(storage)?)
            }
            StorageType::S3
            | StorageType::Oss
            | StorageType::Cos
            | StorageType::Obs
            | StorageType::Gcs
            | StorageType::Azblob => Backend::Remote(RemoteBucket::open(storage, &self.transport)?),
        };
        Ok(Bucket::new(backend, storage.uri("")))
    }

    /// Whether two buckets of kind `file` are one folder, as the file system sees it: by device and inode.
    pub fn is_same_folder(&self, bucket: &str, other: &str) -> bool {
        let id = |bucket: &str| {
            let metadata = fs::metadata(self.root.join(bucket)).ok()?;
            Some((metadata.dev(), metadata.ino()))
        };
        matches!((id(bucket), id(other)), (Some(one), Some(two)) if one == two)
    }

    /// Where an object of a `file` storage lies on this machine, whether it is there or not;
    /// `None` for other kinds and for keys that lead out of the bucket.
    pub fn local_path(&self, storage: &Storage, key: &str) -> Option<PathBuf> {
        if storage.kind != StorageType::File || key::check(key).is_err() {
            return None;
        }
        self.open_folder(storage).ok()?.local_path(key).ok()
    }

    /// Removes what killed processes left unfinished in `file` buckets: every staged file that was not
    /// written to for `older_than`. Gives the number of files.
    ///
    /// # Errors
    /// When the folder of the buckets cannot be read.
    pub fn sweep_unfinished(&self, older_than: Duration) -> io::Result<usize> {
        let mut removed = 0;
        for bucket in entries(&self.root)? {
            for file in entries(&bucket.join(FileBucket::STAGING_FOLDER))? {
                let idle = fs::metadata(&file)?.modified()?.elapsed().unwrap_or_default();
                if idle >= older_than {
                    fs::remove_file(&file)?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }

    fn open_folder(&self, storage: &Storage) -> Result<FileBucket, StorageError> {
        FileBucket::open(&self.root, &storage.bucket, self.transport.write_guard.clone())
    }
}

/// The paths in a folder; none when it is no folder or not there.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}
