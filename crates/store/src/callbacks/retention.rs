//! Retention: callbacks that are not owed any more are deleted after a time, a page in each
//! transaction, so that no other write waits long.

use model::Timestamp;
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, ExprTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::{Expr, Query},
};

use crate::{
    entities::{attempt, callback, tenant},
    error::Result,
    store::Store,
};

/// Callbacks that one transaction deletes.
const PAGE_SIZE: u64 = 500;

impl Store {
    /// Deletes the callbacks, with their attempts, that are not owed now and became owed, and were last
    /// tried, before this moment. Returns how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_old_callbacks(&self, before: Timestamp) -> Result<u64> {
        let mut total = 0;
        // tenant by tenant, because the index by age begins with the tenant
        for tenant in tenant::Entity::find().all(self.database()).await? {
            loop {
                let deleted = self.delete_page(&tenant.id, before).await?;
                total += deleted;
                if deleted < PAGE_SIZE {
                    break;
                }
            }
        }
        Ok(total)
    }

    async fn delete_page(&self, tenant: &str, before: Timestamp) -> Result<u64> {
        use callback::Column;
        let tried_since = Query::select()
            .expr(Expr::val(1))
            .from(attempt::Entity)
            .and_where(Expr::col(attempt::Column::CallbackId).equals((callback::Entity, Column::Id)))
            .and_where(attempt::Column::Time.gte(before.as_millis()))
            .take();
        let old: Vec<String> = callback::Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::TenantId.eq(tenant))
            .filter(Column::Created.lt(before.as_millis()))
            .filter(Column::NextAttempt.is_null())
            .filter(Expr::exists(tried_since).not())
            .order_by_asc(Column::Created)
            .limit(PAGE_SIZE)
            .into_tuple()
            .all(self.database())
            .await?;
        if old.is_empty() {
            return Ok(0);
        }
        let tx = self.transaction().await?;
        let deleted = callback::Entity::delete_many()
            .filter(Column::Id.is_in(old))
            // it may have become owed again since it was found
            .filter(Column::NextAttempt.is_null())
            .exec(&tx.db)
            .await?;
        tx.commit().await?;
        Ok(deleted.rows_affected)
    }
}
