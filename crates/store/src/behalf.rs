//! On whose behalf something is written: the key it counts for, and the answer that is to be given
//! again when the same call comes again.
//!
//! The answer is kept in the transaction that makes it true. It is the first thing that is written,
//! so that of two equal calls at one moment the second waits for the first, and then is told.

use std::{sync::Arc, time::Duration};

use model::{Secret, TaskStatus, TenantId};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
    QuerySelect as _, SqlErr,
};

use crate::{
    Result, Store, StoreError,
    begin::Write,
    entities::{access_key, answer, task},
};

/// For how long an answer is given again.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// The caller, as far as it matters to what is written.
#[derive(Clone, Debug)]
pub struct Behalf {
    /// The key that tasks count for.
    pub access_key: String,
    /// How many it may have.
    pub quota: Quota,
    /// The answer that is kept.
    pub once: Option<Once>,
}

/// How many unfinished tasks a key may have; none is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Tasks that a worker has.
    pub running: Option<u64>,
    /// Tasks that wait.
    pub queued: Option<u64>,
}

/// An answer that is given again to the same call.
#[derive(Clone, Debug)]
pub struct Once {
    /// Whose it is.
    pub tenant: TenantId,
    /// The client's name for the call.
    pub key: String,
    /// What tells the call from others.
    pub digest: Vec<u8>,
    /// Sealed where it is kept: it may hold secrets.
    pub answer: Secret,
}

impl Store {
    /// The same store, working for someone.
    #[must_use]
    pub fn on_behalf(&self, behalf: Behalf) -> Self {
        let mut store = self.clone();
        store.behalf = Some(Arc::new(behalf));
        store
    }

    /// What was answered to the call of this name within the last 24 hours.
    ///
    /// # Errors
    /// When the database fails, or the answer was sealed with another master key.
    pub async fn answered(&self, tenant: &TenantId, key: &str) -> Result<Option<Once>> {
        let id = (tenant.to_string(), key.to_owned());
        let row = answer::Entity::find_by_id(id)
            .filter(answer::Column::Created.gte((self.now() - KEPT).as_millis()))
            .one(self.database())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let answer = self.cipher().open("answer", &place(tenant, key), &row.answer)?;
        Ok(Some(Once { tenant: tenant.clone(), key: row.key, digest: row.digest, answer }))
    }

    /// Removes the answers whose time is over, and says how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_answers(&self) -> Result<u64> {
        let write = self.begin().await?;
        let old = answer::Column::Created.lt((self.now() - KEPT).as_millis());
        let gone = answer::Entity::delete_many().filter(old).exec(&write.tx).await?;
        write.commit().await?;
        Ok(gone.rows_affected)
    }

    /// Keeps the answer of whoever the store works for.
    pub(crate) async fn keep_answer(&self, write: &Write<'_>) -> Result<()> {
        let Some(once) = self.behalf.as_ref().and_then(|behalf| behalf.once.as_ref()) else {
            return Ok(());
        };
        let now = self.now();
        answer::Entity::delete_many()
            .filter(answer::Column::TenantId.eq(once.tenant.as_str()))
            .filter(answer::Column::Key.eq(once.key.as_str()))
            .filter(answer::Column::Created.lt((now - KEPT).as_millis()))
            .exec(&write.tx)
            .await?;
        let row = answer::ActiveModel {
            tenant_id: Set(once.tenant.to_string()),
            key: Set(once.key.clone()),
            digest: Set(once.digest.clone()),
            answer: Set(self.cipher().seal("answer", &place(&once.tenant, &once.key), &once.answer)?),
            created: Set(now.as_millis()),
        };
        let inserted = answer::Entity::insert(row).exec_without_returning(&write.tx).await;
        inserted.map_err(|error| match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => StoreError::Answered,
            _ => error.into(),
        })?;
        Ok(())
    }

    /// The key that tasks count for.
    pub(crate) fn counts_for(&self) -> Option<String> {
        self.behalf.as_ref().map(|behalf| behalf.access_key.clone())
    }

    /// Refuses tasks beyond the quota. Keys with one create their tasks one after the other.
    pub(crate) async fn admit(&self, write: &Write<'_>, count: usize) -> Result<()> {
        let Some(behalf) = &self.behalf else { return Ok(()) };
        if behalf.quota == Quota::default() {
            return Ok(());
        }
        let key = behalf.access_key.as_str();
        access_key::Entity::find_by_id(key).lock_exclusive().one(&write.tx).await?;
        let unfinished = || {
            task::Entity::find()
                .filter(task::Column::AccessKey.eq(key))
                .filter(task::Column::Finished.is_null())
        };
        let pending = TaskStatus::Pending.as_str();
        if let Some(most) = behalf.quota.running {
            let running = unfinished().filter(task::Column::Status.ne(pending)).count(&write.tx).await?;
            within_quota("running", most, running, 1)?;
        }
        if let Some(most) = behalf.quota.queued {
            let queued = unfinished().filter(task::Column::Status.eq(pending)).count(&write.tx).await?;
            within_quota("queued", most, queued, count as u64)?;
        }
        Ok(())
    }
}

fn within_quota(what: &str, most: u64, there: u64, more: u64) -> Result<()> {
    if there + more <= most {
        return Ok(());
    }
    Err(StoreError::OverQuota(format!("the key has {there} {what} tasks, and may have {most}")))
}

fn place(tenant: &TenantId, key: &str) -> String {
    format!("{tenant}:{key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_full_when_it_is_reached() {
        assert!(within_quota("queued", 3, 1, 2).is_ok());
        let refused = within_quota("queued", 3, 2, 2).expect_err("full").to_string();
        assert_eq!(refused, "the key has 2 queued tasks, and may have 3");
    }
}
