//! Redelivery: a callback that was delivered or given up is owed again. Its id and its bytes stay, its
//! attempts go on counting, and the attempts made so far no longer count against the limit.

use model::{CallbackId, CallbackStatus, StorageId, TenantId, Timestamp};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QuerySelect as _,
    sea_query::{Expr, ExprTrait as _, LockType},
};

use crate::{
    callbacks::queue::queue_name,
    convert,
    entities::callback,
    error::{Result, StoreError},
    storages,
    store::Store,
    transaction::WriteTransaction,
};

impl Store {
    /// Owes a callback again, whatever became of it; one that waits for its next attempt is due now.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has no callback with this id or its storage is gone,
    /// [`StoreError::Conflict`] when it is being sent now, or its storage has no notify.
    pub async fn redeliver_callback(&self, tenant: &TenantId, id: &CallbackId) -> Result<()> {
        let mut tx = self.transaction().await?;
        let row = callback::Entity::find_by_id(id.as_str())
            .filter(callback::Column::TenantId.eq(tenant.as_str()))
            .lock_exclusive()
            .one(&tx.db)
            .await?;
        let row = row.ok_or_else(|| StoreError::NotFound(format!("there is no callback `{id}`")))?;
        if row.worker.is_some() {
            return Err(StoreError::Conflict(format!("the callback `{id}` is being sent now")));
        }
        let storage = convert::parse("callback.storage_id", &row.storage_id)?;
        self.owe_again(&mut tx, tenant, &storage, callback::Column::Id.eq(id.as_str()).into()).await?;
        tx.commit().await
    }

    /// Owes again every callback of a storage that became owed at `since` or later and has failed:
    /// those that were given up, and those that wait for a retry. Returns how many.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has no storage with this id,
    /// [`StoreError::Conflict`] when it has no notify.
    pub async fn recover_callbacks(
        &self,
        tenant: &TenantId,
        storage: &StorageId,
        since: Timestamp,
    ) -> Result<u64> {
        use callback::Column;
        let given_up = [CallbackStatus::Exhausted, CallbackStatus::Refused].map(CallbackStatus::as_str);
        let waits_for_retry = Column::NextAttempt.is_not_null().and(Column::Retry.eq(true));
        let failed = Condition::all()
            .add(Column::TenantId.eq(tenant.as_str()))
            .add(Column::StorageId.eq(storage.as_str()))
            .add(Column::Created.gte(since.as_millis()))
            .add(Column::Worker.is_null())
            .add(Condition::any().add(Column::Status.is_in(given_up)).add(waits_for_retry));
        let mut tx = self.transaction().await?;
        let count = self.owe_again(&mut tx, tenant, storage, failed).await?;
        tx.commit().await?;
        Ok(count)
    }

    async fn owe_again(
        &self,
        tx: &mut WriteTransaction<'_>,
        tenant: &TenantId,
        storage: &StorageId,
        which: Condition,
    ) -> Result<u64> {
        let row = storages::find(&tx.db, tenant, storage, Some(LockType::Share)).await?;
        let storage = storages::read(row, self.cipher())?;
        if storage.notify.is_empty() {
            return Err(StoreError::Conflict(format!("the storage `{}` has no notify", storage.id)));
        }
        let owed = callback::ActiveModel {
            status: Set(CallbackStatus::Owed.to_string()),
            receiver: Set(queue_name(&storage)),
            next_attempt: Set(Some(self.queue_time().as_millis())),
            delivered: Set(None),
            // a redelivery does not go before the first attempts of others
            retry: Set(true),
            ..Default::default()
        };
        let changed = callback::Entity::update_many()
            .set(owed)
            .col_expr(callback::Column::AttemptsBefore, Expr::col(callback::Column::Attempts))
            .filter(which)
            .exec(&tx.db)
            .await?;
        if changed.rows_affected > 0 {
            tx.wake_all_callbacks();
        }
        Ok(changed.rows_affected)
    }
}
