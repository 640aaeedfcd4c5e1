//! Replay: what was told, or given up, is owed again. The id stays, the attempts go on counting, and
//! the budget of attempts begins anew.

use model::{CallbackId, CallbackStatus, StorageId, TenantId, Timestamp};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QuerySelect as _,
    sea_query::{Expr, ExprTrait as _, LockType},
};

use crate::{Result, Store, StoreError, begin::Write, entities::callback, receiver::queue_of, storages};

impl Store {
    /// Owes a callback again, whatever became of it; one that waits for its next attempt is due now.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has no callback with this id or its storage is gone,
    /// [`StoreError::Conflict`] when it is being sent just now, or its storage tells nobody.
    pub async fn redeliver_callback(&self, tenant: &TenantId, id: &CallbackId) -> Result<()> {
        let mut write = self.begin().await?;
        let row = callback::Entity::find_by_id(id.as_str())
            .filter(callback::Column::TenantId.eq(tenant.as_str()))
            .lock_exclusive()
            .one(&write.tx)
            .await?;
        let row = row.ok_or_else(|| StoreError::NotFound(format!("there is no callback `{id}`")))?;
        if row.worker.is_some() {
            return Err(StoreError::Conflict(format!("the callback `{id}` is being sent now")));
        }
        let storage = crate::column::read("callback.storage_id", &row.storage_id)?;
        self.owe_again(&mut write, tenant, &storage, callback::Column::Id.eq(id.as_str()).into()).await?;
        write.commit().await
    }

    /// Owes again every callback of a storage that became owed `since` then, and failed: those that
    /// were given up, and those whose attempts failed so far. Gives their number.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has no storage with this id,
    /// [`StoreError::Conflict`] when it tells nobody.
    pub async fn recover_callbacks(
        &self,
        tenant: &TenantId,
        storage: &StorageId,
        since: Timestamp,
    ) -> Result<u64> {
        use callback::Column;
        let given_up = [CallbackStatus::Exhausted, CallbackStatus::Refused].map(CallbackStatus::as_str);
        let waiting = Column::NextAttempt.is_not_null().and(Column::Retry.eq(true));
        let failed = Condition::all()
            .add(Column::TenantId.eq(tenant.as_str()))
            .add(Column::StorageId.eq(storage.as_str()))
            .add(Column::Created.gte(since.as_millis()))
            .add(Column::Worker.is_null())
            .add(Condition::any().add(Column::Status.is_in(given_up)).add(waiting));
        let mut write = self.begin().await?;
        let count = self.owe_again(&mut write, tenant, storage, failed).await?;
        write.commit().await?;
        Ok(count)
    }

    async fn owe_again(
        &self,
        write: &mut Write<'_>,
        tenant: &TenantId,
        storage: &StorageId,
        which: Condition,
    ) -> Result<u64> {
        let row = storages::find(&write.tx, tenant, storage, Some(LockType::Share)).await?;
        let storage = storages::read(row, self.cipher())?;
        if storage.notify.is_empty() {
            return Err(StoreError::Conflict(format!("the storage `{}` has no notify", storage.id)));
        }
        let receiver = queue_of(&storage);
        let owed = callback::ActiveModel {
            status: Set(CallbackStatus::Owed.to_string()),
            receiver: Set(receiver.clone()),
            next_attempt: Set(Some(self.now().as_millis())),
            delivered: Set(None),
            // first attempts of others go first
            retry: Set(true),
            ..Default::default()
        };
        let changed = callback::Entity::update_many()
            .set(owed)
            .col_expr(callback::Column::AttemptsBefore, Expr::col(callback::Column::Attempts))
            .filter(which)
            .exec(&write.tx)
            .await?;
        if changed.rows_affected > 0 {
            write.made_callback("");
        }
        Ok(changed.rows_affected)
    }
}
