//! The query plans of the database, as texts.

use model::{TaskId, TenantId};
use sea_orm::{
    ConnectionTrait as _, DbBackend, EntityTrait as _, QueryTrait as _, Statement,
    sea_query::{Expr, Query},
};

use crate::{
    entities::task,
    error::Result,
    fair_share,
    page::Page,
    store::Store,
    task_counts::{self, DAY_MILLIS},
    task_lists::{self, TaskFilter},
};

/// The plans of the queries that make a list: the sums by day, the count of a range, the page.
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
    let [days, _] = task_counts::day_queries(&filter.counted_condition(tenant), 0, i64::MAX / DAY_MILLIS);
    let counts = filter.range_counts(store.database(), tenant).await?;
    let window = task_lists::locate_page(&counts, page).expect("the page is not beyond the list");
    let selected = filter.select(tenant, window.range).into_query();
    let mut count = Query::select();
    count.expr(Expr::cust("COUNT(*)")).from_subquery(selected, "wanted");
    Ok([
        explain(store, backend.build(&days)).await?,
        explain(store, backend.build(&count)).await?,
        explain(store, filter.select_window(tenant, window).build(backend)).await?,
    ])
}

/// The plan of finding one task.
///
/// # Errors
/// When the database fails.
pub async fn task_plan(store: &Store, id: &TaskId) -> Result<String> {
    let query = task::Entity::find_by_id(id.as_str());
    explain(store, query.build(store.database().get_database_backend())).await
}

/// The plans of claiming the next job: whose turn it is, and which of a tenant's jobs is next.
///
/// # Errors
/// When the database fails.
pub async fn claim_plans(store: &Store, tenant: &TenantId) -> Result<[String; 2]> {
    let (backend, now) = (store.database().get_database_backend(), store.queue_time());
    let values = ["worker".into(), 0_i64.into(), now.as_millis().into(), tenant.as_str().into()];
    let claim = Statement::from_sql_and_values(backend, fair_share::claim_sql(backend), values);
    Ok([explain(store, fair_share::turn_query(backend, now)).await?, explain(store, claim).await?])
}

async fn explain(store: &Store, query: Statement) -> Result<String> {
    let (keyword, column) = match query.db_backend {
        DbBackend::Postgres => ("EXPLAIN", "QUERY PLAN"),
        _ => ("EXPLAIN QUERY PLAN", "detail"),
    };
    let query = Statement { sql: format!("{keyword} {}", query.sql), ..query };
    let rows = store.database().query_all_raw(query).await?;
    let lines = rows.iter().map(|row| row.try_get::<String>("", column));
    Ok(lines.collect::<std::result::Result<Vec<_>, _>>()?.join("\n"))
}
