//! Batches: tasks that are created together or not at all, and reported together in one callback.
//!
//! The batch's row counts its unfinished tasks. Whoever ends a task decrements the count in the same
//! transaction, and the lock on the row makes them take turns: so exactly one finds that its task was the
//! last, and owes the callback. A task that is retried while others are unfinished is counted again; one
//! that is retried later gets a callback of its own.

use model::{BatchId, Storage, Task};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::{Expr, ExprTrait as _, LockType},
};

use crate::{
    convert,
    entities::{batch, task},
    error::Result,
    storages,
    store::Store,
    tasks,
    transaction::WriteTransaction,
};

/// Rows that one statement inserts: PostgreSQL takes 65,535 values in a statement, SQLite half of that.
const MAX_ROWS_PER_STATEMENT: usize = 500;

/// What the callback after the end of a task is about.
enum CallbackScope {
    /// There is none: others of the task's batch are unfinished, and the last of them reports all.
    Nothing,
    /// That task alone: it has no batch, or its batch was reported before it was retried.
    Task,
    /// All tasks of the batch, of which that task was the last.
    Batch(Vec<Task>),
}

impl Store {
    /// Creates the pending tasks of a batch, and their jobs: all of them or none. Their ids sort in
    /// the order in which they are to be reported; all have the batch's id and one storage.
    ///
    /// # Errors
    /// [`crate::StoreError::NotFound`] when their storage is not the tenant's,
    /// [`crate::StoreError::OverQuota`] when the caller may not have so many more tasks,
    /// [`crate::StoreError::Conflict`] when another unfinished task writes to an output of theirs,
    /// [`crate::StoreError::Field`] when an unfinished task has one as its input.
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
        for group in tasks.chunks(MAX_ROWS_PER_STATEMENT) {
            self.insert_tasks(&mut tx, &storage, group).await?;
        }
        // when all are there: the input of one may be the output of another
        for group in tasks.chunks(MAX_ROWS_PER_STATEMENT) {
            tasks::check_inputs_are_kept(&tx, group, None).await?;
        }
        tx.commit().await
    }

    /// Whether a batch has unfinished tasks, so that its callback is still to come.
    pub(crate) async fn is_batch_unfinished(&self, tx: &WriteTransaction<'_>, id: &BatchId) -> Result<bool> {
        Ok(lock_unfinished(tx, id).await? > 0)
    }

    /// Counts an ended task of a batch that runs again, unless the batch was reported already.
    pub(crate) async fn count_retry_in_batch(&self, tx: &WriteTransaction<'_>, id: &BatchId) -> Result<()> {
        if lock_unfinished(tx, id).await? > 0 {
            add_unfinished(tx, id, 1).await?;
        }
        Ok(())
    }

    /// Owes the callback that follows from the end of a task, if one does.
    pub(crate) async fn owe_callback_of_end(
        &self,
        tx: &mut WriteTransaction<'_>,
        storage: &Storage,
        task: &Task,
    ) -> Result<()> {
        let scope = match &task.batch_id {
            Some(batch) => end_in_batch(tx, batch).await?,
            None => CallbackScope::Task,
        };
        if storage.notify.is_empty() {
            return Ok(());
        }
        match scope {
            CallbackScope::Nothing => Ok(()),
            CallbackScope::Task => self.owe_callback(tx, storage, std::slice::from_ref(task)).await,
            CallbackScope::Batch(tasks) => self.owe_callback(tx, storage, &tasks).await,
        }
    }
}

/// Counts a task of a batch as ended, and tells what its callback is about.
async fn end_in_batch(tx: &WriteTransaction<'_>, id: &BatchId) -> Result<CallbackScope> {
    let unfinished = lock_unfinished(tx, id).await?;
    if unfinished == 0 {
        return Ok(CallbackScope::Task);
    }
    add_unfinished(tx, id, -1).await?;
    if unfinished > 1 {
        return Ok(CallbackScope::Nothing);
    }
    let rows = task::Entity::find()
        .filter(task::Column::BatchId.eq(id.as_str()))
        .order_by_asc(task::Column::Id)
        .all(&tx.db)
        .await?;
    let tasks = rows.into_iter().map(tasks::read).collect::<Result<Vec<_>>>()?;
    Ok(CallbackScope::Batch(tasks))
}

/// How many tasks of a batch are unfinished; its row is locked for the rest of the transaction. None of
/// a batch that has no row.
async fn lock_unfinished(tx: &WriteTransaction<'_>, id: &BatchId) -> Result<i32> {
    let row = batch::Entity::find_by_id(id.as_str()).lock_exclusive().one(&tx.db).await?;
    Ok(row.map_or(0, |batch| batch.unfinished))
}

async fn add_unfinished(tx: &WriteTransaction<'_>, id: &BatchId, change: i32) -> Result<()> {
    batch::Entity::update_many()
        .col_expr(batch::Column::Unfinished, Expr::col(batch::Column::Unfinished).add(change))
        .filter(batch::Column::Id.eq(id.as_str()))
        .exec(&tx.db)
        .await?;
    Ok(())
}
