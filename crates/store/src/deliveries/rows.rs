//! Many rows in one statement: as JSON in one parameter, which both databases unfold. Neither has
//! to be prepared anew for another number of rows.

use sea_orm::DbBackend;

/// That a callback is still the sender's `$2`. Written so that no index fits: each row is found by its
/// id, never all that the sender has for each of them.
pub(super) const HELD_BY: &str = "callback.worker || '' = $2 AND callback.fence = made.fence";

/// Columns with their PostgreSQL types.
pub(super) type Columns = &'static [(&'static str, &'static str)];

/// The names, for a list in a statement.
pub(super) fn names(columns: Columns) -> String {
    columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// What goes behind FROM to read the rows of parameter `$1`; they are called `made`.
pub(super) fn unfolded(backend: DbBackend, columns: Columns) -> String {
    if backend == DbBackend::Postgres {
        let typed: Vec<_> = columns.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
        return format!("jsonb_to_recordset($1::jsonb) AS made({})", typed.join(", "));
    }
    let taken: Vec<_> = columns.iter().map(|(name, _)| format!("value->>'{name}' AS {name}")).collect();
    format!("(SELECT {} FROM json_each($1)) AS made", taken.join(", "))
}
