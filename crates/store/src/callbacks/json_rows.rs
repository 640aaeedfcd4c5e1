//! Many rows in one statement: as a JSON array in one parameter, which both databases unfold into a
//! table. So the text of the statement, and with it the prepared statement, is the same for any number
//! of rows.

use sea_orm::DbBackend;

/// The fence: the callback is still claimed by the sender `$2`, by the claim in the row.
///
/// `worker || ''` keeps the planner from the index on `worker`: each callback is to be found by its id,
/// not by reading all that the sender has claimed.
pub(super) const CLAIM_HOLDS: &str = "callback.worker || '' = $2 AND callback.fence = made.fence";

/// Names of columns, with their PostgreSQL types.
pub(super) type Columns = &'static [(&'static str, &'static str)];

/// The names as a list for a statement.
pub(super) fn column_list(columns: Columns) -> String {
    columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// What goes behind FROM to read the rows of parameter `$1`, as a table named `made`.
pub(super) fn from_json_rows(backend: DbBackend, columns: Columns) -> String {
    if backend == DbBackend::Postgres {
        let typed: Vec<_> = columns.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
        return format!("jsonb_to_recordset($1::jsonb) AS made({})", typed.join(", "));
    }
    let extracted: Vec<_> = columns.iter().map(|(name, _)| format!("value->>'{name}' AS {name}")).collect();
    format!("(SELECT {} FROM json_each($1)) AS made", extracted.join(", "))
}
