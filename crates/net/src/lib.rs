//! The guard in front of every outgoing connection, and the HTTP client made with it.
//!
//! Inputs, callbacks, object stores, logos and key servers are named by people outside, so nothing
//! in Borealis connects to anything but through [`Client`]. What always holds: a forbidden address
//! never sees a byte of a request, whether it was written as a literal, came out of a look-up, or
//! out of a look-up that changed its mind; redirects and environment proxies are never followed.

mod client;
mod connect;
mod error;
mod guard;
mod pool;
mod resolver;
mod retry_after;
mod tls;
mod trace;

pub use client::{Client, ClientOptions, Exchange, USER_AGENT};
pub use error::{NetError, NetErrorKind, Timing};
pub use guard::{Forbidden, Guard, UrlProblem, parse_url};
pub use ipnet::IpNet;
pub use retry_after::retry_after;
