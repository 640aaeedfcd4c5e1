//! Which receivers have something due.

use model::Timestamp;
use sea_orm::{ConnectionTrait as _, FromQueryResult, Statement};

use crate::{Result, Store};

/// Jumps from receiver to receiver through the index, however much each of them is owed.
const READY: &str = "\
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

/// A receiver that is owed callbacks which nobody has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ready {
    /// The name of its queue.
    pub receiver: String,
    /// Whether they were tried before.
    pub retry: bool,
    /// When the first of them is due; it may be past.
    pub due: Timestamp,
}

#[derive(FromQueryResult)]
struct Row {
    receiver: String,
    /// None when the last one was taken between the two looks.
    due: Option<i64>,
}

impl Store {
    /// Every receiver that is owed callbacks which nobody has, once for first attempts and once for
    /// retries.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ready_receivers(&self) -> Result<Vec<Ready>> {
        let mut ready = Vec::new();
        for retry in [false, true] {
            let database = self.database();
            let look = Statement::from_sql_and_values(database.get_database_backend(), READY, [retry.into()]);
            for row in database.query_all_raw(look).await? {
                let row = Row::from_query_result(&row, "")?;
                let due = row.due.map(Timestamp::from_millis);
                ready.extend(due.map(|due| Ready { receiver: row.receiver, retry, due }));
            }
        }
        Ok(ready)
    }
}
