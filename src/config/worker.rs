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
    /// How long a task is kept after its end; zero: for ever.
    #[serde(with = "value::duration_or_zero")]
    pub retention: Duration,
}

/// The shortest interval of background work, however short leases are.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

impl WorkerSettings {
    /// From one renewal of a lease to the next, and from one look for expired ones to the next: so a lease
    /// outlives two renewals that failed, and is missed soon.
    pub fn renewal_interval(&self) -> Duration {
        (self.lease / 3).max(MIN_INTERVAL)
    }
}
