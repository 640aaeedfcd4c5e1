//! Fetches an input that is an object of a storage into a local file.
//!
//! Ranged, resumed where a connection broke, and held to the size and the ETag that the object had
//! at first: an object that changes while it is read is an error, never a mixed file.

use std::path::Path;

use futures::TryStreamExt as _;
use model::ErrorCode;
use opendal::Metadata;
use tokio::time::sleep;

use super::{BACK_OFF, FetchError, FetchLimits, PROGRESS, Stop, TRIES, disk, file::GrowingFile};
use crate::{Bucket, StorageError};

/// Fetches the object `key` into the file `to`, which is made or overwritten, and gives its size in
/// bytes. `progress` is told the bytes so far and those of the whole.
///
/// # Errors
/// 1101 unreachable, absent or changed meanwhile, 1103 over `limits.max_bytes`, 1500 when the file
/// cannot be written.
pub async fn fetch_object(
    bucket: &Bucket,
    key: &str,
    to: &Path,
    limits: &FetchLimits,
    progress: &(dyn Fn(u64, Option<u64>) + Sync),
) -> Result<u64, FetchError> {
    let known = bucket.stat(key).await.map_err(of_storage)?;
    let size = known.content_length();
    if size > limits.max_bytes {
        let detail =
            format!("{}: has {size} bytes; at most {} are allowed", bucket.uri(key), limits.max_bytes);
        return Err(FetchError { code: ErrorCode::InputOverLimit, detail, retry: false });
    }
    let file = GrowingFile::create(to).await.map_err(|error| disk(&error))?;
    let mut fetch = Fetch { bucket, key, known, file, progress };
    let (mut tries, mut farthest) = (TRIES, 0);
    while fetch.file.length() < size {
        let error = match fetch.go_on(size).await {
            Ok(()) => continue,
            Err(Stop::Broken(error)) if tries > 0 && error.retry => error,
            Err(Stop::Broken(error) | Stop::Final(error)) => return Err(error),
        };
        fetch.check_version().await?;
        if fetch.file.length() >= farthest + PROGRESS {
            (tries, farthest) = (TRIES, fetch.file.length());
        }
        tracing::debug!(%error, so_far = fetch.file.length(), tries, "the fetch of an input broke off; going on");
        sleep(BACK_OFF * 2_u32.pow(TRIES - tries)).await;
        tries -= 1;
    }
    fetch.check_version().await?;
    fetch.file.end().await.map_err(|error| disk(&error))
}

struct Fetch<'a> {
    bucket: &'a Bucket,
    key: &'a str,
    /// What the bytes in the file are of.
    known: Metadata,
    file: GrowingFile,
    progress: &'a (dyn Fn(u64, Option<u64>) + Sync),
}

impl Fetch<'_> {
    /// Reads on from where the file ends.
    async fn go_on(&mut self, size: u64) -> Result<(), Stop> {
        let range = self.file.length()..size;
        let etag = self.known.etag();
        let changed = self.changed();
        let stopped = |error: Option<StorageError>| match error {
            Some(error) => Stop::Broken(of_storage(error)),
            None => Stop::Final(changed.clone()),
        };
        let mut pieces = self.bucket.pieces(self.key, range, etag).await.map_err(stopped)?;
        loop {
            let piece = pieces.try_next().await;
            let Some(piece) = piece.map_err(|error| stopped(self.bucket.broken(self.key, &error)))? else {
                break;
            };
            self.file.append(&piece).await.map_err(|error| Stop::Final(disk(&error)))?;
            (self.progress)(self.file.length(), Some(size));
        }
        if self.file.length() < size {
            let detail = format!("only {} of {size} bytes came", self.file.length());
            return Err(Stop::Broken(self.error(&detail, true)));
        }
        Ok(())
    }

    /// Whether the object is still the one that is being read.
    async fn check_version(&self) -> Result<(), FetchError> {
        let now = self.bucket.stat(self.key).await.map_err(of_storage)?;
        let same = match (self.known.etag(), now.etag()) {
            (Some(before), Some(now)) => before == now,
            _ => self.known.last_modified() == now.last_modified(),
        };
        if same && self.known.content_length() == now.content_length() { Ok(()) } else { Err(self.changed()) }
    }

    fn changed(&self) -> FetchError {
        self.error("changed while it was being fetched", true)
    }

    fn error(&self, problem: &str, retry: bool) -> FetchError {
        let detail = format!("{}: {problem}", self.bucket.uri(self.key));
        FetchError { code: ErrorCode::InputUnreachable, detail, retry }
    }
}

/// The same trouble, met while reading.
fn of_storage(error: StorageError) -> FetchError {
    let code = match error.code {
        ErrorCode::BadParam => ErrorCode::InputForbidden,
        ErrorCode::Internal => ErrorCode::Internal,
        _ => ErrorCode::InputUnreachable,
    };
    FetchError { code, detail: error.detail, retry: error.retry }
}
