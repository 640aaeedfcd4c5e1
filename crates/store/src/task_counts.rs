//! How many tasks there are: by tenant, day of creation, storage, template and status.
//!
//! Triggers write a row for each change, in the transaction that makes it; nothing waits for a
//! counter. Folding adds these rows to the counts, in one transaction, so that a reader who sees
//! both tables at one moment always has the truth.

use std::collections::BTreeMap;

use sea_orm::{
    Condition, ConnectionTrait, DbBackend, EntityTrait as _, Statement,
    sea_query::{Expr, ExprTrait as _, Query, SelectStatement},
};

use crate::{Result, Store, convert, entities::task_change};

/// A day, in milliseconds.
pub(crate) const DAY: i64 = 24 * 60 * 60 * 1000;

const FOLD_POSTGRES: &[&str] = &[
    "WITH gone AS (DELETE FROM task_change RETURNING *) \
     INSERT INTO task_count (tenant_id, day, storage_id, template_name, status, n) \
     SELECT tenant_id, day, storage_id, template_name, status, SUM(n) FROM gone \
     GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5 \
     ON CONFLICT (tenant_id, day, storage_id, template_name, status) \
     DO UPDATE SET n = task_count.n + excluded.n",
    "DELETE FROM task_count WHERE n = 0",
];

const FOLD_SQLITE: &[&str] = &[
    "INSERT INTO task_count (tenant_id, day, storage_id, template_name, status, n) \
     SELECT tenant_id, day, storage_id, template_name, status, SUM(n) FROM task_change \
     WHERE true GROUP BY 1, 2, 3, 4, 5 \
     ON CONFLICT (tenant_id, day, storage_id, template_name, status) DO UPDATE SET n = n + excluded.n",
    "DELETE FROM task_change",
    "DELETE FROM task_count WHERE n = 0",
];

impl Store {
    /// Adds up what changed, so that counting stays quick. To be called now and then.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn fold_counts(&self) -> Result<()> {
        if task_change::Entity::find().one(self.database()).await?.is_none() {
            return Ok(());
        }
        let tx = self.transaction().await?;
        let backend = tx.db.get_database_backend();
        let fold = if backend == DbBackend::Postgres { FOLD_POSTGRES } else { FOLD_SQLITE };
        for statement in fold {
            tx.db.execute_raw(Statement::from_string(backend, *statement)).await?;
        }
        tx.commit().await
    }
}

/// The days of which there are tasks, with their number, of those that were created from one day to
/// another.
pub(crate) async fn days(
    database: &impl ConnectionTrait,
    wanted: &Condition,
    from: i64,
    to: i64,
) -> Result<BTreeMap<i64, u64>> {
    let mut days: BTreeMap<i64, i64> = BTreeMap::new();
    for query in day_queries(wanted, from, to) {
        for row in database.query_all(&query).await? {
            *days.entry(row.try_get("", "day")?).or_default() += row.try_get::<i64>("", "n")?;
        }
    }
    days.retain(|_, n| *n != 0);
    days.into_iter().map(|(day, n)| Ok((day, convert::number("task_count.n", n)?))).collect()
}

/// The sums of the counts and of the changes since.
pub(crate) fn day_queries(wanted: &Condition, from: i64, to: i64) -> [SelectStatement; 2] {
    ["task_count", "task_change"].map(|table| {
        Query::select()
            .column("day")
            .expr_as(Expr::col("n").sum().cast_as("bigint"), "n")
            .from(table)
            .cond_where(wanted.clone())
            .and_where(Expr::col("day").between(from, to))
            .group_by_col("day")
            .take()
    })
}
