//! Counts of tasks: by tenant, day of creation, storage, template and status.
//!
//! Triggers insert a row into `task_change` for each change, in the transaction that makes it, so that
//! writers never wait for the row of a counter. Folding moves these rows into `task_count`, in one
//! transaction: whoever reads both tables in one snapshot always has the exact count.

use std::collections::BTreeMap;

use sea_orm::{
    Condition, ConnectionTrait, DbBackend, EntityTrait as _, Statement,
    sea_query::{Expr, ExprTrait as _, Query, SelectStatement},
};

use crate::{convert, entities::task_change, error::Result, store::Store};

pub(crate) const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

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
    /// Folds the changes into the counts, so that counting stays quick. To be called periodically.
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

/// How many of the tasks that a condition selects were created on each day, from one day to another, both
/// included; days are counted since the epoch. A day without any is left out.
pub(crate) async fn count_by_day(
    database: &impl ConnectionTrait,
    condition: &Condition,
    from_day: i64,
    to_day: i64,
) -> Result<BTreeMap<i64, u64>> {
    let mut days: BTreeMap<i64, i64> = BTreeMap::new();
    for query in day_queries(condition, from_day, to_day) {
        for row in database.query_all(&query).await? {
            *days.entry(row.try_get("", "day")?).or_default() += row.try_get::<i64>("", "n")?;
        }
    }
    days.retain(|_, count| *count != 0);
    days.into_iter().map(|(day, count)| Ok((day, convert::number("task_count.n", count)?))).collect()
}

/// The sums by day of the counts, and of the changes that are not folded into them yet.
pub(crate) fn day_queries(condition: &Condition, from_day: i64, to_day: i64) -> [SelectStatement; 2] {
    ["task_count", "task_change"].map(|table| {
        Query::select()
            .column("day")
            .expr_as(Expr::col("n").sum().cast_as("bigint"), "n")
            .from(table)
            .cond_where(condition.clone())
            .and_where(Expr::col("day").between(from_day, to_day))
            .group_by_col("day")
            .take()
    })
}
