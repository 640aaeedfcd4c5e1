//! Claims: a sender takes what is due for some receivers.

use std::{collections::HashMap, sync::Arc, time::Duration};

use model::{CallbackId, Storage, Timestamp, WorkerId};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbBackend, EntityTrait as _, FromQueryResult, QueryFilter as _,
    Statement,
};
use serde::Serialize;

use super::rows::{Columns, HELD_BY, unfolded};
use crate::{Result, Store, StoreError, column, entities::storage, storages};

const CLAIMED: &str =
    "id, storage_id, receiver, body, attempts, attempts_before, retry, created, next_attempt, fence";

/// How much is wanted for one receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Want {
    /// The name of its queue.
    pub receiver: String,
    /// Whether those that were tried before.
    pub retry: bool,
    /// At most so many.
    pub most: u32,
}

/// A due callback that a sender has, as long as its fence holds.
#[derive(Clone, Debug, PartialEq)]
pub struct CallbackClaim {
    /// The callback.
    pub id: CallbackId,
    /// The name of the queue it stood in.
    pub receiver: String,
    /// Where it goes and how it is signed, as it is now.
    pub storage: Arc<Storage>,
    /// The exact bytes that are sent.
    pub body: Vec<u8>,
    /// Attempts made so far, in all.
    pub attempts: u32,
    /// Those of them that use up nothing: it became owed again after them.
    pub attempts_before: u32,
    /// Whether it was tried before.
    pub retry: bool,
    /// When it became owed for the first time.
    pub created: Timestamp,
    /// When this attempt was due.
    pub due: Timestamp,
    /// Grows with each claim of the callback.
    pub fence: i64,
    /// Until when it is the sender's.
    pub lease_until: Timestamp,
}

#[derive(FromQueryResult)]
struct Row {
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

const HELD: Columns = &[("id", "text"), ("fence", "bigint")];

#[derive(Serialize)]
struct Held<'a> {
    id: &'a str,
    fence: i64,
}

impl Store {
    /// Takes callbacks that are due now, for each receiver the oldest first.
    ///
    /// # Errors
    /// When the database fails; what was claimed by then waits until its lease runs out. A callback that
    /// cannot be read is logged and left out; it stays leased, so that it does not stand before all others.
    pub async fn claim_callbacks(
        &self,
        worker: &WorkerId,
        lease: Duration,
        wants: &[Want],
    ) -> Result<Vec<CallbackClaim>> {
        let lease_until = self.now() + lease;
        let mut rows = match self.database().get_database_backend() {
            DbBackend::Postgres => self.claim_together(worker, lease_until, wants).await?,
            _ => self.claim_each(worker, lease_until, wants).await?,
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
            match claim(row, &storages, lease_until) {
                Ok(claim) => claims.push(claim),
                Err(error) => tracing::error!(callback_id = id, %error, "a callback cannot be sent"),
            }
        }
        Ok(claims)
    }

    /// One statement for all receivers, and no transaction around it: a round trip costs more than the work.
    async fn claim_together(
        &self,
        worker: &WorkerId,
        lease_until: Timestamp,
        wants: &[Want],
    ) -> Result<Vec<Row>> {
        let claim = format!(
            "WITH due AS MATERIALIZED (\
                SELECT found.id AS due_id FROM jsonb_to_recordset($4::jsonb) AS want(receiver text, retry bool, most int) \
                CROSS JOIN LATERAL (\
                    SELECT id FROM callback WHERE retry = want.retry AND receiver = want.receiver \
                    AND worker IS NULL AND next_attempt <= $3 \
                    ORDER BY next_attempt, id LIMIT want.most FOR UPDATE SKIP LOCKED) AS found) \
             UPDATE callback SET worker = $1, lease_until = $2, fence = fence + 1 \
             FROM due WHERE id = due_id RETURNING {CLAIMED}"
        );
        let values = [
            worker.as_str().into(),
            lease_until.as_millis().into(),
            self.now().as_millis().into(),
            column::to_json("wants", &wants)?.into(),
        ];
        rows(self.writing(false), Statement::from_sql_and_values(DbBackend::Postgres, claim, values)).await
    }

    /// One statement for each receiver: SQLite cannot limit each of many, and there is no way to go.
    async fn claim_each(
        &self,
        worker: &WorkerId,
        lease_until: Timestamp,
        wants: &[Want],
    ) -> Result<Vec<Row>> {
        let claim = format!(
            "UPDATE callback SET worker = $1, lease_until = $2, fence = fence + 1 WHERE id IN (\
                SELECT id FROM callback WHERE retry = $4 AND receiver = $5 AND worker IS NULL \
                AND next_attempt <= $3 ORDER BY next_attempt, id LIMIT $6) RETURNING {CLAIMED}"
        );
        let write = self.begin_unsynced().await?;
        let mut all = Vec::new();
        for want in wants {
            let values = [
                worker.as_str().into(),
                lease_until.as_millis().into(),
                self.now().as_millis().into(),
                want.retry.into(),
                want.receiver.as_str().into(),
                want.most.into(),
            ];
            let claim = Statement::from_sql_and_values(DbBackend::Sqlite, claim.as_str(), values);
            all.extend(rows(&write.tx, claim).await?);
        }
        if !all.is_empty() {
            write.commit().await?;
        }
        Ok(all)
    }

    /// Each storage once, however many of its callbacks were claimed.
    async fn storages_of(&self, claimed: &[Row]) -> Result<HashMap<String, Result<Arc<Storage>>>> {
        let mut ids: Vec<&str> = claimed.iter().map(|row| row.storage_id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        let rows =
            storage::Entity::find().filter(storage::Column::Id.is_in(ids)).all(self.database()).await?;
        let read = |row: storage::Model| (row.id.clone(), storages::read(row, self.cipher()).map(Arc::new));
        Ok(rows.into_iter().map(read).collect())
    }

    /// Gives claims back that were not sent after all, as if they had never been made.
    ///
    /// # Errors
    /// When the database fails; their leases run out then.
    pub async fn give_back_callbacks(&self, worker: &WorkerId, claims: &[CallbackClaim]) -> Result<()> {
        let mut write = self.begin().await?;
        let backend = write.tx.get_database_backend();
        let free = format!(
            "UPDATE callback SET worker = NULL, lease_until = NULL FROM {} \
             WHERE callback.id = made.id AND {HELD_BY}",
            unfolded(backend, HELD)
        );
        let held: Vec<Held<'_>> =
            claims.iter().map(|claim| Held { id: claim.id.as_str(), fence: claim.fence }).collect();
        let values = [column::to_json("claims", &held)?.into(), worker.as_str().into()];
        write.tx.execute_raw(Statement::from_sql_and_values(backend, free, values)).await?;
        write.made_callback("");
        write.commit().await
    }
}

async fn rows(database: &impl ConnectionTrait, claim: Statement) -> Result<Vec<Row>> {
    let rows = database.query_all_raw(claim).await?;
    Ok(rows.iter().map(|row| Row::from_query_result(row, "")).collect::<Result<_, _>>()?)
}

fn claim(
    row: Row,
    storages: &HashMap<String, Result<Arc<Storage>>>,
    lease_until: Timestamp,
) -> Result<CallbackClaim> {
    let storage = match storages.get(&row.storage_id) {
        Some(Ok(storage)) => Arc::clone(storage),
        Some(Err(error)) => return Err(StoreError::Corrupt(error.to_string())),
        None => return Err(StoreError::Corrupt("the callback's storage is gone".to_owned())),
    };
    Ok(CallbackClaim {
        id: column::read("callback.id", &row.id)?,
        receiver: row.receiver,
        storage,
        body: row.body,
        attempts: column::number("callback.attempts", row.attempts)?,
        attempts_before: column::number("callback.attempts_before", row.attempts_before)?,
        retry: row.retry,
        created: Timestamp::from_millis(row.created),
        due: Timestamp::from_millis(row.next_attempt),
        fence: row.fence,
        lease_until,
    })
}
