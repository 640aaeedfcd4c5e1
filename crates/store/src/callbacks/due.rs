//! Which queues have callbacks that nobody has claimed, and when the first of each is due.

use model::Timestamp;
use sea_orm::{ConnectionTrait as _, FromQueryResult, Statement};

use crate::{error::Result, store::Store};

/// Loose index scan: a recursive query that jumps from one queue to the next through the index, so that
/// its cost does not grow with the callbacks of each.
const DUE_QUEUES: &str = "\
    WITH RECURSIVE ready(receiver) AS (\
        SELECT (SELECT min(receiver) FROM callback \
            WHERE retry = $1 AND worker IS NULL AND next_attempt IS NOT NULL) \
        UNION ALL \
        SELECT (SELECT min(receiver) FROM callback \
            WHERE retry = $1 AND worker IS NULL AND next_attempt IS NOT NULL AND receiver > ready.receiver) \
        FROM ready WHERE ready.receiver IS NOT NULL) \
    SELECT receiver, (SELECT min(next_attempt) FROM callback WHERE retry = $1 AND receiver = ready.receiver \
        AND worker IS NULL AND next_attempt IS NOT NULL) AS due \
    FROM ready WHERE receiver IS NOT NULL";

/// A queue with callbacks that are owed and not claimed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueQueue {
    /// Its name.
    pub queue: String,
    /// Whether these are retries; first attempts are counted apart.
    pub retry: bool,
    /// When the first of them is due; it may be past.
    pub due: Timestamp,
}

#[derive(FromQueryResult)]
struct DueQueueRow {
    receiver: String,
    /// None when the last callback was claimed after its queue was found.
    due: Option<i64>,
}

impl Store {
    /// Every queue with callbacks that are owed and not claimed, once for its first attempts and once
    /// for its retries.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn due_queues(&self) -> Result<Vec<DueQueue>> {
        let database = self.database();
        let backend = database.get_database_backend();
        let mut queues = Vec::new();
        for retry in [false, true] {
            let query = Statement::from_sql_and_values(backend, DUE_QUEUES, [retry.into()]);
            for row in database.query_all_raw(query).await? {
                let row = DueQueueRow::from_query_result(&row, "")?;
                if let Some(due) = row.due {
                    queues.push(DueQueue { queue: row.receiver, retry, due: Timestamp::from_millis(due) });
                }
            }
        }
        Ok(queues)
    }
}
