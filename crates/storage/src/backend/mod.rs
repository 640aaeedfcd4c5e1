//! The kinds of object store, one file each.
//!
//! A new kind is a file here with what [`File`] has, a variant of [`Backend`], and a line in the
//! contract test; the compiler asks for the rest.

mod file;

use opendal::{Operator, Writer};

pub(crate) use self::file::{File, Staged};
use crate::StorageError;

/// An open bucket's kind.
#[derive(Clone)]
pub(crate) enum Backend {
    /// A folder of the server itself.
    File(File),
}

/// Where the bytes of an object go while it is written.
pub(crate) enum Place {
    /// To a file beside the objects first, which then takes the object's place.
    Staged(Staged),
}

impl Backend {
    /// The store, as opendal sees it.
    pub(crate) fn operator(&self) -> &Operator {
        match self {
            Self::File(file) => file.operator(),
        }
    }

    /// The operator's path of an object. Its key may be one in every kind of store; whether it may
    /// be one here is found out now.
    pub(crate) async fn path(&self, key: &str) -> Result<String, StorageError> {
        match self {
            Self::File(file) => file.path(key).await,
        }
    }

    /// The keys that begin with `prefix`, in no order.
    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        match self {
            Self::File(file) => file.list(prefix).await,
        }
    }

    /// Where an object is written. Dropping the place without settling leaves nothing behind.
    pub(crate) async fn place(&self, key: &str) -> Result<Place, StorageError> {
        match self {
            Self::File(file) => file.stage(key).await.map(Place::Staged),
        }
    }

    /// Ends the writing: from now on the object is there, whole and lasting.
    pub(crate) async fn settle(&self, writer: Writer, place: Place) -> Result<(), StorageError> {
        match (self, place) {
            (Self::File(file), Place::Staged(staged)) => file.settle(writer, staged).await,
        }
    }
}

impl Place {
    /// The operator's path to write to.
    pub(crate) fn path(&self) -> &str {
        match self {
            Self::Staged(staged) => staged.path(),
        }
    }
}
