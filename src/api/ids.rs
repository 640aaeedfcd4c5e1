//! Things that a call names.

use std::str::FromStr;

use super::error::ApiError;

/// The id that a call looks up. A text that cannot be an id is the id of nothing: 404, as for any
/// other that is not there.
///
/// # Errors
/// 1004 with the kind of thing and the text.
pub(super) fn wanted<T: FromStr>(kind: &str, text: &str) -> Result<T, ApiError> {
    let shown: String = text.chars().take(80).collect();
    text.parse().map_err(|_| ApiError::not_found(format!("there is no {kind} `{shown}`")))
}
