//! Opens buckets: from a storage as the database keeps it to something that objects go into.

use std::path::PathBuf;

use model::Storage;

use crate::{StorageError, bucket::Bucket};

/// Every kind of storage the server can write to.
#[derive(Clone)]
pub struct Storages {
    root: PathBuf,
    #[expect(dead_code, reason = "the remote kinds of storage take it")]
    client: net::Client,
}

impl Storages {
    /// `root` is the folder of the buckets of kind `file`, made when absent; `client` is the
    /// guarded way to every object store that is reached by network.
    pub fn new(root: PathBuf, client: net::Client) -> Self {
        Self { root, client }
    }

    /// The bucket of a storage.
    ///
    /// # Errors
    /// 1001 when its kind is not supported or the bucket's name cannot be one; 1201 and 1202 when
    /// the folder of a `file` bucket cannot be made.
    pub fn open(&self, storage: &Storage) -> Result<Bucket, StorageError> {
        todo!()
    }

    /// Where an object of a `file` storage lies on this machine, whether it is there or not;
    /// `None` for other kinds and for keys that lead out of the bucket.
    pub fn local_path(&self, storage: &Storage, key: &str) -> Option<PathBuf> {
        todo!()
    }
}
