//! Databases that fail.

use sea_orm::ConnectionTrait as _;

use crate::{Result, Store};

/// Takes a table away that every call needs.
///
/// # Errors
/// When the database fails already.
pub async fn break_tables(store: &Store) -> Result<()> {
    store.database().execute_unprepared("ALTER TABLE access_key RENAME TO lost").await?;
    Ok(())
}

/// Closes every connection, for good.
///
/// # Errors
/// When they cannot be closed.
pub async fn close(store: &Store) -> Result<()> {
    Ok(store.database().close_by_ref().await?)
}
