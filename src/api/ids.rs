//! The ids that a call names.

use std::{borrow::Cow, str::FromStr};

use super::{error::ApiError, request};

/// Parses the id of a thing that a call looks up. A text that cannot be an id is the id of nothing: 404, as
/// for a valid one that is not there.
///
/// # Errors
/// 1004 with the kind of the thing and the text.
pub(super) fn parse_id_or_not_found<T: FromStr>(kind: &str, text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|_| {
        let shown = request::shorten(Cow::Borrowed(text));
        ApiError::not_found(format!("there is no {kind} `{shown}`"))
    })
}
