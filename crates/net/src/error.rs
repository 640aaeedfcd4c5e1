//! Why an exchange failed, in words that may be shown to customers: never a query string, which may hold a
//! signature, and never an address that a refused look-up gave, which is the operator's secret.

use std::{error::Error, fmt, io, net::SocketAddr, time::Duration};

use url::Url;

use crate::{
    connect::{ForbiddenConnection, address_of},
    resolver::LookupError,
    trace::TraceRecord,
};

/// Where the time of an exchange went; what was not reached is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// The address that was connected to.
    pub address: Option<SocketAddr>,
    /// The DNS look-up; none for an IP literal and on a pooled connection.
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
    /// The connection was refused, or there is no route to the host.
    Refused,
    /// The TLS handshake failed.
    Tls,
    /// It took too long.
    Timeout,
    /// The connection was closed or reset in the middle of the exchange.
    Reset,
    /// The answer is not HTTP, or breaks its limits.
    Protocol,
}

impl NetErrorKind {
    /// Its word, which the message of an error begins with.
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
    /// Where the time went until it failed.
    pub timing: Timing,
    /// What happened, without the class's word.
    pub detail: String,
    /// Whether a pooled connection was closed before any answer: the server may never have seen the
    /// request, and it may succeed on a new connection.
    pub stale: bool,
    /// Whether it will fail in the same way whenever it is tried: the address is forbidden, the URL
    /// unusable, the name does not exist, or the certificate is for another one.
    pub permanent: bool,
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.word(), self.detail)
    }
}

impl Error for NetError {}

impl NetError {
    pub(crate) fn new(kind: NetErrorKind, detail: impl Into<String>) -> Self {
        let permanent = matches!(kind, NetErrorKind::Forbidden | NetErrorKind::BadUrl);
        Self { kind, timing: Timing::default(), detail: detail.into(), stale: false, permanent }
    }

    /// A failure while the body of an answer was read.
    pub fn from_body(error: &reqwest::Error, timing: Timing) -> Self {
        let peer = timing.address.map_or_else(|| "the server".to_owned(), |address| address.to_string());
        let (kind, detail) = classify(error, &peer, false);
        Self { timing, ..Self::new(kind, detail) }
    }

    /// A failure before there was an answer to a request to `url`.
    pub(crate) fn from_request(error: &reqwest::Error, url: &Url, record: &TraceRecord) -> Self {
        let address = connected_address(error).or_else(|| only_address(url, record));
        let peer = address.map_or_else(|| host_and_port(url), |address| address.to_string());
        let is_unconnected = record.is_connecting && record.connect.is_none();
        let is_connecting = is_connect_error(error) || error.is_timeout() && is_unconnected;
        let (kind, detail) = classify(error, &peer, is_connecting);
        let timing = Timing { address, dns: record.dns, connect: record.connect, first_byte: None };
        let stale = kind == NetErrorKind::Reset && record.connect.is_none();
        let error_of_kind = Self::new(kind, detail);
        let permanent = error_of_kind.permanent || names_nobody(error);
        Self { timing, stale, permanent, ..error_of_kind }
    }
}

/// The host and port of a URL: the rest may hold secrets.
fn host_and_port(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", url.host_str().unwrap_or_default())
}

/// The address that was tried, when there was only one.
fn only_address(url: &Url, record: &TraceRecord) -> Option<SocketAddr> {
    let ip = match (url.host()?, record.addresses.as_slice()) {
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

fn is_connect_error(error: &reqwest::Error) -> bool {
    find::<hyper_util::client::legacy::Error>(error).is_some_and(|error| error.is_connect())
}

fn connected_address(error: &reqwest::Error) -> Option<SocketAddr> {
    find::<hyper_util::client::legacy::Error>(error)?.connect_info().and_then(address_of)
}

/// The class of a failure and its text; `is_connecting`: whether there was no connection yet.
fn classify(error: &reqwest::Error, peer: &str, is_connecting: bool) -> (NetErrorKind, String) {
    if let Some(lookup) = find::<LookupError>(error) {
        let kind = match lookup {
            LookupError::Forbidden { .. } => NetErrorKind::Forbidden,
            LookupError::Unresolved(_) | LookupError::Nonexistent(_) => NetErrorKind::Dns,
        };
        return (kind, lookup.to_string());
    }
    if let Some(ForbiddenConnection(forbidden)) = find(error) {
        return (NetErrorKind::Forbidden, forbidden.to_string());
    }
    if error.is_timeout() {
        let what = if is_connecting { "no connection to" } else { "no complete answer from" };
        return (NetErrorKind::Timeout, format!("{what} {peer} in time"));
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        return (NetErrorKind::Tls, format!("{peer}: {tls}"));
    }
    if error.is_builder() {
        return (NetErrorKind::BadUrl, "the URL cannot be requested".to_owned());
    }
    if is_connecting {
        return classify_connect_error(error, peer);
    }
    if is_connection_closed(error) {
        return (NetErrorKind::Reset, format!("{peer} closed the connection before its answer was complete"));
    }
    let cause = causes(error).last().map(ToString::to_string).unwrap_or_default();
    (NetErrorKind::Protocol, format!("{peer} does not answer in HTTP: {cause}"))
}

/// Whether there is nobody of that name: no resolver knows it, or who is there proves to be another.
fn names_nobody(error: &reqwest::Error) -> bool {
    use rustls::CertificateError::{NotValidForName, NotValidForNameContext};
    let is_other = matches!(
        find(error),
        Some(rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }))
    );
    is_other || matches!(find(error), Some(LookupError::Nonexistent(_)))
}

fn classify_connect_error(error: &reqwest::Error, peer: &str) -> (NetErrorKind, String) {
    match find::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => {
            (NetErrorKind::Refused, format!("connection refused by {peer}"))
        }
        Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
            (NetErrorKind::Tls, format!("{peer} closed the connection during the handshake"))
        }
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
            (NetErrorKind::Refused, format!("no route to {peer}"))
        }
        _ => {
            let cause = causes(error).last().map(ToString::to_string).unwrap_or_default();
            (NetErrorKind::Refused, format!("no connection to {peer}: {cause}"))
        }
    }
}

fn is_connection_closed(error: &reqwest::Error) -> bool {
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
