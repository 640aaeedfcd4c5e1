//! A backlog of owed callbacks, made in one transaction.

use model::{Storage, Task};

use crate::{error::Result, store::Store};

/// Makes `count` callbacks owed, each about all of these tasks, to the storages in turn.
///
/// # Errors
/// When the database fails.
pub async fn owe_callbacks(store: &Store, storages: &[Storage], tasks: &[Task], count: usize) -> Result<()> {
    let mut tx = store.transaction().await?;
    for storage in storages.iter().cycle().take(count) {
        store.owe_callback(&mut tx, storage, tasks).await?;
    }
    tx.commit().await
}
