//! An upload: a file that a customer sent to the server, to be the input of tasks.

use crate::{TenantId, Timestamp, UploadId};

/// An upload as it is stored; its bytes lie in a folder of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its id; a task's input is `upload://<id>`.
    pub id: UploadId,
    /// Whom it belongs to.
    pub tenant: TenantId,
    /// The customer's name for it.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// The name of the machine that has its file.
    pub host: String,
    /// When it was complete.
    pub created: Timestamp,
}
