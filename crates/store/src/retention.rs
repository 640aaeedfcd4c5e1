//! Retention: callbacks that are not owed any more go after their time, a piece at a time, so that
//! no write waits long.

use model::Timestamp;
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, ExprTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::{Expr, Query},
};

use crate::{
    Result, Store,
    entities::{attempt, callback, tenant},
};

/// Callbacks that one transaction removes.
const PIECE: u64 = 500;

impl Store {
    /// Removes callbacks, with their attempts, that are not owed now and were owed, and tried, only before
    /// then. Gives their number.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_callbacks(&self, before: Timestamp) -> Result<u64> {
        let mut forgotten = 0;
        for tenant in tenant::Entity::find().all(self.database()).await? {
            loop {
                let gone = self.forget_piece(&tenant.id, before).await?;
                forgotten += gone;
                if gone < PIECE {
                    break;
                }
            }
        }
        Ok(forgotten)
    }

    async fn forget_piece(&self, tenant: &str, before: Timestamp) -> Result<u64> {
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
            .limit(PIECE)
            .into_tuple()
            .all(self.database())
            .await?;
        if old.is_empty() {
            return Ok(0);
        }
        let write = self.begin().await?;
        let gone = callback::Entity::delete_many()
            .filter(Column::Id.is_in(old))
            // it may have become owed again
            .filter(Column::NextAttempt.is_null())
            .exec(&write.tx)
            .await?;
        write.commit().await?;
        Ok(gone.rows_affected)
    }
}
