//! How the database means to answer: its plans, as texts.

use model::{TaskId, TenantId};
use sea_orm::{
    ConnectionTrait as _, DbBackend, EntityTrait as _, QueryTrait as _, Statement,
    sea_query::{Expr, Query},
};

use crate::{
    Page, Result, Store, TaskFilter,
    entities::task,
    jobs,
    task_counts::{self, DAY},
    task_lists,
};

/// The plans of what a list is made of: the sums of the days, the count of a time, the piece.
///
/// # Errors
/// When the database fails.
pub async fn list_plans(
    store: &Store,
    tenant: &TenantId,
    filter: &TaskFilter,
    page: Page,
) -> Result<[String; 3]> {
    let backend = store.database().get_database_backend();
    let [days, _] = task_counts::day_queries(&filter.counted(tenant), 0, i64::MAX / DAY);
    let spans = filter.spans(store.database(), tenant).await?;
    let piece = task_lists::piece(&spans, page).expect("the page is not beyond the list");
    let counted = filter.wanted(tenant, piece.range).into_query();
    let mut count = Query::select();
    count.expr(Expr::cust("COUNT(*)")).from_subquery(counted, "wanted");
    Ok([
        explain(store, backend.build(&days)).await?,
        explain(store, backend.build(&count)).await?,
        explain(store, filter.rows(tenant, piece).build(backend)).await?,
    ])
}

/// The plan of finding one task.
///
/// # Errors
/// When the database fails.
pub async fn query_plan(store: &Store, id: &TaskId) -> Result<String> {
    let query = task::Entity::find_by_id(id.as_str());
    explain(store, query.build(store.database().get_database_backend())).await
}

/// The plan of taking the next job.
///
/// # Errors
/// When the database fails.
pub async fn claim_plan(store: &Store) -> Result<String> {
    let backend = store.database().get_database_backend();
    let values = ["worker".into(), 0_i64.into(), 0_i64.into()];
    explain(store, Statement::from_sql_and_values(backend, jobs::claim_sql(backend), values)).await
}

async fn explain(store: &Store, query: Statement) -> Result<String> {
    let (word, column) = match query.db_backend {
        DbBackend::Postgres => ("EXPLAIN", "QUERY PLAN"),
        _ => ("EXPLAIN QUERY PLAN", "detail"),
    };
    let query = Statement { sql: format!("{word} {}", query.sql), ..query };
    let rows = store.database().query_all_raw(query).await?;
    let lines = rows.iter().map(|row| row.try_get::<String>("", column));
    Ok(lines.collect::<std::result::Result<Vec<_>, _>>()?.join("\n"))
}
