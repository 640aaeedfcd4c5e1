//! Records of attempts: what happened, and what becomes of the callback; many in one transaction.

use std::collections::HashSet;

use model::{Attempt, CallbackId, CallbackNext, CallbackStatus, Timestamp, WorkerId};
use sea_orm::{ConnectionTrait as _, Statement};
use serde::Serialize;

use crate::{
    callbacks::{
        claim::CallbackClaim,
        json_rows::{CLAIM_HOLDS, Columns, column_list, from_json_rows},
    },
    convert,
    error::Result,
    store::Store,
    transaction::WriteTransaction,
};

/// An attempt that was made, and what becomes of its callback.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptRecord {
    /// The callback.
    pub id: CallbackId,
    /// The fence of the claim it was made with.
    pub fence: i64,
    /// What happened.
    pub attempt: Attempt,
    /// What comes next.
    pub next: CallbackNext,
}

impl AttemptRecord {
    /// The record of an attempt that was made with a claim.
    pub fn new(claim: &CallbackClaim, attempt: Attempt, next: CallbackNext) -> Self {
        Self { id: claim.id.clone(), fence: claim.fence, attempt, next }
    }
}

/// What changes in the table `callback`.
#[derive(Serialize)]
struct CallbackRow<'a> {
    id: &'a str,
    fence: i64,
    status: CallbackStatus,
    next_attempt: Option<Timestamp>,
    delivered: Option<Timestamp>,
}

const CALLBACK_COLUMNS: Columns = &[
    ("id", "text"),
    ("fence", "bigint"),
    ("status", "text"),
    ("next_attempt", "bigint"),
    ("delivered", "bigint"),
];

/// A row of the table `attempt`; `id` becomes its `callback_id`.
#[derive(Serialize)]
struct AttemptRow<'a> {
    id: &'a str,
    number: u32,
    time: Timestamp,
    address: Option<String>,
    dns_ms: Option<u32>,
    connect_ms: Option<u32>,
    first_byte_ms: Option<u32>,
    total_ms: u32,
    http_status: Option<u16>,
    error: Option<String>,
    response_head: Option<String>,
    response_body: Option<String>,
}

const ATTEMPT_COLUMNS: Columns = &[
    ("id", "text"),
    ("number", "int"),
    ("time", "bigint"),
    ("address", "text"),
    ("dns_ms", "bigint"),
    ("connect_ms", "bigint"),
    ("first_byte_ms", "bigint"),
    ("total_ms", "bigint"),
    ("http_status", "int"),
    ("error", "text"),
    ("response_head", "text"),
    ("response_body", "text"),
];

impl Store {
    /// Writes attempts and what becomes of their callbacks, whose claims end with it. All are written
    /// or, when this fails, none; except those whose claim was lost: they are left out, and their ids
    /// returned.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record_attempts(
        &self,
        worker: &WorkerId,
        records: &[AttemptRecord],
    ) -> Result<Vec<CallbackId>> {
        let tx = self.transaction().await?;
        let updated = self.update_callbacks(&tx, worker, records).await?;
        let (held, lost): (Vec<_>, Vec<_>) =
            records.iter().partition(|record| updated.contains(record.id.as_str()));
        insert_attempts(&tx, &held).await?;
        tx.commit().await?;
        Ok(lost.into_iter().map(|record| record.id.clone()).collect())
    }

    /// Updates the callbacks whose claim still holds, and returns their ids.
    async fn update_callbacks(
        &self,
        tx: &WriteTransaction<'_>,
        worker: &WorkerId,
        records: &[AttemptRecord],
    ) -> Result<HashSet<String>> {
        let backend = tx.db.get_database_backend();
        let update = format!(
            "UPDATE callback SET status = made.status, next_attempt = made.next_attempt, \
                delivered = made.delivered, attempts = attempts + 1, retry = TRUE, worker = NULL, \
                lease_until = NULL \
             FROM {} WHERE callback.id = made.id AND {CLAIM_HOLDS} \
             RETURNING callback.id AS id",
            from_json_rows(backend, CALLBACK_COLUMNS)
        );
        let now = self.now();
        let rows: Vec<CallbackRow<'_>> = records.iter().map(|record| callback_row(record, now)).collect();
        let values = [convert::to_json("callbacks", &rows)?.into(), worker.as_str().into()];
        let updated = tx.db.query_all_raw(Statement::from_sql_and_values(backend, update, values)).await?;
        Ok(updated.iter().map(|row| row.try_get("", "id")).collect::<Result<_, _>>()?)
    }
}

async fn insert_attempts(tx: &WriteTransaction<'_>, records: &[&AttemptRecord]) -> Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    let backend = tx.db.get_database_backend();
    let columns = column_list(ATTEMPT_COLUMNS);
    // the list begins with `id`, so this inserts into `callback_id`, `number` …
    let insert = format!(
        "INSERT INTO attempt (callback_{columns}) SELECT {columns} FROM {}",
        from_json_rows(backend, ATTEMPT_COLUMNS)
    );
    let rows: Vec<AttemptRow<'_>> = records.iter().map(|record| attempt_row(record)).collect();
    let values = [convert::to_json("attempts", &rows)?.into()];
    tx.db.execute_raw(Statement::from_sql_and_values(backend, insert, values)).await?;
    Ok(())
}

fn callback_row(record: &AttemptRecord, now: Timestamp) -> CallbackRow<'_> {
    let (status, next_attempt, delivered) = match record.next {
        CallbackNext::RetryAt(at) => (CallbackStatus::Owed, Some(at), None),
        CallbackNext::Delivered => (CallbackStatus::Delivered, None, Some(now)),
        CallbackNext::Exhausted => (CallbackStatus::Exhausted, None, None),
        CallbackNext::Refused => (CallbackStatus::Refused, None, None),
    };
    CallbackRow { id: record.id.as_str(), fence: record.fence, status, next_attempt, delivered }
}

fn attempt_row(record: &AttemptRecord) -> AttemptRow<'_> {
    let attempt = &record.attempt;
    let text = |free: &Option<String>| free.as_deref().map(convert::without_nul);
    AttemptRow {
        id: record.id.as_str(),
        number: attempt.number,
        time: attempt.time,
        address: text(&attempt.address),
        dns_ms: attempt.dns_ms,
        connect_ms: attempt.connect_ms,
        first_byte_ms: attempt.first_byte_ms,
        total_ms: attempt.total_ms,
        http_status: attempt.http_status,
        error: text(&attempt.error),
        response_head: text(&attempt.response_head),
        response_body: text(&attempt.response_body),
    }
}
