//! Callbacks: what receivers are owed, from the end of a task until they were told.
//!
//! A callback is owed exactly while `next_attempt` is set. It is claimed with a lease and a fence
//! like a job; its bytes never change; each attempt is kept.

use std::{collections::HashMap, time::Duration};

use model::{
    Attempt, Callback, CallbackId, CallbackNext, CallbackStatus, Storage, StorageId, Task, TaskId, TenantId,
    Timestamp, WorkerId,
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, ConnectionTrait, DbBackend, EntityTrait as _,
    FromQueryResult as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    Statement, Value, sea_query::Query,
};

use crate::{
    Page, Result, Store, StoreError,
    begin::Write,
    column,
    entities::{attempt, callback, callback_task, storage},
    storages,
};

/// A due callback that a worker has, as long as its fence holds.
#[derive(Clone, Debug, PartialEq)]
pub struct CallbackClaim {
    /// What is owed.
    pub callback: Callback,
    /// Where it goes and how it is signed, as it is now.
    pub storage: Storage,
    /// Grows with each claim of the callback.
    pub fence: i64,
    /// Who has it.
    pub worker: WorkerId,
    /// `scheme://host:port` of the address, the one whose slots it takes.
    pub receiver: String,
}

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
    /// Takes callbacks that are due now, at most `limit`, none for a busy receiver: first attempts
    /// before retries, then the oldest.
    ///
    /// # Errors
    /// When the database fails. A callback that cannot be read is logged and left out; it stays
    /// leased, so that it does not stand before all others.
    pub async fn claim_callbacks(
        &self,
        worker: &WorkerId,
        limit: u32,
        lease: Duration,
        busy_receivers: &[String],
    ) -> Result<Vec<CallbackClaim>> {
        let write = self.begin().await?;
        let rows = self.claim_rows(&write, worker, limit, lease, busy_receivers).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut tasks = tasks_of(&write.tx, rows.iter().map(|row| row.id.as_str())).await?;
        let storages = storages_of(&write.tx, &rows).await?;
        write.commit().await?;
        let mut claims = Vec::with_capacity(rows.len());
        for row in rows {
            let id = row.id.clone();
            let tasks = tasks.remove(&id).unwrap_or_default();
            match self.callback_claim(row, tasks, &storages, worker) {
                Ok(claim) => claims.push(claim),
                Err(error) => tracing::error!(callback_id = id, %error, "a callback cannot be sent"),
            }
        }
        Ok(claims)
    }

    async fn claim_rows(
        &self,
        write: &Write<'_>,
        worker: &WorkerId,
        limit: u32,
        lease: Duration,
        busy_receivers: &[String],
    ) -> Result<Vec<callback::Model>> {
        let backend = write.tx.get_database_backend();
        let now = self.now();
        let mut values: Vec<Value> = vec![
            worker.as_str().into(),
            (now + lease).as_millis().into(),
            now.as_millis().into(),
            i64::from(limit).into(),
        ];
        values.extend(busy_receivers.iter().map(|receiver| Value::from(receiver.as_str())));
        let claim = claim_statement(backend, busy_receivers.len());
        let rows = write.tx.query_all_raw(Statement::from_sql_and_values(backend, claim, values)).await?;
        let mut rows = rows
            .iter()
            .map(|row| callback::Model::from_query_result(row, ""))
            .collect::<Result<Vec<_>, _>>()?;
        // RETURNING promises no order
        rows.sort_by(|a, b| (a.retry, a.next_attempt, &a.id).cmp(&(b.retry, b.next_attempt, &b.id)));
        Ok(rows)
    }

    fn callback_claim(
        &self,
        row: callback::Model,
        tasks: Vec<TaskId>,
        storages: &HashMap<String, storage::Model>,
        worker: &WorkerId,
    ) -> Result<CallbackClaim> {
        let storage = storages.get(&row.storage_id);
        let storage =
            storage.ok_or_else(|| StoreError::Corrupt("the callback's storage is gone".to_owned()))?;
        Ok(CallbackClaim {
            storage: storages::read(storage.clone(), self.cipher())?,
            fence: row.fence,
            worker: worker.clone(),
            receiver: row.receiver.clone(),
            callback: read(row, tasks)?,
        })
    }

    /// Keeps an attempt and what becomes of the callback, which is nobody's afterwards.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim was lost: then neither is kept.
    pub async fn record_attempt(
        &self,
        claim: &CallbackClaim,
        attempt: &Attempt,
        next: CallbackNext,
    ) -> Result<()> {
        let mut write = self.begin().await?;
        let row = callback::Entity::find_by_id(claim.callback.id.as_str())
            .filter(callback::Column::Worker.eq(claim.worker.as_str()))
            .filter(callback::Column::Fence.eq(claim.fence))
            .lock_exclusive()
            .one(&write.tx)
            .await?;
        let row = row.ok_or(StoreError::Fenced)?;
        attempt::Entity::insert(attempt_row(&row.id, attempt)?).exec_without_returning(&write.tx).await?;
        let changed = callback::ActiveModel {
            attempts: Set(row.attempts + 1),
            retry: Set(true),
            worker: Set(None),
            lease_until: Set(None),
            ..self.fate(next)
        };
        callback::Entity::update_many()
            .set(changed)
            .filter(callback::Column::Id.eq(&row.id))
            .exec(&write.tx)
            .await?;
        if matches!(next, CallbackNext::RetryAt(_)) {
            write.made_callback();
        }
        write.commit().await
    }

    fn fate(&self, next: CallbackNext) -> callback::ActiveModel {
        let (status, next_attempt, delivered) = match next {
            CallbackNext::RetryAt(at) => (CallbackStatus::Owed, Some(at), None),
            CallbackNext::Delivered => (CallbackStatus::Delivered, None, Some(self.now())),
            CallbackNext::Exhausted => (CallbackStatus::Exhausted, None, None),
            CallbackNext::Refused => (CallbackStatus::Refused, None, None),
        };
        callback::ActiveModel {
            status: Set(status.to_string()),
            next_attempt: Set(next_attempt.map(Timestamp::as_millis)),
            delivered: Set(delivered.map(Timestamp::as_millis)),
            ..Default::default()
        }
    }

    /// When the next callback is due that nobody has; it may be past.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next_due(&self) -> Result<Option<Timestamp>> {
        let next: Option<Option<i64>> = callback::Entity::find()
            .select_only()
            .column_as(callback::Column::NextAttempt.min(), "next")
            .filter(callback::Column::NextAttempt.is_not_null())
            .filter(callback::Column::Worker.is_null())
            .into_tuple()
            .one(self.database())
            .await?;
        Ok(column::moment(next.flatten()))
    }

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
        let row = callback::ActiveModel {
            id: Set(id.to_string()),
            tenant_id: Set(storage.tenant.to_string()),
            storage_id: Set(storage.id.to_string()),
            receiver: Set(column::text(&receiver(&storage.notify))),
            status: Set(CallbackStatus::Owed.to_string()),
            body: Set(self.compose(storage, tasks)),
            attempts: Set(0),
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
        write.made_callback();
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

/// `scheme://host:port` of a URL; a text that is none is a receiver of its own.
fn receiver(notify: &str) -> String {
    match url::Url::parse(notify) {
        Ok(url) if url.has_host() => format!(
            "{}://{}:{}",
            url.scheme(),
            url.host_str().unwrap_or_default(),
            url.port_or_known_default().unwrap_or_default()
        ),
        _ => notify.to_owned(),
    }
}

/// `$1` worker, `$2` lease, `$3` now, `$4` limit, then the busy receivers.
fn claim_statement(backend: DbBackend, busy: usize) -> String {
    let busy: Vec<String> = (0..busy).map(|index| format!("${}", index + 5)).collect();
    let not_busy =
        if busy.is_empty() { String::new() } else { format!("AND receiver NOT IN ({}) ", busy.join(", ")) };
    let due = format!(
        "SELECT id FROM callback WHERE worker IS NULL AND next_attempt <= $3 {not_busy}\
         ORDER BY retry, next_attempt, id LIMIT $4"
    );
    let claim = "UPDATE callback SET worker = $1, lease_until = $2, fence = fence + 1";
    if backend == DbBackend::Postgres {
        format!(
            "WITH due AS MATERIALIZED ({due} FOR UPDATE SKIP LOCKED) \
             {claim} FROM due WHERE callback.id = due.id RETURNING callback.*"
        )
    } else {
        format!("{claim} WHERE id IN ({due}) RETURNING *")
    }
}

/// The tasks that each of these callbacks tells about, in order.
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
        let task = column::read("callback_task.task_id", &row.task_id)?;
        tasks.entry(row.callback_id).or_default().push(task);
    }
    Ok(tasks)
}

async fn storages_of(
    database: &impl ConnectionTrait,
    callbacks: &[callback::Model],
) -> Result<HashMap<String, storage::Model>> {
    let ids = callbacks.iter().map(|row| row.storage_id.as_str());
    let rows = storage::Entity::find().filter(storage::Column::Id.is_in(ids)).all(database).await?;
    Ok(rows.into_iter().map(|row| (row.id.clone(), row)).collect())
}

fn read(row: callback::Model, task_ids: Vec<TaskId>) -> Result<Callback> {
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

fn attempt_row(callback: &str, attempt: &Attempt) -> Result<attempt::ActiveModel> {
    let text = |free: &Option<String>| Set(free.as_deref().map(column::text));
    Ok(attempt::ActiveModel {
        callback_id: Set(callback.to_owned()),
        number: Set(column::number("attempt.number", attempt.number)?),
        time: Set(attempt.time.as_millis()),
        address: text(&attempt.address),
        dns_ms: Set(attempt.dns_ms.map(i64::from)),
        connect_ms: Set(attempt.connect_ms.map(i64::from)),
        first_byte_ms: Set(attempt.first_byte_ms.map(i64::from)),
        total_ms: Set(attempt.total_ms.into()),
        http_status: Set(attempt.http_status.map(i32::from)),
        error: text(&attempt.error),
        response_head: text(&attempt.response_head),
        response_body: text(&attempt.response_body),
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("https://User@Example.com/hook?sig=1", "https://example.com:443")]
    #[case("http://[::1]:8080/", "http://[::1]:8080")]
    #[case("not a url", "not a url")]
    fn receivers(#[case] notify: &str, #[case] expected: &str) {
        assert_eq!(receiver(notify), expected);
    }
}
