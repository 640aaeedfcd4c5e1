//! Fetches an input into a file of the task's own: from a URL, an object of a storage, or a file of this machine.
//!
//! Every connection goes through the guard, redirects included. What is on disk at the end is one version
//! of the input, whole: a broken connection is resumed only when the server proves that the input has not
//! changed, else the fetch starts again. Memory does not grow with size.

mod file;
mod local;
mod object;
mod rate;
mod url;
mod version;

use std::{io, time::Duration};

use model::ErrorCode;

use self::rate::RateMeter;
pub use self::{local::fetch_local, object::fetch_object, rate::RateLimit, url::fetch_url};
use crate::{backoff::Backoff, error::StorageError};

/// How often a fetch goes on after its connection broke, unless it got further in between.
const MAX_RETRIES: u32 = 4;

/// How many bytes further a fetch has to get to have all its retries again.
const MIN_PROGRESS_BYTES: u64 = 1 << 20;

/// The delay before the first retry; each next one is twice as long.
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(200);

/// The delay before the last retry.
const MAX_RETRY_DELAY: Duration = Duration::from_millis(200 << (MAX_RETRIES - 1));

/// How far a fetch may go.
#[derive(Clone, Copy, Debug)]
pub struct FetchLimits {
    /// The largest input, in bytes.
    pub max_bytes: u64,
    /// The longest time without a byte.
    pub idle_timeout: Duration,
    /// How slow it may be.
    pub rate: RateLimit,
    /// How many redirects are followed.
    pub max_redirects: u8,
}

/// Why one connection ended before the input was complete.
enum ConnectionError {
    /// It broke in the middle: another may bring the rest.
    Broken(StorageError),
    /// No other connection will do better now.
    Final(StorageError),
}

/// The retries of one fetch.
struct FetchRetries {
    backoff: Backoff,
    /// How many bytes there were when all retries were last given back.
    progress_mark: u64,
}

impl FetchRetries {
    const fn new() -> Self {
        Self { backoff: Backoff::new(FIRST_RETRY_DELAY, MAX_RETRY_DELAY), progress_mark: 0 }
    }

    /// The delay before the next connection, given the bytes so far; none when the retries are used up.
    fn next_delay(&mut self, received: u64) -> Option<Duration> {
        if self.backoff.retries() == MAX_RETRIES {
            return None;
        }
        if received >= self.progress_mark + MIN_PROGRESS_BYTES {
            self.progress_mark = received;
            self.backoff.reset();
        }
        Some(self.backoff.next_delay())
    }
}

/// The file of the input cannot be written.
fn disk_error(error: &io::Error) -> StorageError {
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        // others make room: uploads expire, and tasks end
        let detail = "the server's disk is full: it has no room for the input";
        return StorageError::transient(ErrorCode::EncodingOverLimit, detail);
    }
    StorageError::transient(ErrorCode::Internal, format!("the input cannot be written to disk: {error}"))
}
