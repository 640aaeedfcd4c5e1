//! Idempotency: the answer to a call that came with an idempotency key, given again when the call is
//! repeated.
//!
//! The answer is stored in the transaction that makes it true, as its first write: of two equal calls
//! at one moment the second waits for the first one's row, and then finds its answer.

use std::time::Duration;

use model::{Secret, TenantId};
use sea_orm::{ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _, SqlErr};

use crate::{
    entities::answer,
    error::{Result, StoreError},
    store::Store,
    transaction::WriteTransaction,
};

/// How long an answer is given again.
const ANSWER_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// The answer to a call that came with an idempotency key.
#[derive(Clone, Debug)]
pub struct IdempotentAnswer {
    /// The tenant whose call it was; idempotency keys are each tenant's own.
    pub tenant: TenantId,
    /// The idempotency key, as the client gave it.
    pub key: String,
    /// A hash of what was called: another call with the same key has another.
    pub digest: Vec<u8>,
    /// What was answered. Stored encrypted, because it may hold secrets.
    pub answer: Secret,
}

impl Store {
    /// The answer to the call with this idempotency key, if there was one within the last 24 hours.
    ///
    /// # Errors
    /// When the database fails, or the answer was encrypted with another master key.
    pub async fn idempotent_answer(&self, tenant: &TenantId, key: &str) -> Result<Option<IdempotentAnswer>> {
        let id = (tenant.to_string(), key.to_owned());
        let row = answer::Entity::find_by_id(id)
            .filter(answer::Column::Created.gte(self.ago(ANSWER_RETENTION).as_millis()))
            .one(self.database())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let answer = self.cipher().decrypt("answer", &row_id(tenant, key), &row.answer)?;
        Ok(Some(IdempotentAnswer { tenant: tenant.clone(), key: row.key, digest: row.digest, answer }))
    }

    /// Deletes the answers that are not given again any more, and returns how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_expired_answers(&self) -> Result<u64> {
        let tx = self.transaction().await?;
        let expired = answer::Column::Created.lt(self.ago(ANSWER_RETENTION).as_millis());
        let deleted = answer::Entity::delete_many().filter(expired).exec(&tx.db).await?;
        tx.commit().await?;
        Ok(deleted.rows_affected)
    }

    /// Stores the answer to the caller's call, when it came with an idempotency key.
    ///
    /// # Errors
    /// [`StoreError::AlreadyAnswered`] when there is one.
    pub(crate) async fn insert_idempotent_answer(&self, tx: &WriteTransaction<'_>) -> Result<()> {
        let stored = self.caller.as_ref().and_then(|caller| caller.idempotent_answer.as_ref());
        let Some(IdempotentAnswer { tenant, key, digest, answer }) = stored else { return Ok(()) };
        let now = self.now();
        // an expired answer must not stand in the way of the new one
        answer::Entity::delete_many()
            .filter(answer::Column::TenantId.eq(tenant.as_str()))
            .filter(answer::Column::Key.eq(key.as_str()))
            .filter(answer::Column::Created.lt(self.ago(ANSWER_RETENTION).as_millis()))
            .exec(&tx.db)
            .await?;
        let row = answer::ActiveModel {
            tenant_id: Set(tenant.to_string()),
            key: Set(key.clone()),
            digest: Set(digest.clone()),
            answer: Set(self.cipher().encrypt("answer", &row_id(tenant, key), answer)?),
            created: Set(now.as_millis()),
        };
        let inserted = answer::Entity::insert(row).exec_without_returning(&tx.db).await;
        inserted.map_err(|error| match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => StoreError::AlreadyAnswered,
            _ => error.into(),
        })?;
        Ok(())
    }
}

/// The row's id as the cipher takes it: associated data of the encrypted answer.
fn row_id(tenant: &TenantId, key: &str) -> String {
    format!("{tenant}:{key}")
}
