//! What can go wrong with an object, in the words that a task's failure needs.

use model::ErrorCode;

/// Why an object could not be put, read, listed or deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", code.words())]
pub struct StorageError {
    /// The code that the task fails with: 1201, 1202, 1203, or 1004 for an object that is not
    /// there, 1001 for a kind of storage that is not supported, 1500 for our own disk.
    pub code: ErrorCode,
    /// A sentence that names the object and the reason; no secret and no query string is in it.
    pub detail: String,
    /// Whether trying again later may help.
    pub retry: bool,
}

impl StorageError {
    /// A failure that stays.
    pub(crate) fn lasting(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), retry: false }
    }

    /// A failure that may pass.
    pub(crate) fn passing(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), retry: true }
    }
}
