//! The kinds of object store, one file each.
//!
//! A new kind that is reached by network is a file here that makes an opendal operator from an `Account`,
//! an arm in `RemoteBucket::open`, and a line in the contract test; the compiler asks for the rest.

mod account;
mod azblob;
mod cos;
mod file;
mod gcs;
mod obs;
mod oss;
mod remote;
mod s3;

use model::ErrorCode;
use opendal::Operator;

pub(crate) use self::{
    account::{OBJECT_FIELDS, require_unset},
    file::{FileBucket, StagedFile},
    remote::{CONCURRENT_PARTS, RemoteBucket},
};
use crate::error::StorageError;

/// The kind of an open bucket.
#[derive(Clone)]
pub(crate) enum Backend {
    /// A folder of the server itself.
    File(FileBucket),
    /// A bucket in an object store that is reached by network.
    Remote(RemoteBucket),
}

/// Where the bytes of an object go while it is written.
pub(crate) enum UploadTarget {
    /// To a file beside the objects, which is then moved to the object's place.
    StagedFile(StagedFile),
    /// To the object itself, at this path of the operator's: an object store shows an object when its last
    /// part has come.
    Object(String),
}

impl Backend {
    /// The bucket as opendal sees it.
    pub(crate) fn operator(&self) -> &Operator {
        match self {
            Self::File(bucket) => bucket.operator(),
            Self::Remote(bucket) => bucket.operator(),
        }
    }

    /// The operator's path of an object. The key is one that some kind of object store can have; whether
    /// this kind can is checked here.
    pub(crate) async fn path(&self, base_uri: &str, key: &str) -> Result<String, StorageError> {
        match self {
            Self::File(bucket) => bucket.path(key).await,
            Self::Remote(bucket) => bucket.path(key).map_err(|problem| {
                StorageError::permanent(ErrorCode::OutputRefused, format!("{base_uri}{key}: {problem}"))
            }),
        }
    }

    /// Where an object is written.
    pub(crate) async fn upload_target(
        &self,
        base_uri: &str,
        key: &str,
    ) -> Result<UploadTarget, StorageError> {
        match self {
            Self::File(bucket) => bucket.stage(key).await.map(UploadTarget::StagedFile),
            Self::Remote(_) => self.path(base_uri, key).await.map(UploadTarget::Object),
        }
    }
}

impl UploadTarget {
    /// The operator's path to write to.
    pub(crate) fn path(&self) -> &str {
        match self {
            Self::StagedFile(file) => file.path(),
            Self::Object(path) => path,
        }
    }
}
