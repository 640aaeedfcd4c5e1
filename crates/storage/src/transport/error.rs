//! Why a request to an object store failed, and what follows from it.

use std::time::Duration;

use model::ErrorCode;
use net::NetError;

use super::error_response::ErrorResponse;

/// Why a request was not sent that would have changed a bucket.
pub(crate) const WRITE_FORBIDDEN: &str = "whoever writes here may not do so any more";

/// The pages of a listing that are followed; a page has up to 1,000 keys.
pub(crate) const MAX_LISTING_REQUESTS: usize = 2_000;

/// Why there is no good answer to a request.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum TransportError {
    /// There is no answer at all, or its body broke off.
    #[error("{0}")]
    Net(NetError),
    /// Nothing was sent or received for this long.
    #[error("the object store was silent for {0:?}")]
    Idle(Duration),
    /// An answer that is no object has more bytes than this.
    #[error("the object store answered more than {0} bytes")]
    TooLong(usize),
    /// The checksum of what the object store received is not that of what was sent.
    #[error("the object store received something else than was sent: the checksums differ")]
    ChecksumMismatch,
    /// The object store answered with an error.
    #[error("{0}")]
    Refused(ErrorResponse),
    /// The write guard forbade the request, which was not sent.
    #[error("{WRITE_FORBIDDEN}")]
    WriteForbidden,
    /// A listing has more pages than are followed.
    #[error("the listing does not end within {MAX_LISTING_REQUESTS} pages")]
    EndlessListing,
}

impl TransportError {
    /// The code that a task fails with.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::Net(_) | Self::Idle(_) | Self::ChecksumMismatch => ErrorCode::OutputUnreachable,
            Self::TooLong(_) => ErrorCode::OutputRefused,
            Self::Refused(response) => response.code(),
            Self::WriteForbidden => ErrorCode::Internal,
            Self::EndlessListing => ErrorCode::OutputRefused,
        }
    }

    /// Whether a retry may help.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Net(error) => !error.permanent,
            Self::Idle(_) | Self::ChecksumMismatch => true,
            Self::TooLong(_) => false,
            Self::Refused(response) => response.is_transient(),
            Self::WriteForbidden | Self::EndlessListing => false,
        }
    }

    /// Whether an `If-Match` did not hold: the object is another version by now.
    pub(crate) fn is_precondition_failed(&self) -> bool {
        matches!(self, Self::Refused(response) if response.is_precondition_failed())
    }

    /// Whether a multipart upload does not exist, or not any more.
    pub(crate) fn is_no_such_upload(&self) -> bool {
        matches!(self, Self::Refused(response) if response.is_no_such_upload())
    }

    /// Whether a pooled connection was closed before the request was seen.
    pub(super) fn is_stale(&self) -> bool {
        matches!(self, Self::Net(error) if error.stale)
    }

    /// The `Retry-After` of an error response.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(response) => response.retry_after(),
            Self::Net(_)
            | Self::Idle(_)
            | Self::TooLong(_)
            | Self::ChecksumMismatch
            | Self::WriteForbidden
            | Self::EndlessListing => None,
        }
    }

    /// The transport's error inside one of opendal's.
    pub(crate) fn inside(error: &opendal::Error) -> Option<&Self> {
        std::error::Error::source(error)?.downcast_ref()
    }
}

impl From<TransportError> for opendal::Error {
    fn from(error: TransportError) -> Self {
        use opendal::ErrorKind;
        let kind = match error.code() {
            ErrorCode::NotFound => ErrorKind::NotFound,
            ErrorCode::OutputRefused => ErrorKind::PermissionDenied,
            _ => ErrorKind::Unexpected,
        };
        Self::new(kind, error.to_string()).set_source(error)
    }
}
