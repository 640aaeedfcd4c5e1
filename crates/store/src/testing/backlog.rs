//! A backlog of callbacks, made in one transaction.

use model::{Storage, Task};

use crate::{Result, Store};

/// Owes each of these storages a callback about these tasks, in turn, until there are `count`.
///
/// # Errors
/// When the database fails.
pub async fn owe(store: &Store, storages: &[Storage], tasks: &[Task], count: usize) -> Result<()> {
    let mut tx = store.transaction().await?;
    for storage in storages.iter().cycle().take(count) {
        store.owe_callback(&mut tx, storage, tasks).await?;
    }
    tx.commit().await
}
