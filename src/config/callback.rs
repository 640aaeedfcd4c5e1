//! `[callback]`: how callbacks are sent.

use std::time::Duration;

use callback::send::Limits;
use net::IpNet;
use serde::{Deserialize, Serialize};

use super::value;

/// How callbacks are sent.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct CallbackSettings {
    /// The longest time of one attempt, from look-up to the end of the answer.
    #[serde(with = "value::duration")]
    pub deadline: Duration,
    /// Attempts in flight at once, all receivers together.
    #[serde(deserialize_with = "value::count")]
    pub concurrency: usize,
    /// Attempts in flight at once for one receiver.
    #[serde(deserialize_with = "value::count")]
    pub receiver_concurrency: usize,
    /// Where callbacks come from, as it is published.
    #[serde(with = "value::list")]
    pub source_addresses: Vec<Source>,
}

impl CallbackSettings {
    /// What one attempt may take.
    pub fn send_limits(&self) -> Limits {
        Limits { deadline: self.deadline, ..Limits::default() }
    }
}

/// An address or a network that callbacks come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source(IpNet);

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.prefix_len() == self.0.max_prefix_len() {
            true => self.0.addr().fmt(f),
            false => self.0.fmt(f),
        }
    }
}

impl std::str::FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let network = match text.parse::<std::net::IpAddr>() {
            Ok(address) => Ok(address.into()),
            Err(_) => text.parse::<IpNet>(),
        };
        network.map(Self).map_err(|_| "give an IP address or a network such as `203.0.113.0/24`".to_owned())
    }
}
