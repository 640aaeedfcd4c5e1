//! Retention of ended tasks: they are deleted some time after their end, a page in each transaction, so that
//! no other write waits long. The callbacks about them have a retention of their own.

use model::Timestamp;
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, ExprTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
    sea_query::{Expr, Query},
};

use crate::{
    entities::{batch, task},
    error::Result,
    store::Store,
};

/// Tasks that one transaction deletes.
const PAGE_SIZE: u64 = 500;

impl Store {
    /// Deletes the tasks that ended before this moment, with batches of which nothing is left. Those stay
    /// whose batch is not finished: its callback will be about them. Returns how many were deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_old_tasks(&self, before: Timestamp) -> Result<u64> {
        let mut total = 0;
        loop {
            let (found, deleted) = self.delete_page_of_tasks(before).await?;
            total += deleted;
            if found < PAGE_SIZE {
                return Ok(total);
            }
        }
    }

    /// How many were found, and how many of them deleted.
    async fn delete_page_of_tasks(&self, before: Timestamp) -> Result<(u64, u64)> {
        let old: Vec<(String, Option<String>)> = task::Entity::find()
            .select_only()
            .column(task::Column::Id)
            .column(task::Column::BatchId)
            .filter(is_old(before))
            .order_by_asc(task::Column::Finished)
            .limit(PAGE_SIZE)
            .into_tuple()
            .all(self.database())
            .await?;
        if old.is_empty() {
            return Ok((0, 0));
        }
        let found = old.len() as u64;
        let (ids, batches): (Vec<String>, Vec<Option<String>>) = old.into_iter().unzip();
        let mut batches: Vec<String> = batches.into_iter().flatten().collect();
        batches.sort_unstable();
        batches.dedup();
        let tx = self.transaction().await?;
        // one may run again since it was found
        let is_still_old = is_old(before).add(task::Column::Id.is_in(ids));
        let deleted = task::Entity::delete_many().filter(is_still_old).exec(&tx.db).await?;
        if !batches.is_empty() {
            let has_tasks = Query::select()
                .expr(Expr::val(1))
                .from(task::Entity)
                .and_where(
                    Expr::col((task::Entity, task::Column::BatchId))
                        .equals((batch::Entity, batch::Column::Id)),
                )
                .take();
            batch::Entity::delete_many()
                .filter(batch::Column::Id.is_in(batches))
                .filter(Expr::exists(has_tasks).not())
                .exec(&tx.db)
                .await?;
        }
        tx.commit().await?;
        Ok((found, deleted.rows_affected))
    }
}

fn is_old(before: Timestamp) -> Condition {
    let unfinished = Query::select()
        .expr(Expr::val(1))
        .from(batch::Entity)
        .and_where(
            Expr::col((batch::Entity, batch::Column::Id)).equals((task::Entity, task::Column::BatchId)),
        )
        .and_where(Expr::col((batch::Entity, batch::Column::Unfinished)).gt(0))
        .take();
    Condition::all().add(task::Column::Finished.lt(before.as_millis())).add(Expr::exists(unfinished).not())
}
