//! Which storage's credentials an input is read with, when it is an object in a bucket.

use model::{Storage, StorageType};
use store::{Result, Store};

/// Finds the storage of a bucket: the task's `own` when it is this bucket, else the tenant's newest that
/// is; none when there is none. A storage's prefix restricts outputs, not inputs.
///
/// # Errors
/// When the database fails.
pub(crate) async fn find(
    store: &Store,
    own: &Storage,
    kind: StorageType,
    bucket: &str,
) -> Result<Option<Storage>> {
    let is_bucket = |storage: &Storage| storage.kind == kind && storage.bucket == bucket;
    if is_bucket(own) {
        return Ok(Some(own.clone()));
    }
    Ok(store.storages(&own.tenant).await?.into_iter().find(is_bucket))
}
