//! Which storage an input is read with, when it is an object.

use model::{Storage, StorageType};
use store::{Result, Store};

/// The task's own storage when the bucket is its own, else the newest of the tenant's that is this
/// bucket. A storage's prefix binds outputs and not inputs.
///
/// # Errors
/// When the database fails.
pub(crate) async fn find(
    store: &Store,
    own: &Storage,
    kind: StorageType,
    bucket: &str,
) -> Result<Option<Storage>> {
    let is_it = |storage: &Storage| storage.kind == kind && storage.bucket == bucket;
    if is_it(own) {
        return Ok(Some(own.clone()));
    }
    Ok(store.storages(&own.tenant).await?.into_iter().find(is_it))
}
