//! Fetches an input that is an object of a storage.
//!
//! In ranges, resumed where a connection broke, and held to the size and the ETag that the object had at
//! first: an object that changes while it is read is an error, never a mixed file.

use std::path::Path;

use futures::TryStreamExt as _;
use model::ErrorCode;
use opendal::Metadata;
use tokio::time::sleep;

use super::{ConnectionError, FetchLimits, FetchRetries, RateMeter, disk_error, file::GrowingFile};
use crate::{
    bucket::{Bucket, ReadError},
    error::StorageError,
};

/// Fetches the object `key` into the file `to`, which is made or overwritten, and gives its size in bytes.
/// `progress` is called with the bytes so far and those of the whole.
///
/// # Errors
/// 1101 unreachable, too slow, absent or changed meanwhile, 1103 over `limits.max_bytes`, 1302 when the disk
/// is full, 1500 when the file cannot be written.
pub async fn fetch_object(
    bucket: &Bucket,
    key: &str,
    to: &Path,
    limits: &FetchLimits,
    progress: &(dyn Fn(u64, Option<u64>) + Sync),
) -> Result<u64, StorageError> {
    let metadata = bucket.stat(key).await.map_err(input_error)?;
    let size = metadata.content_length();
    if size > limits.max_bytes {
        let detail =
            format!("{}: has {size} bytes; at most {} are allowed", bucket.uri(key), limits.max_bytes);
        return Err(StorageError::permanent(ErrorCode::InputOverLimit, detail));
    }
    let file = GrowingFile::create(to).await.map_err(|error| disk_error(&error))?;
    let rate = RateMeter::start(limits.rate);
    let mut fetch = ObjectFetch { bucket, key, metadata, file, rate, progress };
    let mut retries = FetchRetries::new();
    while fetch.file.length() < size {
        let error = match fetch.receive_rest(size).await {
            Ok(()) => continue,
            Err(ConnectionError::Broken(error)) if error.retry => error,
            Err(ConnectionError::Broken(error) | ConnectionError::Final(error)) => return Err(error),
        };
        // what was received before the connection broke can be read while the rest is asked for
        fetch.file.flush().await.map_err(|error| disk_error(&error))?;
        let so_far = fetch.file.length();
        progress(so_far, Some(size));
        let Some(delay) = retries.next_delay(so_far) else { return Err(error) };
        fetch.check_version().await?;
        tracing::debug!(%error, so_far, retry_in = ?delay, "the fetch of an input broke off; it is resumed");
        sleep(delay).await;
    }
    fetch.check_version().await?;
    fetch.file.flush().await.map_err(|error| disk_error(&error))?;
    progress(size, Some(size));
    Ok(size)
}

struct ObjectFetch<'a> {
    bucket: &'a Bucket,
    key: &'a str,
    /// Of the version that the bytes in the file are of.
    metadata: Metadata,
    file: GrowingFile,
    rate: RateMeter,
    progress: &'a (dyn Fn(u64, Option<u64>) + Sync),
}

impl ObjectFetch<'_> {
    /// One connection: from where the file ends.
    async fn receive_rest(&mut self, size: u64) -> Result<(), ConnectionError> {
        let range = self.file.length()..size;
        let stream = self.bucket.stream_range(self.key, range, self.metadata.etag()).await;
        let mut stream = stream.map_err(|error| self.connection_error(error))?;
        loop {
            let chunk = self.rate.watch(stream.try_next()).await;
            let chunk = chunk.map_err(|slow| ConnectionError::Final(self.unreachable(&slow.to_string())))?;
            let chunk =
                chunk.map_err(|error| self.connection_error(self.bucket.stream_error(self.key, &error)))?;
            let Some(chunk) = chunk else { break };
            self.rate.received(chunk.len());
            if self.file.length() + chunk.len() as u64 > size {
                let problem = format!("more than its {size} bytes were received");
                return Err(ConnectionError::Final(self.unreachable(&problem)));
            }
            self.file.append(&chunk).await.map_err(|error| ConnectionError::Final(disk_error(&error)))?;
            (self.progress)(self.file.readable(), Some(size));
        }
        if self.file.length() < size {
            let problem = format!("only {} of {size} bytes were received", self.file.length());
            return Err(ConnectionError::Broken(self.unreachable(&problem)));
        }
        Ok(())
    }

    /// Whether the object is still the version that is being read.
    async fn check_version(&self) -> Result<(), StorageError> {
        let current = self.bucket.stat(self.key).await.map_err(input_error)?;
        let is_same = match (self.metadata.etag(), current.etag()) {
            (Some(known_etag), Some(current_etag)) => known_etag == current_etag,
            _ => self.metadata.last_modified() == current.last_modified(),
        };
        if is_same && self.metadata.content_length() == current.content_length() {
            Ok(())
        } else {
            Err(self.changed())
        }
    }

    fn connection_error(&self, error: ReadError) -> ConnectionError {
        match error {
            ReadError::Changed => ConnectionError::Final(self.changed()),
            ReadError::Failed(error) => ConnectionError::Broken(input_error(error)),
        }
    }

    fn changed(&self) -> StorageError {
        self.unreachable("changed while it was being fetched")
    }

    fn unreachable(&self, problem: &str) -> StorageError {
        let detail = format!("{}: {problem}", self.bucket.uri(self.key));
        StorageError::transient(ErrorCode::InputUnreachable, detail)
    }
}

/// The error of a bucket with the code of an input in place of an output's.
fn input_error(error: StorageError) -> StorageError {
    let code = match error.code {
        ErrorCode::BadParam => ErrorCode::InputForbidden,
        ErrorCode::Internal => ErrorCode::Internal,
        _ => ErrorCode::InputUnreachable,
    };
    StorageError { code, ..error }
}
