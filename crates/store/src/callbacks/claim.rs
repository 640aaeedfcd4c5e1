//! Claims: a sender takes what is due from some queues.

use std::{collections::HashMap, sync::Arc, time::Duration};

use model::{CallbackId, Storage, Timestamp, WorkerId, limits::MAX_CLAIMED_BYTES};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbBackend, EntityTrait as _, FromQueryResult, QueryFilter as _,
    Statement,
};
use serde::Serialize;

use crate::{
    convert,
    entities::storage,
    error::{Result, StoreError},
    storages,
    store::Store,
};

const CLAIMED_COLUMNS: &str =
    "id, storage_id, receiver, body, attempts, attempts_before, retry, created, next_attempt, fence";

/// How many callbacks to claim from one queue. On PostgreSQL a statement reads it as JSON, by the names
/// of the fields there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClaimRequest {
    /// The name of the queue.
    #[serde(rename = "receiver")]
    pub queue: String,
    /// Whether to claim retries; else first attempts.
    pub retry: bool,
    /// The most callbacks to claim.
    #[serde(rename = "most")]
    pub limit: u32,
}

/// A due callback that a sender has, as long as its fence holds.
#[derive(Clone, Debug, PartialEq)]
pub struct CallbackClaim {
    /// The callback.
    pub id: CallbackId,
    /// The name of its queue.
    pub queue: String,
    /// Where it goes and how it is signed, as it is now.
    pub storage: Arc<Storage>,
    /// The exact bytes that are sent.
    pub body: Vec<u8>,
    /// Attempts made so far, in all.
    pub attempts: u32,
    /// Those of them that do not count against its limit: they were made before it was redelivered.
    pub attempts_before: u32,
    /// Whether it was tried before.
    pub retry: bool,
    /// When it became owed for the first time.
    pub created: Timestamp,
    /// When this attempt was due.
    pub due: Timestamp,
    /// Grows with each claim of the callback.
    pub fence: i64,
    /// When the claim ends.
    pub lease_until: Timestamp,
}

#[derive(FromQueryResult)]
struct ClaimedRow {
    id: String,
    storage_id: String,
    receiver: String,
    body: Vec<u8>,
    attempts: i32,
    attempts_before: i32,
    retry: bool,
    created: i64,
    next_attempt: i64,
    fence: i64,
}

impl Store {
    /// Claims callbacks that are due now, from each queue the oldest first. Together their bodies have no
    /// more bytes than [`MAX_CLAIMED_BYTES`] and one body: what has no room is left for the next claim.
    ///
    /// # Errors
    /// When the database fails; what was claimed by then waits until its lease runs out. A callback that
    /// cannot be read is logged and left out; it stays leased, so that it does not block its queue.
    pub async fn claim_callbacks(
        &self,
        worker: &WorkerId,
        lease: Duration,
        requests: &[ClaimRequest],
    ) -> Result<Vec<CallbackClaim>> {
        let now = self.queue_time();
        let lease_until = now + lease;
        let mut rows = match self.database().get_database_backend() {
            DbBackend::Postgres => self.claim_in_one_statement(worker, now, lease_until, requests).await?,
            _ => self.claim_queue_by_queue(worker, now, lease_until, requests).await?,
        };
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        // RETURNING promises no order
        rows.sort_by(|a, b| (a.next_attempt, &a.id).cmp(&(b.next_attempt, &b.id)));
        let storages = self.storages_of(&rows).await?;
        let mut claims = Vec::with_capacity(rows.len());
        for row in rows {
            let id = row.id.clone();
            match into_claim(row, &storages, lease_until) {
                Ok(claim) => claims.push(claim),
                Err(error) => tracing::error!(callback_id = id, %error, "a callback cannot be sent"),
            }
        }
        Ok(claims)
    }

    /// For PostgreSQL: one statement for all queues, in no transaction but its own, because a round trip
    /// costs more than the work.
    async fn claim_in_one_statement(
        &self,
        worker: &WorkerId,
        now: Timestamp,
        lease_until: Timestamp,
        requests: &[ClaimRequest],
    ) -> Result<Vec<ClaimedRow>> {
        // the first of each queue come first, and of these the small ones: large bodies hold up no other queue
        let claim = format!(
            "WITH due AS MATERIALIZED (\
                SELECT found.id AS due_id, found.bytes, row_number() OVER (\
                    PARTITION BY want.receiver, want.retry ORDER BY found.next_attempt, found.id) AS place \
                FROM jsonb_to_recordset($4::jsonb) AS want(receiver text, retry bool, most int) \
                CROSS JOIN LATERAL (\
                    SELECT id, next_attempt, octet_length(body) AS bytes FROM callback \
                    WHERE retry = want.retry AND receiver = want.receiver \
                    AND worker IS NULL AND next_attempt <= $3 \
                    ORDER BY next_attempt, id LIMIT want.most FOR UPDATE SKIP LOCKED) AS found), \
             counted AS (\
                SELECT due_id, sum(bytes) OVER (ORDER BY place, bytes, due_id) - bytes AS bytes_before FROM due) \
             UPDATE callback SET worker = $1, lease_until = $2, fence = fence + 1 \
             FROM counted WHERE id = due_id AND bytes_before < $5 RETURNING {CLAIMED_COLUMNS}"
        );
        let values = [
            worker.as_str().into(),
            lease_until.as_millis().into(),
            now.as_millis().into(),
            convert::to_json("claim requests", &requests)?.into(),
            (MAX_CLAIMED_BYTES as i64).into(),
        ];
        let claim = Statement::from_sql_and_values(DbBackend::Postgres, claim, values);
        claimed_rows(self.unsynced_writes(), claim).await
    }

    /// For SQLite: one statement for each queue, because SQLite has no LATERAL to limit each of many,
    /// and no round trip to save.
    async fn claim_queue_by_queue(
        &self,
        worker: &WorkerId,
        now: Timestamp,
        lease_until: Timestamp,
        requests: &[ClaimRequest],
    ) -> Result<Vec<ClaimedRow>> {
        let claim = format!(
            "UPDATE callback SET worker = $1, lease_until = $2, fence = fence + 1 WHERE id IN (\
                SELECT id FROM (\
                    SELECT id, SUM(bytes) OVER (ORDER BY next_attempt, id) - bytes AS bytes_before FROM (\
                        SELECT id, next_attempt, length(body) AS bytes FROM callback \
                        WHERE retry = $4 AND receiver = $5 AND worker IS NULL AND next_attempt <= $3 \
                        ORDER BY next_attempt, id LIMIT $6)) \
                WHERE bytes_before < $7) RETURNING {CLAIMED_COLUMNS}"
        );
        // an equal share for each queue: large bodies hold up no other
        let share = MAX_CLAIMED_BYTES / requests.len().max(1);
        let tx = self.unsynced_transaction().await?;
        let (mut rows, mut bytes) = (Vec::new(), 0);
        for request in requests {
            if bytes >= MAX_CLAIMED_BYTES {
                break;
            }
            let values = [
                worker.as_str().into(),
                lease_until.as_millis().into(),
                now.as_millis().into(),
                request.retry.into(),
                request.queue.as_str().into(),
                request.limit.into(),
                (share as i64).into(),
            ];
            let claim = Statement::from_sql_and_values(DbBackend::Sqlite, claim.as_str(), values);
            let claimed = claimed_rows(&tx.db, claim).await?;
            bytes += claimed.iter().map(|row| row.body.len()).sum::<usize>();
            rows.extend(claimed);
        }
        if !rows.is_empty() {
            tx.commit().await?;
        }
        Ok(rows)
    }

    /// Each storage once, however many of its callbacks were claimed.
    async fn storages_of(&self, claimed: &[ClaimedRow]) -> Result<HashMap<String, Result<Arc<Storage>>>> {
        let mut ids: Vec<&str> = claimed.iter().map(|row| row.storage_id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        let rows =
            storage::Entity::find().filter(storage::Column::Id.is_in(ids)).all(self.database()).await?;
        let read = |row: storage::Model| (row.id.clone(), storages::read(row, self.cipher()).map(Arc::new));
        Ok(rows.into_iter().map(read).collect())
    }
}

async fn claimed_rows(database: &impl ConnectionTrait, claim: Statement) -> Result<Vec<ClaimedRow>> {
    let rows = database.query_all_raw(claim).await?;
    Ok(rows.iter().map(|row| ClaimedRow::from_query_result(row, "")).collect::<Result<_, _>>()?)
}

fn into_claim(
    row: ClaimedRow,
    storages: &HashMap<String, Result<Arc<Storage>>>,
    lease_until: Timestamp,
) -> Result<CallbackClaim> {
    let storage = match storages.get(&row.storage_id) {
        Some(Ok(storage)) => Arc::clone(storage),
        Some(Err(error)) => return Err(StoreError::Corrupt(error.to_string())),
        None => return Err(StoreError::Corrupt("the callback's storage is gone".to_owned())),
    };
    Ok(CallbackClaim {
        id: convert::parse("callback.id", &row.id)?,
        queue: row.receiver,
        storage,
        body: row.body,
        attempts: convert::number("callback.attempts", row.attempts)?,
        attempts_before: convert::number("callback.attempts_before", row.attempts_before)?,
        retry: row.retry,
        created: Timestamp::from_millis(row.created),
        due: Timestamp::from_millis(row.next_attempt),
        fence: row.fence,
        lease_until,
    })
}
