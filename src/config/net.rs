//! `[net]`: what outgoing connections may do.

use std::time::Duration;

use net::{ClientOptions, Guard};
use serde::{Deserialize, Serialize};

use super::{Network, value};

/// What outgoing connections may do.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct NetSettings {
    /// Networks that may be reached although they are private.
    #[serde(with = "value::list")]
    pub allow_networks: Vec<Network>,
    /// For look-up, connecting and TLS together.
    #[serde(with = "value::duration")]
    pub connect_timeout: Duration,
}

impl NetSettings {
    /// The guard that these settings ask for.
    pub fn guard(&self) -> Guard {
        Guard::new(self.allow_networks.iter().map(|network| network.0).collect())
    }

    /// How the client connects.
    pub fn client_options(&self) -> ClientOptions {
        ClientOptions { connect_timeout: self.connect_timeout, ..ClientOptions::default() }
    }
}
