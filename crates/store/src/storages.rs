//! Storages.

use model::{Storage, StorageId, TenantId};

use crate::{Result, Store};

impl Store {
    /// Adds a storage.
    pub async fn add_storage(&self, _storage: &Storage) -> Result<()> {
        todo!()
    }

    /// A tenant's storages, newest first.
    pub async fn storages(&self, _tenant: &TenantId) -> Result<Vec<Storage>> {
        todo!()
    }

    /// One storage.
    pub async fn storage(&self, _tenant: &TenantId, _id: &StorageId) -> Result<Storage> {
        todo!()
    }

    /// Deletes a storage.
    pub async fn delete_storage(&self, _tenant: &TenantId, _id: &StorageId) -> Result<()> {
        todo!()
    }
}
