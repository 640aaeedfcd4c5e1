//! Between the model's types and columns.
//!
//! What is read was written by us, so anything that does not fit is [`StoreError::Corrupt`].

use std::{fmt::Display, str::FromStr};

use model::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Result, StoreError};

/// A value from its text.
pub(crate) fn read<T: FromStr<Err: Display>>(column: &str, text: &str) -> Result<T> {
    text.parse().map_err(|error| StoreError::Corrupt(format!("{column} `{text}`: {error}")))
}

/// A value from a number of another width or sign.
pub(crate) fn number<T, U: TryFrom<T>>(column: &str, value: T) -> Result<U> {
    U::try_from(value).map_err(|_| StoreError::Corrupt(format!("{column} is out of range")))
}

/// A value from JSON.
pub(crate) fn from_json<T: DeserializeOwned>(column: &str, json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| StoreError::Corrupt(format!("{column}: {error}")))
}

/// A value as JSON.
pub(crate) fn to_json<T: Serialize>(column: &str, value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt(format!("{column}: {error}")))
}

/// A moment, where there is one.
pub(crate) fn moment(millis: Option<i64>) -> Option<Timestamp> {
    millis.map(Timestamp::from_millis)
}

/// Free text for a text column: PostgreSQL's hold no NUL.
pub(crate) fn text(free: &str) -> String {
    free.replace('\0', "\u{fffd}")
}
