//! A bucket: objects go in, come out, are listed and deleted by key.

use std::path::Path;

use bytes::Bytes;

use crate::StorageError;

/// An open bucket of any kind. Keys are those of the whole bucket, the storage's prefix included.
#[derive(Clone)]
pub struct Bucket {}

impl Bucket {
    /// Puts a local file, streamed; `progress` is told the bytes sent so far. Gives its size in
    /// bytes. An object that was there is replaced in one step.
    ///
    /// # Errors
    /// 1201, 1202 and 1203 for the bucket; 1500 when the local file cannot be read.
    pub async fn put_file(
        &self,
        key: &str,
        path: &Path,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<u64, StorageError> {
        todo!()
    }

    /// Puts a small object that is in memory already.
    ///
    /// # Errors
    /// As `put_file`.
    pub async fn put_bytes(&self, key: &str, bytes: Bytes) -> Result<(), StorageError> {
        todo!()
    }

    /// A small object, whole.
    ///
    /// # Errors
    /// 1004 when there is no such object; 1201 and 1202.
    pub async fn read(&self, key: &str) -> Result<Bytes, StorageError> {
        todo!()
    }

    /// The keys of all objects that begin with `prefix`, sorted.
    ///
    /// # Errors
    /// 1201 and 1202.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        todo!()
    }

    /// The size of an object in bytes; `None` when there is no such object.
    ///
    /// # Errors
    /// 1201 and 1202.
    pub async fn size(&self, key: &str) -> Result<Option<u64>, StorageError> {
        todo!()
    }

    /// Deletes an object; nothing happens when there is none.
    ///
    /// # Errors
    /// 1201 and 1202.
    pub async fn delete(&self, key: &str) -> Result<(), StorageError> {
        todo!()
    }
}
