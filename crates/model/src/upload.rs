//! A file that a customer sent to the server, to be the input of tasks.

use crate::{TenantId, Timestamp, UploadId};

/// An upload as it is known; its bytes lie in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its identity; `upload://<id>` is the input.
    pub id: UploadId,
    /// Whom it belongs to.
    pub tenant: TenantId,
    /// What the customer calls it.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// The machine that took it.
    pub host: String,
    /// When it was complete.
    pub created: Timestamp,
}
