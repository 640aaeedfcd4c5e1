//! `[worker]`: how tasks are taken and held.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::value;

/// How tasks are taken and held.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct WorkerSettings {
    /// Whether `serve` also runs tasks.
    #[serde(deserialize_with = "value::flag")]
    pub enabled: bool,
    /// Tasks at once; `None`: by the number of cores.
    #[serde(with = "value::auto")]
    pub capacity: Option<usize>,
    /// How long claimed work is held without a sign of life.
    #[serde(with = "value::duration")]
    pub lease: Duration,
    /// How often the database is asked when no wake-up came.
    #[serde(with = "value::duration")]
    pub poll_interval: Duration,
    /// How often a task is tried when trying again may help.
    #[serde(deserialize_with = "value::count")]
    pub tries: u32,
}
