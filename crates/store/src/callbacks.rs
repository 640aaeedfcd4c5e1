//! Callbacks: what receivers are owed, from the end of a task until they were told.
//!
//! A callback is owed exactly while `next_attempt` is set; its bytes never change; each attempt is
//! kept. How it is claimed and sent is in `deliveries`, how it is owed again in `replay`.

use std::collections::HashMap;

use model::{
    Attempt, Callback, CallbackId, CallbackStatus, Storage, StorageId, Task, TaskId, TenantId, Timestamp,
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, sea_query::Query,
};

use crate::{
    Page, Result, Store, StoreError,
    begin::{Owed, Write},
    column,
    entities::{attempt, callback, callback_task},
    receiver::queue_of,
};

/// Which callbacks are wanted; what is none is not asked about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallbackFilter {
    /// Of this status.
    pub status: Option<CallbackStatus>,
    /// Of this storage.
    pub storage_id: Option<StorageId>,
    /// That tell about this task.
    pub task_id: Option<TaskId>,
    /// Owed since this moment or later.
    pub start: Option<Timestamp>,
    /// Owed since this moment or earlier.
    pub end: Option<Timestamp>,
}

impl Store {
    /// A piece of a tenant's callbacks, newest first, and how many there are in all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn callbacks(
        &self,
        tenant: &TenantId,
        filter: &CallbackFilter,
        page: Page,
    ) -> Result<(u64, Vec<Callback>)> {
        let wanted = callback::Entity::find().filter(filter.condition(tenant));
        let total = wanted.clone().count(self.database()).await?;
        let rows = wanted
            .order_by_desc(callback::Column::Created)
            .order_by_desc(callback::Column::Id)
            .offset(page.offset)
            .limit(page.limit)
            .all(self.database())
            .await?;
        let mut tasks = tasks_of(self.database(), rows.iter().map(|row| row.id.as_str())).await?;
        let callbacks = rows.into_iter().map(|row| {
            let tasks = tasks.remove(&row.id).unwrap_or_default();
            read(row, tasks)
        });
        Ok((total, callbacks.collect::<Result<_>>()?))
    }

    /// One callback and its attempts, in order.
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
            .order_by_asc(attempt::Column::Number)
            .all(self.database())
            .await?;
        let mut tasks = tasks_of(self.database(), [id.as_str()]).await?;
        let tasks = tasks.remove(id.as_str()).unwrap_or_default();
        Ok((read(row, tasks)?, attempts.into_iter().map(read_attempt).collect::<Result<_>>()?))
    }

    /// Owes the storage's receiver a callback about tasks that ended.
    pub(crate) async fn owe_callback(
        &self,
        write: &mut Write<'_>,
        storage: &Storage,
        tasks: &[Task],
    ) -> Result<()> {
        let id = CallbackId::generate(&mut rand::rng());
        let now = self.now().as_millis();
        let receiver = queue_of(storage);
        let row = callback::ActiveModel {
            id: Set(id.to_string()),
            tenant_id: Set(storage.tenant.to_string()),
            storage_id: Set(storage.id.to_string()),
            receiver: Set(receiver.clone()),
            status: Set(CallbackStatus::Owed.to_string()),
            body: Set(self.compose(storage, tasks)),
            attempts: Set(0),
            attempts_before: Set(0),
            retry: Set(false),
            created: Set(now),
            next_attempt: Set(Some(now)),
            delivered: Set(None),
            worker: Set(None),
            lease_until: Set(None),
            fence: Set(0),
        };
        callback::Entity::insert(row).exec_without_returning(&write.tx).await?;
        let tells = (0..).zip(tasks).map(|(position, task)| callback_task::ActiveModel {
            callback_id: Set(id.to_string()),
            position: Set(position),
            task_id: Set(task.id.to_string()),
        });
        callback_task::Entity::insert_many(tells).exec_without_returning(&write.tx).await?;
        if let Some(task) = tasks.first() {
            let (storage, task) = (storage.id.clone(), task.id.clone());
            write.owes(Owed { callback: id, storage, task, tasks: tasks.len() }, &receiver);
        }
        Ok(())
    }
}

impl CallbackFilter {
    fn condition(&self, tenant: &TenantId) -> Condition {
        use callback::Column;
        let tells_about = |id: &TaskId| {
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
            .add_option(self.task_id.as_ref().map(tells_about))
            .add_option(self.start.map(|start| Column::Created.gte(start.as_millis())))
            .add_option(self.end.map(|end| Column::Created.lte(end.as_millis())))
    }
}

/// The tasks that each of these callbacks tells about, in order.
pub(crate) async fn tasks_of<'a>(
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
        let task = column::read("callback_task.task_id", &row.task_id)?;
        tasks.entry(row.callback_id).or_default().push(task);
    }
    Ok(tasks)
}

pub(crate) fn read(row: callback::Model, task_ids: Vec<TaskId>) -> Result<Callback> {
    Ok(Callback {
        id: column::read("callback.id", &row.id)?,
        tenant: column::read("callback.tenant_id", &row.tenant_id)?,
        storage_id: column::read("callback.storage_id", &row.storage_id)?,
        task_ids,
        status: column::read("callback.status", &row.status)?,
        body: row.body,
        attempts: column::number("callback.attempts", row.attempts)?,
        created: Timestamp::from_millis(row.created),
        next_attempt: column::moment(row.next_attempt),
        delivered: column::moment(row.delivered),
    })
}

fn read_attempt(row: attempt::Model) -> Result<Attempt> {
    let millis = |millis: Option<i64>| millis.map(|ms| column::number("attempt's time", ms)).transpose();
    Ok(Attempt {
        number: column::number("attempt.number", row.number)?,
        time: Timestamp::from_millis(row.time),
        address: row.address,
        dns_ms: millis(row.dns_ms)?,
        connect_ms: millis(row.connect_ms)?,
        first_byte_ms: millis(row.first_byte_ms)?,
        total_ms: column::number("attempt.total_ms", row.total_ms)?,
        http_status: row.http_status.map(|code| column::number("attempt.http_status", code)).transpose()?,
        error: row.error,
        response_head: row.response_head,
        response_body: row.response_body,
    })
}
