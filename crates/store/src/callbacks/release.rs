//! Claims of callbacks are given back: those that were not sent after all, and those whose sender died.

use model::WorkerId;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, ConnectionTrait as _, EntityTrait as _, QueryFilter as _,
    Statement,
};
use serde::Serialize;

use crate::{
    callbacks::{
        claim::CallbackClaim,
        json_rows::{CLAIM_HOLDS, Columns, from_json_rows},
    },
    convert,
    entities::callback,
    error::Result,
    store::Store,
    transaction::WriteTransaction,
};

const CLAIM_COLUMNS: Columns = &[("id", "text"), ("fence", "bigint")];

#[derive(Serialize)]
struct ClaimRow<'a> {
    id: &'a str,
    fence: i64,
}

impl Store {
    /// Gives claims back that were not sent after all, as if they had never been made.
    ///
    /// # Errors
    /// When the database fails; their leases run out then.
    pub async fn give_back_callbacks(&self, worker: &WorkerId, claims: &[CallbackClaim]) -> Result<()> {
        let mut tx = self.transaction().await?;
        let backend = tx.db.get_database_backend();
        let release = format!(
            "UPDATE callback SET worker = NULL, lease_until = NULL FROM {} \
             WHERE callback.id = made.id AND {CLAIM_HOLDS}",
            from_json_rows(backend, CLAIM_COLUMNS)
        );
        let mut rows = Vec::with_capacity(claims.len());
        for claim in claims {
            rows.push(ClaimRow { id: claim.id.as_str(), fence: claim.fence });
        }
        let values = [convert::to_json("claims", &rows)?.into(), worker.as_str().into()];
        tx.db.execute_raw(Statement::from_sql_and_values(backend, release, values)).await?;
        tx.wake_all_callbacks();
        tx.commit().await
    }

    /// Gives back the callbacks whose leases have run out, and returns how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reap_callbacks(&self) -> Result<u64> {
        let mut tx = self.transaction().await?;
        let expired = Condition::all()
            .add(callback::Column::Worker.is_not_null())
            .add(callback::Column::LeaseUntil.lt(self.queue_time().as_millis()));
        let released = release(&mut tx, expired).await?;
        tx.commit().await?;
        Ok(released)
    }
}

/// Gives back every callback that a worker has, and returns how many.
pub(crate) async fn release_callbacks_of(tx: &mut WriteTransaction<'_>, worker: &WorkerId) -> Result<u64> {
    release(tx, Condition::all().add(callback::Column::Worker.eq(worker.as_str()))).await
}

async fn release(tx: &mut WriteTransaction<'_>, which: Condition) -> Result<u64> {
    let free = callback::ActiveModel { worker: Set(None), lease_until: Set(None), ..Default::default() };
    let released = callback::Entity::update_many().set(free).filter(which).exec(&tx.db).await?;
    if released.rows_affected > 0 {
        tx.wake_all_callbacks();
    }
    Ok(released.rows_affected)
}
