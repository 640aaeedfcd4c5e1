//! Fetches a remote input into a local file.
//!
//! Every connection goes through the guard, redirects included. What is on disk at the end is one
//! version of the object, whole: a broken connection is resumed only when the server proves that
//! the object has not changed, else the fetch starts again. Memory does not grow with size.

use std::{path::Path, time::Duration};

use model::ErrorCode;
use url::Url;

/// How far a fetch may go.
#[derive(Clone, Copy, Debug)]
pub struct FetchLimits {
    /// The largest object, in bytes.
    pub max_bytes: u64,
    /// The longest time without a byte.
    pub idle_timeout: Duration,
    /// How many redirects are followed.
    pub redirects: u8,
}

/// Why an input could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", code.words())]
pub struct FetchError {
    /// The code that the task fails with: 1101, 1102, 1103, or 1500 for our own disk.
    pub code: ErrorCode,
    /// A sentence that names the URL, without its query, and the reason.
    pub detail: String,
    /// Whether trying again later may help.
    pub retry: bool,
}

/// Fetches `url` into the file `to`, which is made or overwritten, and gives its size in bytes.
/// `progress` is told the bytes so far and, where the server says it, the size of the whole; the
/// bytes fall back to 0 when a fetch has to start again.
///
/// # Errors
/// 1101 unreachable, 1102 forbidden by the guard, 1103 over `limits.max_bytes`, 1500 when the file
/// cannot be written.
pub async fn fetch(
    client: &net::Client,
    url: &Url,
    to: &Path,
    limits: &FetchLimits,
    progress: &(dyn Fn(u64, Option<u64>) + Sync),
) -> Result<u64, FetchError> {
    todo!()
}
