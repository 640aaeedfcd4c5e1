//! `[storage]`: how long object stores are waited for.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use storage::RetryBudget;

use super::value;

/// How long object stores are waited for.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct StorageSettings {
    /// From a request's first failure to giving it up.
    #[serde(with = "value::duration")]
    pub patience: Duration,
    /// The longest time in which not a byte moves.
    #[serde(with = "value::duration")]
    pub idle: Duration,
}

impl StorageSettings {
    /// The retry budget of every request to an object store.
    pub fn retry_budget(&self) -> RetryBudget {
        RetryBudget { total: self.patience, idle: self.idle }
    }
}
