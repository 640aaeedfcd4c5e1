//! Deliveries: due callbacks are claimed, and their attempts recorded, with a lease and a fence like
//! a job's: whoever was taken for dead learns it by [`StoreError::Fenced`].

use std::{collections::HashMap, time::Duration};

use model::{Attempt, Callback, CallbackNext, CallbackStatus, Storage, TaskId, Timestamp, WorkerId};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DbBackend, EntityTrait as _, FromQueryResult as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, Statement, Value,
};

use crate::{
    Result, Store, StoreError,
    begin::Write,
    callbacks, column,
    entities::{attempt, callback, storage},
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
        let mut rows = Vec::new();
        for retry in [false, true] {
            let left = i64::from(limit) - i64::try_from(rows.len()).unwrap_or(i64::MAX);
            if left > 0 {
                rows.extend(self.claim_rows(&write, worker, retry, left, lease, busy_receivers).await?);
            }
        }
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut tasks = callbacks::tasks_of(&write.tx, rows.iter().map(|row| row.id.as_str())).await?;
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
        retry: bool,
        limit: i64,
        lease: Duration,
        busy_receivers: &[String],
    ) -> Result<Vec<callback::Model>> {
        let backend = write.tx.get_database_backend();
        let now = self.now();
        let mut values: Vec<Value> = vec![
            worker.as_str().into(),
            (now + lease).as_millis().into(),
            now.as_millis().into(),
            retry.into(),
            limit.into(),
        ];
        values.extend(busy_receivers.iter().map(|receiver| Value::from(receiver.as_str())));
        let claim = claim_statement(backend, busy_receivers.len());
        let rows = write.tx.query_all_raw(Statement::from_sql_and_values(backend, claim, values)).await?;
        let mut rows = rows
            .iter()
            .map(|row| callback::Model::from_query_result(row, ""))
            .collect::<Result<Vec<_>, _>>()?;
        // RETURNING promises no order
        rows.sort_by(|a, b| (a.next_attempt, &a.id).cmp(&(b.next_attempt, &b.id)));
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
            callback: callbacks::read(row, tasks)?,
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
        let mut next = None;
        // each the first entry of the index
        for retry in [false, true] {
            let due: Option<Option<i64>> = callback::Entity::find()
                .select_only()
                .column(callback::Column::NextAttempt)
                .filter(callback::Column::Retry.eq(retry))
                .filter(callback::Column::NextAttempt.is_not_null())
                .filter(callback::Column::Worker.is_null())
                .order_by_asc(callback::Column::NextAttempt)
                .into_tuple()
                .one(self.database())
                .await?;
            next = [next, due.flatten()].into_iter().flatten().min();
        }
        Ok(column::moment(next))
    }
}

/// `$1` worker, `$2` lease, `$3` now, `$4` whether retries, `$5` limit, then the busy receivers.
/// First attempts and retries apart, so that the index gives just those that are due.
fn claim_statement(backend: DbBackend, busy: usize) -> String {
    let busy: Vec<String> = (0..busy).map(|index| format!("${}", index + 6)).collect();
    let not_busy =
        if busy.is_empty() { String::new() } else { format!("AND receiver NOT IN ({}) ", busy.join(", ")) };
    let due = format!(
        "SELECT id FROM callback WHERE worker IS NULL AND retry = $4 AND next_attempt <= $3 {not_busy}\
         ORDER BY next_attempt, id LIMIT $5"
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

async fn storages_of(
    database: &impl ConnectionTrait,
    callbacks: &[callback::Model],
) -> Result<HashMap<String, storage::Model>> {
    let ids = callbacks.iter().map(|row| row.storage_id.as_str());
    let rows = storage::Entity::find().filter(storage::Column::Id.is_in(ids)).all(database).await?;
    Ok(rows.into_iter().map(|row| (row.id.clone(), row)).collect())
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
