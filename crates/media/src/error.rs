//! Failures of media work: the customer's code and sentence, and the program's output for the server's log.

use std::io;

use model::{ErrorCode, Failure};

use crate::work_folder::NotPlain;

/// The customer's sentence for a disk that is full.
pub(crate) const DISK_FULL: &str = "the server's disk is full";

/// A failure of one of the four steps. Another try may help only after [`ErrorCode::Internal`]
/// and on a full disk.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {detail}", code.words())]
pub struct MediaError {
    /// The customer's code.
    pub code: ErrorCode,
    /// The customer's sentence, without the text of the code.
    pub detail: String,
    /// The end of the tool's own output; for the server's log, never for the customer.
    pub log: String,
}

impl MediaError {
    /// A failure with its sentence.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), log: String::new() }
    }

    /// An error at a file in the work folder: a full disk as such, so what is no plain file, and `otherwise` for
    /// everything else.
    pub(crate) fn of_disk(error: &io::Error, otherwise: Self) -> Self {
        match error.kind() {
            // no tool of ours does that by itself
            _ if NotPlain::is_cause_of(error) => Self::new(
                ErrorCode::EncodingFailed,
                format!("the media tools left what is no output: {error}"),
            ),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::new(ErrorCode::EncodingOverLimit, DISK_FULL)
            }
            _ => otherwise,
        }
    }

    /// The same with the program's own output.
    pub fn with_log(mut self, log: impl Into<String>) -> Self {
        self.log = log.into();
        self
    }

    /// Whether the disk is full: others may make room.
    pub fn is_disk_full(&self) -> bool {
        self.detail == DISK_FULL
    }

    /// What the customer is told.
    pub fn failure(&self) -> Failure {
        Failure::new(self.code, self.detail.clone())
    }
}

/// The input is to blame for a stream without a frame.
pub(crate) fn nothing_decoded(what: &str) -> MediaError {
    MediaError::new(ErrorCode::InvalidInput, format!("no {what} in it could be decoded"))
}

/// The input is to blame for what a copy of it cannot do.
pub(crate) fn damaged_copy(log: &str) -> MediaError {
    let detail =
        "what is copied of it cannot be read without errors; codecs instead of `copy` would encode what can";
    MediaError::new(ErrorCode::InvalidInput, detail).with_log(log)
}
