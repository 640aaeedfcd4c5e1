//! `[api]`: how requests are answered.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::value;

/// How requests are answered.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ApiSettings {
    /// Which HTTP status an error has.
    #[serde(deserialize_with = "value::word")]
    pub error_status: ErrorStatus,
    /// The largest body of a request, uploads apart, in bytes.
    #[serde(with = "value::size")]
    pub body_limit: u64,
    /// The largest path and query, in bytes.
    #[serde(with = "value::size")]
    pub url_limit: u64,
    /// The largest sum of names and values of headers, in bytes.
    #[serde(with = "value::size")]
    pub header_limit: u64,
    /// Within which a head has to come; an idle connection is closed after it.
    #[serde(with = "value::duration")]
    pub head_timeout: Duration,
    /// The longest that a call may take.
    #[serde(with = "value::duration")]
    pub request_timeout: Duration,
    /// Within which a client that is waited for has to move something.
    #[serde(with = "value::duration")]
    pub stall_timeout: Duration,
    /// Connections at once.
    #[serde(deserialize_with = "value::count")]
    pub connections: usize,
    /// Those from one address.
    #[serde(deserialize_with = "value::count")]
    pub address_connections: usize,
    /// The largest upload, in bytes.
    #[serde(with = "value::size")]
    pub upload_limit: u64,
    /// Watched tasks at once, in each process.
    #[serde(deserialize_with = "value::count")]
    pub event_streams: usize,
    /// Those of one tenant.
    #[serde(deserialize_with = "value::count")]
    pub tenant_event_streams: usize,
}

/// Which HTTP status an error has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorStatus {
    /// The one that says the same as the code.
    Http,
    /// 200 for every error but 401, for clients that drop the body of anything else.
    Ok,
}
