//! `[callback]`: how callbacks are sent.

use std::time::Duration;

use callback::send::SendLimits;
use serde::{Deserialize, Serialize};

use super::{Network, value};

/// How callbacks are sent.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct CallbackSettings {
    /// The longest time of one attempt, from look-up to the end of the answer.
    #[serde(with = "value::duration")]
    pub deadline: Duration,
    /// Attempts in flight at once, all receivers together.
    #[serde(deserialize_with = "value::count")]
    pub concurrency: usize,
    /// Attempts in flight at once for one address.
    #[serde(deserialize_with = "value::count")]
    pub address_concurrency: usize,
    /// Attempts in flight at once for one receiver.
    #[serde(deserialize_with = "value::count")]
    pub receiver_concurrency: usize,
    /// How long a callback is kept that is not owed any more.
    #[serde(with = "value::duration")]
    pub retention: Duration,
    /// Where callbacks come from, as it is published.
    #[serde(with = "value::list")]
    pub source_addresses: Vec<Network>,
}

impl CallbackSettings {
    /// What one attempt may take.
    pub fn send_limits(&self) -> SendLimits {
        SendLimits { deadline: self.deadline, ..SendLimits::default() }
    }
}
