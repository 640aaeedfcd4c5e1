//! What can go wrong in the database, and whether it may pass by itself.

use model::WrongState;
use sea_orm::{DbErr, RuntimeErr};

use crate::cipher::CipherError;

/// What the store answers.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such thing, or it is another tenant's.
    #[error("{0}")]
    NotFound(String),
    /// It exists already or is in use.
    #[error("{0}")]
    Conflict(String),
    /// A call with this idempotency key was answered already; see [`crate::Store::idempotent_answer`].
    #[error("the call was answered already")]
    AlreadyAnswered,
    /// The key has as many tasks as it may have.
    #[error("{0}")]
    OverQuota(String),
    /// The claim was lost: the work was given to another worker, or the task ended without it.
    #[error("the claim was lost")]
    Fenced,
    /// The task's state does not allow it.
    #[error(transparent)]
    WrongState(#[from] WrongState),
    /// A secret could not be sealed or opened.
    #[error(transparent)]
    Secret(#[from] CipherError),
    /// The database failed.
    #[error("database: {0}")]
    Database(#[from] DbErr),
    /// A row does not hold what it must.
    #[error("corrupt row: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// Whether the same call may succeed later: the database was away or busy.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(DbErr::ConnectionAcquire(_) | DbErr::Conn(_)) => true,
            Self::Database(
                DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)),
            ) => may_pass(error),
            _ => false,
        }
    }
}

fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code_may_pass(&code)),
        _ => false,
    }
}

/// PostgreSQL's classes 08 (connection), 40 (rollback), 53 (resources) and 57 (intervention);
/// SQLite's 5 (busy), 6 (locked), 10 (I/O failed) and 13 (disk full), whose extended codes keep them
/// in the low byte.
fn code_may_pass(code: &str) -> bool {
    let sqlstate = code.len() == 5 && ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class));
    sqlstate
        || code
            .parse::<u32>()
            .is_ok_and(|code| code.to_string().len() < 5 && matches!(code & 0xff, 5 | 6 | 10 | 13))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("40P01", true)]
    #[case("57P01", true)]
    #[case("23505", false)]
    #[case("5", true)]
    #[case("517", true)]
    #[case("13", true)]
    #[case("778", true)]
    #[case("2067", false)]
    fn codes(#[case] code: &str, #[case] passes: bool) {
        assert_eq!(code_may_pass(code), passes);
    }
}
