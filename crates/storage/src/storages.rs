//! Opens buckets: from a storage as the database keeps it to something that objects go into.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use model::{Storage, StorageType};

use crate::{
    Patience, StorageError, Tell,
    backend::{Backend, File, OBJECT_FIELDS, Remote, refuse},
    bucket::Bucket,
    key,
    transport::Way,
};

/// Every kind of storage the server can write to; cheap to clone.
#[derive(Clone)]
pub struct Storages {
    root: PathBuf,
    way: Way,
}

impl Storages {
    /// `root` is the folder of the buckets of kind `file`, made when it is absent; `client` is the
    /// guarded way to every object store that is reached by network.
    pub fn new(root: PathBuf, client: net::Client) -> Self {
        Self { root, way: Way { client, patience: Patience::default(), tell: None } }
    }

    /// How long stores that are reached by network are waited for.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.way.patience = patience;
        self
    }

    /// The same, telling why a store is waited for.
    #[must_use]
    pub fn telling(&self, tell: Tell) -> Self {
        Self { root: self.root.clone(), way: Way { tell: Some(tell), ..self.way.clone() } }
    }

    /// The same, for somebody who waits for the answer.
    #[must_use]
    pub fn impatient(&self) -> Self {
        let Patience { total, idle } = self.way.patience;
        self.clone().with_patience(Patience {
            total: total.min(Duration::from_secs(3)),
            idle: idle.min(Duration::from_secs(10)),
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
                refuse(&storage.objects, OBJECT_FIELDS)?;
                Backend::File(self.folder(storage)?)
            }
            StorageType::S3
            | StorageType::Oss
            | StorageType::Cos
            | StorageType::Obs
            | StorageType::Gcs
            | StorageType::Azblob => Backend::Remote(Remote::open(storage, &self.way)?),
        };
        Ok(Bucket::new(backend, storage.uri("")))
    }

    /// Where an object of a `file` storage lies on this machine, whether it is there or not;
    /// `None` for other kinds and for keys that lead out of the bucket.
    pub fn local_path(&self, storage: &Storage, key: &str) -> Option<PathBuf> {
        if storage.kind != StorageType::File || key::check(key).is_err() {
            return None;
        }
        self.folder(storage).ok()?.object(key).ok()
    }

    /// Removes what killed processes left unfinished in `file` buckets: everything that was not
    /// written to for `older_than`. Gives the number of files.
    ///
    /// # Errors
    /// When the folder of the buckets cannot be read.
    pub fn sweep_unfinished(&self, older_than: Duration) -> io::Result<usize> {
        let mut removed = 0;
        for bucket in entries(&self.root)? {
            for file in entries(&bucket.join(File::WRITING))? {
                let idle = fs::metadata(&file)?.modified()?.elapsed().unwrap_or_default();
                if idle >= older_than {
                    fs::remove_file(&file)?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }

    fn folder(&self, storage: &Storage) -> Result<File, StorageError> {
        File::open(&self.root, &storage.bucket)
    }
}

/// What is in a folder; nothing when it is none.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}
