//! What became of an exchange that failed, in words that may be shown to customers: never a query
//! string, which may hold a signature, and never an address that only a look-up gave away.

use std::{fmt, net::SocketAddr, time::Duration};

/// Where the time of an exchange went, as far as it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// The address that was connected to.
    pub address: Option<SocketAddr>,
    /// The name look-up; none for an IP literal and on a pooled connection.
    pub dns: Option<Duration>,
    /// Connecting, TLS included, without the look-up; none on a pooled connection.
    pub connect: Option<Duration>,
    /// From the start of the exchange to the head of the answer.
    pub first_byte: Option<Duration>,
}

/// The class of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetErrorKind {
    /// The guard refused the address; it will be refused again.
    Forbidden,
    /// The URL cannot be used at all.
    BadUrl,
    /// The name did not resolve.
    Dns,
    /// Nobody listens there, or there is no way there.
    Refused,
    /// The TLS handshake failed.
    Tls,
    /// It took too long.
    Timeout,
    /// The connection was closed or reset in the middle of the exchange.
    Reset,
    /// What was answered is not HTTP, or breaks its limits.
    Protocol,
}

impl NetErrorKind {
    /// Its word, which a message begins with.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Forbidden => "forbidden",
            Self::BadUrl => "bad url",
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Protocol => "protocol",
        }
    }
}

/// An exchange that failed; shown as `refused: connection refused by 203.0.113.7:443`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetError {
    /// The class of the failure.
    pub kind: NetErrorKind,
    /// How far it came.
    pub timing: Timing,
    /// What happened, without the class's word.
    pub detail: String,
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.word(), self.detail)
    }
}

impl std::error::Error for NetError {}
