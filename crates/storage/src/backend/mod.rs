//! The kinds of object store, one file each.
//!
//! A new kind is a file here with what [`File`] has, a variant of [`Backend`], and a line in the
//! contract test; the compiler asks for the rest.

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
    account::{OBJECT_FIELDS, refuse},
    file::{File, Staged},
    remote::{PARTS_AT_ONCE, Remote},
};
use crate::StorageError;

/// An open bucket's kind.
#[derive(Clone)]
pub(crate) enum Backend {
    /// A folder of the server itself.
    File(File),
    /// A store that is reached by network.
    Remote(Remote),
}

/// Where the bytes of an object go while it is written.
pub(crate) enum Place {
    /// To a file beside the objects first, which then takes the object's place.
    Staged(Staged),
    /// To the store, which shows an object when its last part has come.
    Sent(String),
}

impl Backend {
    /// The store, as opendal sees it.
    pub(crate) fn operator(&self) -> &Operator {
        match self {
            Self::File(file) => file.operator(),
            Self::Remote(remote) => remote.operator(),
        }
    }

    /// The operator's path of an object. Its key may be one in every kind of store; whether it may
    /// be one here is found out now.
    pub(crate) async fn path(&self, base: &str, key: &str) -> Result<String, StorageError> {
        match self {
            Self::File(file) => file.path(key).await,
            Self::Remote(remote) => remote.path(key).map_err(|problem| {
                StorageError::lasting(ErrorCode::OutputRefused, format!("{base}{key}: {problem}"))
            }),
        }
    }

    /// Where an object is written. Dropping the place without settling leaves nothing behind.
    pub(crate) async fn place(&self, base: &str, key: &str) -> Result<Place, StorageError> {
        match self {
            Self::File(file) => file.stage(key).await.map(Place::Staged),
            Self::Remote(_) => self.path(base, key).await.map(Place::Sent),
        }
    }
}

impl Place {
    /// The operator's path to write to.
    pub(crate) fn path(&self) -> &str {
        match self {
            Self::Staged(staged) => staged.path(),
            Self::Sent(path) => path,
        }
    }
}
