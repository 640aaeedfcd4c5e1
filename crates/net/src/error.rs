//! What became of an exchange that failed, in words that may be shown to customers: never a query
//! string, which may hold a signature, and never an address that only a refused look-up gave away.

use std::{error::Error, fmt, io, net::SocketAddr, time::Duration};

use url::Url;

use crate::{
    connect::{Blocked, address_of},
    resolver::LookupError,
    trace::Notes,
};

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
    /// Whether an old connection out of the pool was closed under the request before any answer:
    /// the receiver may never have seen it, and a new connection may do.
    pub stale: bool,
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.word(), self.detail)
    }
}

impl Error for NetError {}

impl NetError {
    pub(crate) fn new(kind: NetErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, timing: Timing::default(), detail: detail.into(), stale: false }
    }

    /// What failed while a body was read from `address`.
    pub fn of_body(error: &reqwest::Error, timing: Timing) -> Self {
        let peer = timing.address.map_or_else(|| "the other side".to_owned(), |address| address.to_string());
        let (kind, detail) = classify(error, &peer, false);
        Self { timing, ..Self::new(kind, detail) }
    }

    /// What failed before there was an answer to a request to `url`.
    pub(crate) fn of_request(error: &reqwest::Error, url: &Url, notes: &Notes) -> Self {
        let address = connected_to(error).or_else(|| only_address(url, notes));
        let peer = address.map_or_else(|| host_and_port(url), |address| address.to_string());
        let unconnected = notes.begun && notes.connect.is_none();
        let connecting = is_connect(error) || error.is_timeout() && unconnected;
        let (kind, detail) = classify(error, &peer, connecting);
        let timing = Timing { address, dns: notes.dns, connect: notes.connect, first_byte: None };
        Self {
            timing,
            stale: kind == NetErrorKind::Reset && notes.connect.is_none(),
            ..Self::new(kind, detail)
        }
    }
}

/// The host and port of a URL: what an error may say of it.
fn host_and_port(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", url.host_str().unwrap_or_default())
}

/// The address that was tried, when there was but one.
fn only_address(url: &Url, notes: &Notes) -> Option<SocketAddr> {
    let ip = match (url.host()?, notes.addresses.as_slice()) {
        (url::Host::Ipv4(ip), _) => ip.into(),
        (url::Host::Ipv6(ip), _) => ip.into(),
        (url::Host::Domain(_), [only]) => *only,
        _ => return None,
    };
    Some(SocketAddr::new(ip, url.port_or_known_default()?))
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| cause(*error))
}

fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    // an `io::Error` hides what it wraps from `source`
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

fn is_connect(error: &reqwest::Error) -> bool {
    find::<hyper_util::client::legacy::Error>(error).is_some_and(|error| error.is_connect())
}

fn connected_to(error: &reqwest::Error) -> Option<SocketAddr> {
    find::<hyper_util::client::legacy::Error>(error)?.connect_info().and_then(address_of)
}

/// What happened at `peer`, and in which words; `connecting` is whether there was no connection yet.
fn classify(error: &reqwest::Error, peer: &str, connecting: bool) -> (NetErrorKind, String) {
    if let Some(lookup) = find::<LookupError>(error) {
        let kind = match lookup {
            LookupError::Forbidden { .. } => NetErrorKind::Forbidden,
            LookupError::Unresolved(_) => NetErrorKind::Dns,
        };
        return (kind, lookup.to_string());
    }
    if let Some(Blocked(forbidden)) = find(error) {
        return (NetErrorKind::Forbidden, forbidden.to_string());
    }
    if error.is_timeout() {
        let what = if connecting { "no connection to" } else { "no complete answer from" };
        return (NetErrorKind::Timeout, format!("{what} {peer} in time"));
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        return (NetErrorKind::Tls, format!("{peer}: {tls}"));
    }
    if error.is_builder() {
        return (NetErrorKind::BadUrl, "the URL cannot be requested".to_owned());
    }
    if connecting {
        return not_connected(error, peer);
    }
    if was_cut(error) {
        return (NetErrorKind::Reset, format!("{peer} closed the connection before its answer was complete"));
    }
    let cause = causes(error).last().map(ToString::to_string).unwrap_or_default();
    (NetErrorKind::Protocol, format!("{peer} does not answer as HTTP says: {cause}"))
}

fn not_connected(error: &reqwest::Error, peer: &str) -> (NetErrorKind, String) {
    match find::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => {
            (NetErrorKind::Refused, format!("connection refused by {peer}"))
        }
        Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
            (NetErrorKind::Tls, format!("{peer} closed the connection during the handshake"))
        }
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
            (NetErrorKind::Refused, format!("there is no way to {peer}"))
        }
        _ => {
            let cause = causes(error).last().map(ToString::to_string).unwrap_or_default();
            (NetErrorKind::Refused, format!("no connection to {peer}: {cause}"))
        }
    }
}

fn was_cut(error: &reqwest::Error) -> bool {
    let by_http = find::<hyper::Error>(error)
        .is_some_and(|error| error.is_incomplete_message() || error.is_canceled() || error.is_closed());
    let by_system = find::<io::Error>(error).is_some_and(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof
        )
    });
    by_http || by_system
}
