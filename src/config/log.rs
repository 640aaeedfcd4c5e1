//! `[log]`: what is logged, and in which shape. Logs go to the standard error.

use serde::{Deserialize, Serialize};

use super::value;

/// What is logged, and in which shape.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct LogSettings {
    /// The shape of a line.
    #[serde(deserialize_with = "value::word")]
    pub format: LogFormat,
    /// A level, or a filter such as `info,borealis=debug`.
    pub level: String,
}

/// The shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}
