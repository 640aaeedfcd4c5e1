//! Batches: tasks that are created together or not at all, and told of together, once.
//!
//! The batch's row counts those that have not ended. Whoever ends one takes it off in the same
//! transaction, and the row's lock makes them take turns: so exactly one finds that it was the last,
//! and owes the callback. A task that runs again while the others run is counted again; later it is
//! told of alone.

use model::{BatchId, Storage, Task};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::{Expr, ExprTrait as _, LockType},
};

use crate::{
    Result, Store, convert,
    entities::{batch, task},
    storages, tasks,
    transaction::WriteTransaction,
};

/// Rows of one statement: PostgreSQL takes 65,535 values, SQLite half of that.
const ROWS: usize = 500;

impl Store {
    /// Creates the pending tasks of a batch, and their jobs: all of them or none. Their ids sort in
    /// the order in which they are to be told of; all have the batch's id and one storage.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when their storage is not the tenant's, [`StoreError::Conflict`]
    /// when another unfinished task writes to an output of theirs.
    pub async fn create_batch(&self, id: &BatchId, tasks: &[Task]) -> Result<()> {
        let Some(first) = tasks.first() else { return Ok(()) };
        let mut tx = self.transaction().await?;
        let storage =
            storages::find(&tx.db, &first.tenant, &first.spec.storage_id, Some(LockType::Share)).await?;
        self.check_quota(&tx, tasks.len()).await?;
        let row = batch::ActiveModel {
            id: Set(id.to_string()),
            tenant_id: Set(first.tenant.to_string()),
            unfinished: Set(convert::number("batch.unfinished", tasks.len())?),
        };
        batch::Entity::insert(row).exec_without_returning(&tx.db).await?;
        for group in tasks.chunks(ROWS) {
            self.insert_tasks(&mut tx, &storage, group).await?;
        }
        tx.commit().await
    }

    /// Says that a task of a batch has ended: gives every task of the batch when it was the last.
    /// None: others are unfinished. An empty list: it is to be told of alone.
    pub(crate) async fn end_in_batch(
        &self,
        tx: &WriteTransaction<'_>,
        id: &BatchId,
    ) -> Result<Option<Vec<Task>>> {
        let unfinished = unfinished(tx, id).await?;
        if unfinished == 0 {
            return Ok(Some(Vec::new()));
        }
        count(tx, id, -1).await?;
        if unfinished > 1 {
            return Ok(None);
        }
        let rows = task::Entity::find()
            .filter(task::Column::BatchId.eq(id.as_str()))
            .order_by_asc(task::Column::Id)
            .all(&tx.db)
            .await?;
        rows.into_iter().map(tasks::read).collect::<Result<Vec<_>>>().map(Some)
    }

    /// Whether a batch is still to be told of.
    pub(crate) async fn is_unfinished(&self, tx: &WriteTransaction<'_>, id: &BatchId) -> Result<bool> {
        Ok(unfinished(tx, id).await? > 0)
    }

    /// Says that an ended task of a batch runs again.
    pub(crate) async fn again_in_batch(&self, tx: &WriteTransaction<'_>, id: &BatchId) -> Result<()> {
        match unfinished(tx, id).await? {
            0 => Ok(()),
            _ => count(tx, id, 1).await,
        }
    }

    /// Owes what is to be said at the end of a task.
    pub(crate) async fn owe_end(
        &self,
        tx: &mut WriteTransaction<'_>,
        storage: &Storage,
        task: &Task,
    ) -> Result<()> {
        let told = match &task.batch_id {
            Some(batch) => self.end_in_batch(tx, batch).await?,
            None => Some(Vec::new()),
        };
        match told {
            None => Ok(()),
            Some(_) if storage.notify.is_empty() => Ok(()),
            Some(alone) if alone.is_empty() => {
                self.owe_callback(tx, storage, std::slice::from_ref(task)).await
            }
            Some(together) => self.owe_callback(tx, storage, &together).await,
        }
    }
}

/// How many of a batch have not ended, its row locked; of one that is not there, none.
async fn unfinished(tx: &WriteTransaction<'_>, id: &BatchId) -> Result<i32> {
    let row = batch::Entity::find_by_id(id.as_str()).lock_exclusive().one(&tx.db).await?;
    Ok(row.map_or(0, |batch| batch.unfinished))
}

async fn count(tx: &WriteTransaction<'_>, id: &BatchId, by: i32) -> Result<()> {
    batch::Entity::update_many()
        .col_expr(batch::Column::Unfinished, Expr::col(batch::Column::Unfinished).add(by))
        .filter(batch::Column::Id.eq(id.as_str()))
        .exec(&tx.db)
        .await?;
    Ok(())
}
