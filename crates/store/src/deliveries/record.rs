//! Records: what came of attempts, many in one transaction.

use std::collections::HashSet;

use model::{Attempt, CallbackId, CallbackNext, CallbackStatus, Timestamp, WorkerId};
use sea_orm::{ConnectionTrait as _, Statement};
use serde::Serialize;

use super::{
    CallbackClaim,
    rows::{Columns, HELD_BY, names, unfolded},
};
use crate::{Result, Store, begin::Write, column};

/// An attempt that was made, and what becomes of its callback.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The callback.
    pub id: CallbackId,
    /// The fence of the claim it was made with.
    pub fence: i64,
    /// What happened.
    pub attempt: Attempt,
    /// What comes next.
    pub next: CallbackNext,
}

impl Record {
    /// The record of an attempt that was made with a claim.
    pub fn new(claim: &CallbackClaim, attempt: Attempt, next: CallbackNext) -> Self {
        Self { id: claim.id.clone(), fence: claim.fence, attempt, next }
    }
}

#[derive(Serialize)]
struct Fate<'a> {
    id: &'a str,
    fence: i64,
    status: CallbackStatus,
    next_attempt: Option<Timestamp>,
    delivered: Option<Timestamp>,
}

#[derive(Serialize)]
struct Made<'a> {
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

const FATE: Columns = &[
    ("id", "text"),
    ("fence", "bigint"),
    ("status", "text"),
    ("next_attempt", "bigint"),
    ("delivered", "bigint"),
];

const MADE: Columns = &[
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
    /// Keeps attempts and what becomes of their callbacks, which are nobody's afterwards. All are
    /// kept or, when this fails, none; but those whose claim was lost are left out, and are given.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record_attempts(&self, worker: &WorkerId, records: &[Record]) -> Result<Vec<CallbackId>> {
        let write = self.begin().await?;
        let held = self.decide(&write, worker, records).await?;
        let (kept, lost): (Vec<_>, Vec<_>) =
            records.iter().partition(|record| held.contains(record.id.as_str()));
        keep(&write, &kept).await?;
        write.commit().await?;
        Ok(lost.into_iter().map(|record| record.id.clone()).collect())
    }

    /// Writes what becomes of the callbacks whose claim still holds, and says which.
    async fn decide(
        &self,
        write: &Write<'_>,
        worker: &WorkerId,
        records: &[Record],
    ) -> Result<HashSet<String>> {
        let backend = write.tx.get_database_backend();
        let update = format!(
            "UPDATE callback SET status = made.status, next_attempt = made.next_attempt, \
                delivered = made.delivered, attempts = attempts + 1, retry = TRUE, worker = NULL, \
                lease_until = NULL \
             FROM {} WHERE callback.id = made.id AND {HELD_BY} \
             RETURNING callback.id AS id",
            unfolded(backend, FATE)
        );
        let now = self.now();
        let fates: Vec<Fate<'_>> = records.iter().map(|record| fate(record, now)).collect();
        let values = [column::to_json("fates", &fates)?.into(), worker.as_str().into()];
        let rows = write.tx.query_all_raw(Statement::from_sql_and_values(backend, update, values)).await?;
        Ok(rows.iter().map(|row| row.try_get("", "id")).collect::<Result<_, _>>()?)
    }
}

async fn keep(write: &Write<'_>, records: &[&Record]) -> Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    let backend = write.tx.get_database_backend();
    let names = names(MADE);
    // the first of them is `id`
    let insert =
        format!("INSERT INTO attempt (callback_{names}) SELECT {names} FROM {}", unfolded(backend, MADE));
    let rows: Vec<Made<'_>> = records.iter().map(|record| made(record)).collect();
    let values = [column::to_json("attempts", &rows)?.into()];
    write.tx.execute_raw(Statement::from_sql_and_values(backend, insert, values)).await?;
    Ok(())
}

fn fate(record: &Record, now: Timestamp) -> Fate<'_> {
    let (status, next_attempt, delivered) = match record.next {
        CallbackNext::RetryAt(at) => (CallbackStatus::Owed, Some(at), None),
        CallbackNext::Delivered => (CallbackStatus::Delivered, None, Some(now)),
        CallbackNext::Exhausted => (CallbackStatus::Exhausted, None, None),
        CallbackNext::Refused => (CallbackStatus::Refused, None, None),
    };
    Fate { id: record.id.as_str(), fence: record.fence, status, next_attempt, delivered }
}

fn made(record: &Record) -> Made<'_> {
    let attempt = &record.attempt;
    let text = |free: &Option<String>| free.as_deref().map(column::text);
    Made {
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
