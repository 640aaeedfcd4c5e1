//! What can go wrong in the database, and whether it is transient.

use model::{FieldError, WrongState};
use sea_orm::{DbErr, RuntimeErr};

use crate::cipher::CipherError;

/// The result of a call to the store.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It does not exist, or is another tenant's.
    #[error("{0}")]
    NotFound(String),
    /// It exists already or is in use.
    #[error("{0}")]
    Conflict(String),
    /// A field of what is to be stored cannot be so beside what is there.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A call with this idempotency key was answered already; see [`crate::Store::idempotent_answer`].
    #[error("the call was answered already")]
    AlreadyAnswered,
    /// The access key has as many unfinished tasks as its quota allows.
    #[error("{0}")]
    OverQuota(String),
    /// The claim was lost: its fence no longer holds, because the lease ran out and the work was released,
    /// or the task ended without its worker.
    #[error("the claim was lost")]
    Fenced,
    /// The state of the task does not allow it.
    #[error(transparent)]
    WrongState(#[from] WrongState),
    /// A secret could not be encrypted or decrypted.
    #[error(transparent)]
    Secret(#[from] CipherError),
    /// The database failed.
    #[error("database: {0}")]
    Database(#[from] DbErr),
    /// A row holds what this program cannot have written.
    #[error("corrupt row: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// Whether the same call may succeed later: the database was unreachable or busy.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(DbErr::ConnectionAcquire(_) | DbErr::Conn(_)) => true,
            Self::Database(
                DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)),
            ) => is_transient(error),
            _ => false,
        }
    }
}

fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_transient_code(&code)),
        _ => false,
    }
}

/// Transient: SQLSTATE classes 08 (connection exception), 40 (transaction rollback), 53 (insufficient
/// resources) and 57 (operator intervention) of PostgreSQL; result codes 5 (BUSY), 6 (LOCKED), 10 (IOERR)
/// and 13 (FULL) of SQLite, also as the low byte of its extended codes.
fn is_transient_code(code: &str) -> bool {
    // a SQLSTATE has five characters, a code of SQLite at most four digits
    if code.len() == 5 {
        return ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class));
    }
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13))
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
    fn codes(#[case] code: &str, #[case] is_transient: bool) {
        assert_eq!(is_transient_code(code), is_transient);
    }
}
