//! Why a request to a store did not do what it was for, and what follows from it.

use std::time::Duration;

use model::ErrorCode;
use net::{NetError, NetErrorKind};

use super::refusal::Refusal;

/// Why there is no good answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// There is none at all.
    #[error("{0}")]
    Net(NetError),
    /// Nothing moved for this long.
    #[error("the store was silent for {0:?}")]
    Silent(Duration),
    /// The store got something else than was sent.
    #[error("what the store received is not what was sent: the checksums differ")]
    Garbled,
    /// The store said no.
    #[error("{0}")]
    Refused(Refusal),
}

impl Trouble {
    /// The code that a task fails with.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::Net(_) | Self::Silent(_) | Self::Garbled => ErrorCode::OutputUnreachable,
            Self::Refused(refusal) => refusal.code(),
        }
    }

    /// Whether trying again may help.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Net(error) => !matches!(error.kind, NetErrorKind::Forbidden | NetErrorKind::BadUrl),
            Self::Silent(_) | Self::Garbled => true,
            Self::Refused(refusal) => refusal.may_pass(),
        }
    }

    /// Whether the store says that the object is not the one that was asked for any more.
    pub(crate) fn is_changed(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is_changed())
    }

    /// Whether a multipart upload is not known, or not any more.
    pub(crate) fn is_unknown_upload(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is_unknown_upload())
    }

    /// Whether a pooled connection was closed before the request was seen.
    pub(super) fn is_stale(&self) -> bool {
        matches!(self, Self::Net(error) if error.stale)
    }

    /// How long the store asks to be left alone.
    pub(super) fn asks_for(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after(),
            Self::Net(_) | Self::Silent(_) | Self::Garbled => None,
        }
    }

    /// The trouble inside an error of opendal's.
    pub(crate) fn within(error: &opendal::Error) -> Option<&Self> {
        std::error::Error::source(error)?.downcast_ref()
    }
}

impl From<Trouble> for opendal::Error {
    fn from(trouble: Trouble) -> Self {
        use opendal::ErrorKind;
        let kind = match trouble.code() {
            ErrorCode::NotFound => ErrorKind::NotFound,
            ErrorCode::OutputRefused => ErrorKind::PermissionDenied,
            _ => ErrorKind::Unexpected,
        };
        Self::new(kind, trouble.to_string()).set_source(trouble)
    }
}
