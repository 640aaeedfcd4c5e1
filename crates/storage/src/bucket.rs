//! A bucket: objects go in, come out, are listed and deleted by key.

use std::path::Path;

use bytes::{Bytes, BytesMut};
use model::ErrorCode;
use opendal::Writer;
use tokio::{fs, io::AsyncReadExt as _};

use crate::{
    StorageError,
    backend::{Backend, Place},
    key,
};

/// How much of a file is in memory at once, in bytes; twice that with what is being written.
const CHUNK: usize = 1 << 20;

/// An open bucket of any kind. Keys are those of the whole bucket, the storage's prefix included.
#[derive(Clone)]
pub struct Bucket {
    backend: Backend,
    /// `file://bucket/`, which a key makes a URI.
    base: String,
}

impl Bucket {
    pub(crate) fn new(backend: Backend, base: String) -> Self {
        Self { backend, base }
    }

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
        let unreadable = |error: std::io::Error| {
            StorageError::passing(ErrorCode::Internal, format!("cannot read {}: {error}", path.display()))
        };
        let mut file = fs::File::open(path).await.map_err(unreadable)?;
        let mut object = self.begin(key).await?;
        let mut sent = 0;
        loop {
            let mut chunk = BytesMut::with_capacity(CHUNK);
            while chunk.len() < CHUNK && file.read_buf(&mut chunk).await.map_err(unreadable)? > 0 {}
            if chunk.is_empty() {
                break;
            }
            sent += chunk.len() as u64;
            object.write(chunk.freeze()).await?;
            progress(sent);
        }
        object.end().await?;
        Ok(sent)
    }

    /// Puts a small object that is in memory already.
    ///
    /// # Errors
    /// As `put_file`.
    pub async fn put_bytes(&self, key: &str, bytes: Bytes) -> Result<(), StorageError> {
        let mut object = self.begin(key).await?;
        object.write(bytes).await?;
        object.end().await
    }

    /// A small object, whole.
    ///
    /// # Errors
    /// 1004 when there is no such object; 1201 and 1202.
    pub async fn read(&self, key: &str) -> Result<Bytes, StorageError> {
        let path = self.path(key).await?;
        let bytes = self.backend.operator().read(&path).await.map_err(|error| self.error(key, &error))?;
        Ok(bytes.to_bytes())
    }

    /// The keys of all objects that begin with `prefix`, sorted.
    ///
    /// # Errors
    /// 1201 and 1202.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        key::check_prefix(prefix).map_err(|problem| self.refused(prefix, &problem))?;
        let mut keys = self.backend.list(prefix).await?;
        keys.sort();
        Ok(keys)
    }

    /// The size of an object in bytes; `None` when there is no such object.
    ///
    /// # Errors
    /// 1201 and 1202.
    pub async fn size(&self, key: &str) -> Result<Option<u64>, StorageError> {
        let path = self.path(key).await?;
        match self.backend.operator().stat(&path).await {
            Ok(object) => Ok(object.is_file().then(|| object.content_length())),
            Err(error) => match self.error(key, &error) {
                error if error.is_missing() => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Deletes an object; nothing happens when there is none.
    ///
    /// # Errors
    /// 1201 and 1202.
    pub async fn delete(&self, key: &str) -> Result<(), StorageError> {
        let path = self.path(key).await?;
        self.backend.operator().delete(&path).await.map_err(|error| self.error(key, &error))
    }

    async fn begin(&self, key: &str) -> Result<Writing<'_>, StorageError> {
        key::check(key).map_err(|problem| self.refused(key, &problem))?;
        let place = self.backend.place(key).await?;
        let operator = self.backend.operator();
        let capability = operator.info().capability();
        let mut writer = operator.writer_with(place.path());
        if capability.write_with_content_type {
            writer = writer.content_type(key::content_type(key));
        }
        if let Some(cache) = key::cache_control(key).filter(|_| capability.write_with_cache_control) {
            writer = writer.cache_control(cache);
        }
        let writer = writer.await.map_err(|error| self.error(key, &error))?;
        Ok(Writing { bucket: self, key: key.to_owned(), writer, place })
    }

    async fn path(&self, key: &str) -> Result<String, StorageError> {
        key::check(key).map_err(|problem| self.refused(key, &problem))?;
        self.backend.path(key).await
    }

    fn refused(&self, key: &str, problem: &str) -> StorageError {
        StorageError::lasting(ErrorCode::OutputRefused, format!("{}{key}: {problem}", self.base))
    }

    fn error(&self, key: &str, error: &opendal::Error) -> StorageError {
        StorageError::of(&format!("{}{key}", self.base), error)
    }
}

/// An object that is being written; it is there when it has ended, and never was when this is
/// dropped before.
struct Writing<'a> {
    bucket: &'a Bucket,
    key: String,
    writer: Writer,
    place: Place,
}

impl Writing<'_> {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StorageError> {
        self.writer.write(bytes).await.map_err(|error| self.bucket.error(&self.key, &error))
    }

    async fn end(self) -> Result<(), StorageError> {
        self.bucket.backend.settle(self.writer, self.place).await
    }
}
