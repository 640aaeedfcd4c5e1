//! Conversions between the model's types and those of columns.
//!
//! What is read was written by this program, so a value that does not fit is [`StoreError::Corrupt`].

use std::{fmt::Display, str::FromStr};

use model::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use crate::error::{Result, StoreError};

/// Parses a value from its text.
pub(crate) fn parse<T: FromStr<Err: Display>>(column: &str, text: &str) -> Result<T> {
    text.parse().map_err(|error| StoreError::Corrupt(format!("{column} `{text}`: {error}")))
}

/// Converts a number to another width or sign.
pub(crate) fn number<T, U: TryFrom<T>>(column: &str, value: T) -> Result<U> {
    U::try_from(value).map_err(|_| StoreError::Corrupt(format!("{column} is out of range")))
}

/// Reads a value from JSON.
pub(crate) fn from_json<T: DeserializeOwned>(column: &str, json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| StoreError::Corrupt(format!("{column}: {error}")))
}

/// Writes a value as JSON.
pub(crate) fn to_json<T: Serialize>(column: &str, value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt(format!("{column}: {error}")))
}

/// A point in time from milliseconds since the epoch, where there is one.
pub(crate) fn timestamp(millis: Option<i64>) -> Option<Timestamp> {
    millis.map(Timestamp::from_millis)
}

/// Free text for a text column, with U+FFFD for each NUL: PostgreSQL's columns hold none.
pub(crate) fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
