//! Callbacks as they are listed and read.

use std::collections::HashMap;

use model::{
    Attempt, Callback, CallbackId, CallbackStatus, StorageId, TaskId, TenantId, Timestamp,
    limits::{MAX_LIST_BYTES, MAX_SHOWN_ATTEMPTS},
};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, Iterable as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::{Expr, Query},
};

use crate::{
    convert,
    entities::{attempt, callback, callback_task},
    error::{Result, StoreError},
    page::Page,
    store::Store,
};

/// Callbacks of a page whose tasks are read at once.
const LIST_STEP: usize = 50;

/// What an answer says of a callback beside its tasks, in bytes.
const LISTED_BYTES: usize = 400;

/// What it says of each of the tasks, in bytes.
const TASK_ID_BYTES: usize = 36;

/// Which callbacks to list; a field that is none does not restrict them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallbackFilter {
    /// Of this status.
    pub status: Option<CallbackStatus>,
    /// Of this storage.
    pub storage_id: Option<StorageId>,
    /// About this task.
    pub task_id: Option<TaskId>,
    /// Owed since this moment or later.
    pub start: Option<Timestamp>,
    /// Owed since this moment or earlier.
    pub end: Option<Timestamp>,
}

impl Store {
    /// One page of a tenant's callbacks, newest first, and how many the filter matches in all. Their bodies
    /// are not read, and are empty here. A page with more than [`MAX_LIST_BYTES`] ends early.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn callbacks(
        &self,
        tenant: &TenantId,
        filter: &CallbackFilter,
        page: Page,
    ) -> Result<(u64, Vec<Callback>)> {
        let matching = callback::Entity::find().filter(filter.condition(tenant));
        let total = matching.clone().count(self.database()).await?;
        let rows = matching
            .select_only()
            .columns(callback::Column::iter().filter(|column| !matches!(column, callback::Column::Body)))
            .expr_as(Expr::val(Vec::<u8>::new()), "body")
            .order_by_desc(callback::Column::Created)
            .order_by_desc(callback::Column::Id)
            .offset(page.offset)
            .limit(page.limit)
            .all(self.database())
            .await?;
        let (mut callbacks, mut bytes) = (Vec::with_capacity(rows.len()), 0);
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let step: Vec<_> = rows.by_ref().take(LIST_STEP).collect();
            let mut tasks = tasks_of(self.database(), step.iter().map(|row| row.id.as_str())).await?;
            for row in step {
                let tasks = tasks.remove(&row.id).unwrap_or_default();
                bytes += LISTED_BYTES + tasks.len() * TASK_ID_BYTES;
                if bytes > MAX_LIST_BYTES && !callbacks.is_empty() {
                    return Ok((total, callbacks));
                }
                callbacks.push(self.read_callback(row, tasks)?);
            }
        }
        Ok((total, callbacks))
    }

    /// One callback and its newest attempts, [`MAX_SHOWN_ATTEMPTS`] at most, in order.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has none with this id.
    pub async fn callback(&self, tenant: &TenantId, id: &CallbackId) -> Result<(Callback, Vec<Attempt>)> {
        let row = callback::Entity::find_by_id(id.as_str())
            .filter(callback::Column::TenantId.eq(tenant.as_str()))
            .one(self.database())
            .await?;
        let row = row.ok_or_else(|| StoreError::NotFound(format!("there is no callback `{id}`")))?;
        let attempts = attempt::Entity::find()
            .filter(attempt::Column::CallbackId.eq(id.as_str()))
            .order_by_desc(attempt::Column::Number)
            .limit(MAX_SHOWN_ATTEMPTS as u64)
            .all(self.database())
            .await?;
        let mut tasks = tasks_of(self.database(), [id.as_str()]).await?;
        let callback = self.read_callback(row, tasks.remove(id.as_str()).unwrap_or_default())?;
        Ok((callback, attempts.into_iter().rev().map(read_attempt).collect::<Result<_>>()?))
    }

    fn read_callback(&self, row: callback::Model, task_ids: Vec<TaskId>) -> Result<Callback> {
        Ok(Callback {
            id: convert::parse("callback.id", &row.id)?,
            tenant: convert::parse("callback.tenant_id", &row.tenant_id)?,
            storage_id: convert::parse("callback.storage_id", &row.storage_id)?,
            task_ids,
            status: convert::parse("callback.status", &row.status)?,
            body: row.body,
            attempts: convert::number("callback.attempts", row.attempts)?,
            created: Timestamp::from_millis(row.created),
            next_attempt: convert::timestamp(row.next_attempt).map(|due| self.shown(due)),
            delivered: convert::timestamp(row.delivered),
        })
    }
}

impl CallbackFilter {
    fn condition(&self, tenant: &TenantId) -> Condition {
        use callback::Column;
        let is_about = |id: &TaskId| {
            let callbacks = Query::select()
                .column(callback_task::Column::CallbackId)
                .from(callback_task::Entity)
                .and_where(callback_task::Column::TaskId.eq(id.as_str()))
                .take();
            Column::Id.in_subquery(callbacks)
        };
        Condition::all()
            .add(Column::TenantId.eq(tenant.as_str()))
            .add_option(self.status.map(|status| Column::Status.eq(status.as_str())))
            .add_option(self.storage_id.as_ref().map(|id| Column::StorageId.eq(id.as_str())))
            .add_option(self.task_id.as_ref().map(is_about))
            .add_option(self.start.map(|start| Column::Created.gte(start.as_millis())))
            .add_option(self.end.map(|end| Column::Created.lte(end.as_millis())))
    }
}

/// The tasks that each of these callbacks is about, in order.
async fn tasks_of<'a>(
    database: &impl ConnectionTrait,
    callbacks: impl IntoIterator<Item = &'a str>,
) -> Result<HashMap<String, Vec<TaskId>>> {
    let rows = callback_task::Entity::find()
        .filter(callback_task::Column::CallbackId.is_in(callbacks))
        .order_by_asc(callback_task::Column::Position)
        .all(database)
        .await?;
    let mut tasks: HashMap<String, Vec<TaskId>> = HashMap::new();
    for row in rows {
        let task = convert::parse("callback_task.task_id", &row.task_id)?;
        tasks.entry(row.callback_id).or_default().push(task);
    }
    Ok(tasks)
}

fn read_attempt(row: attempt::Model) -> Result<Attempt> {
    let millis = |millis: Option<i64>| millis.map(|ms| convert::number("attempt's time", ms)).transpose();
    Ok(Attempt {
        number: convert::number("attempt.number", row.number)?,
        time: Timestamp::from_millis(row.time),
        address: row.address,
        dns_ms: millis(row.dns_ms)?,
        connect_ms: millis(row.connect_ms)?,
        first_byte_ms: millis(row.first_byte_ms)?,
        total_ms: convert::number("attempt.total_ms", row.total_ms)?,
        http_status: row.http_status.map(|code| convert::number("attempt.http_status", code)).transpose()?,
        error: row.error,
        response_head: row.response_head,
        response_body: row.response_body,
    })
}
