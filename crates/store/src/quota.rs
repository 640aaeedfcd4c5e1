//! Quotas: how many unfinished tasks an access key may have.

use model::TaskStatus;
use sea_orm::{ColumnTrait as _, EntityTrait as _, PaginatorTrait as _, QueryFilter as _, QuerySelect as _};

use crate::{
    entities::{access_key, task},
    error::{Result, StoreError},
    store::Store,
    transaction::WriteTransaction,
};

/// How many unfinished tasks an access key may have; none is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Tasks that a worker has claimed.
    pub running: Option<u64>,
    /// Tasks that wait for a worker.
    pub queued: Option<u64>,
}

impl Store {
    /// Refuses `count` new tasks of the caller when they would exceed its quota.
    ///
    /// The access key's row is locked first, so that two calls of one key do not both see room for
    /// the last task.
    pub(crate) async fn check_quota(&self, tx: &WriteTransaction<'_>, count: usize) -> Result<()> {
        let Some(caller) = &self.caller else { return Ok(()) };
        if caller.quota == Quota::default() {
            return Ok(());
        }
        let key = caller.access_key.as_str();
        access_key::Entity::find_by_id(key).lock_exclusive().one(&tx.db).await?;
        let unfinished = || {
            task::Entity::find()
                .filter(task::Column::AccessKey.eq(key))
                .filter(task::Column::Finished.is_null())
        };
        let pending = TaskStatus::Pending.as_str();
        if let Some(max) = caller.quota.running {
            let running = unfinished().filter(task::Column::Status.ne(pending)).count(&tx.db).await?;
            // new tasks do not run yet: what counts is that the limit is not reached already
            check_limit("running", max, running, 1)?;
        }
        if let Some(max) = caller.quota.queued {
            let queued = unfinished().filter(task::Column::Status.eq(pending)).count(&tx.db).await?;
            check_limit("queued", max, queued, count as u64)?;
        }
        Ok(())
    }
}

/// Refuses one more of what a tenant has `existing`: lists of it are answered whole.
pub(crate) fn check_room(what: &str, existing: u64, max: usize) -> Result<()> {
    if existing < max as u64 {
        return Ok(());
    }
    Err(StoreError::Conflict(format!("the tenant has {existing} {what}, and may have no more; delete some")))
}

fn check_limit(what: &str, max: u64, existing: u64, added: u64) -> Result<()> {
    if existing + added <= max {
        return Ok(());
    }
    Err(StoreError::OverQuota(format!("the key has {existing} {what} tasks, and may have {max}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_full_when_it_is_reached() {
        assert!(check_limit("queued", 3, 1, 2).is_ok());
        let refused = check_limit("queued", 3, 2, 2).expect_err("full").to_string();
        assert_eq!(refused, "the key has 2 queued tasks, and may have 3");
    }
}
