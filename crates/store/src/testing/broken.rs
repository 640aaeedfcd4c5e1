//! Databases that fail on purpose.

use sea_orm::ConnectionTrait as _;

use crate::{error::Result, store::Store};

/// Renames a table that every call needs.
///
/// # Errors
/// When the database fails before.
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
