//! What can go wrong with an object or a fetch, in the words that a task's failure needs.

use std::{error::Error as _, io};

use model::ErrorCode;

use crate::transport::TransportError;

/// Why an object could not be put, read, listed or deleted, or an input not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", code.words())]
pub struct StorageError {
    /// The code that the task fails with. Of a bucket: 1201, 1202, 1203, or 1004 for an object that is not
    /// there, 1001 for a storage that cannot be used at all, 1500 for the server's own disk. Of a fetched
    /// input: 1101, 1102, 1103, or 1302 and 1500 for the server's own disk.
    pub code: ErrorCode,
    /// A sentence that names the object or the URL and the reason; no secret and no query string is in it.
    pub detail: String,
    /// Whether trying again later may help.
    pub retry: bool,
}

impl StorageError {
    /// A failure that a retry does not help.
    pub(crate) fn permanent(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), retry: false }
    }

    /// A failure that may be gone at a later try.
    pub(crate) fn transient(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), retry: true }
    }

    /// Whether it says that there is no such object.
    pub(crate) fn is_not_found(&self) -> bool {
        self.code == ErrorCode::NotFound
    }

    /// An error of opendal's in an operation on the object `uri`.
    pub(crate) fn from_opendal(uri: &str, error: &opendal::Error) -> Self {
        if let Some(error) = error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
            return Self::from_io(uri, error);
        }
        if let Some(cause) = TransportError::inside(error) {
            let detail = format!("{uri}: {cause}");
            return Self { code: cause.code(), detail, retry: cause.is_transient() };
        }
        use opendal::ErrorKind;
        let detail = format!("{uri}: {}", error.message());
        match error.kind() {
            ErrorKind::NotFound => Self::permanent(ErrorCode::NotFound, detail),
            ErrorKind::PermissionDenied
            | ErrorKind::ConfigInvalid
            | ErrorKind::Unsupported
            | ErrorKind::IsADirectory
            | ErrorKind::NotADirectory => Self::permanent(ErrorCode::OutputRefused, detail),
            _ => Self::transient(ErrorCode::OutputUnreachable, detail),
        }
    }

    /// An error of the file system below a bucket that is a folder. A full disk may have room again later;
    /// what the system does not allow stays so until somebody changes it.
    pub(crate) fn from_io(uri: &str, error: &io::Error) -> Self {
        use io::ErrorKind;
        let detail = format!("{uri}: {}", error.kind());
        match error.kind() {
            ErrorKind::NotFound => Self::permanent(ErrorCode::NotFound, detail),
            ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::FileTooLarge
            | ErrorKind::InvalidFilename
            | ErrorKind::InvalidInput
            | ErrorKind::AlreadyExists
            | ErrorKind::DirectoryNotEmpty
            | ErrorKind::IsADirectory
            | ErrorKind::NotADirectory => Self::permanent(ErrorCode::OutputRefused, detail),
            _ => Self::transient(ErrorCode::OutputUnreachable, detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(io::ErrorKind::StorageFull, ErrorCode::OutputUnreachable, true)]
    #[case(io::ErrorKind::QuotaExceeded, ErrorCode::OutputUnreachable, true)]
    #[case(io::ErrorKind::PermissionDenied, ErrorCode::OutputRefused, false)]
    #[case(io::ErrorKind::ReadOnlyFilesystem, ErrorCode::OutputRefused, false)]
    #[case(io::ErrorKind::NotADirectory, ErrorCode::OutputRefused, false)]
    #[case(io::ErrorKind::NotFound, ErrorCode::NotFound, false)]
    fn a_disk_error_keeps_its_reason_on_the_way_through(
        #[case] kind: io::ErrorKind,
        #[case] code: ErrorCode,
        #[case] retry: bool,
    ) {
        let through = opendal::Error::new(opendal::ErrorKind::Unexpected, "failed")
            .set_source(io::Error::from(kind))
            .set_temporary();
        let error = StorageError::from_opendal("file://bkt/a.mp4", &through);
        assert_eq!((error.code, error.retry), (code, retry));
        assert_eq!(error.detail, format!("file://bkt/a.mp4: {kind}"));
    }

    #[test]
    fn a_slow_down_passes() {
        let error = opendal::Error::new(opendal::ErrorKind::RateLimited, "slow down");
        let error = StorageError::from_opendal("s3://bkt/a.mp4", &error);
        assert_eq!(error.to_string(), "Output unreachable: s3://bkt/a.mp4: slow down");
        assert!(error.retry);
    }
}
