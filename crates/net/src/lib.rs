//! The guard in front of every outgoing connection, and the HTTP client made with it.
//!
//! Inputs, callbacks, object stores, logos and key servers are named by customers, so everything in
//! Borealis connects through [`Client`], against server-side request forgery (SSRF). What always holds: a
//! forbidden address never receives a byte of a request, whether the URL holds it as a literal, a look-up
//! gave it, or a second look-up gave it after a first one gave another (DNS rebinding); redirects and
//! proxies from the environment are never followed.

mod client;
mod connect;
mod error;
mod guard;
mod pool;
mod resolver;
mod retry_after;
mod tls;
mod trace;

pub use client::{Client, ClientOptions, Exchange};
pub use error::{NetError, NetErrorKind, Timing};
pub use guard::{ForbiddenAddress, Guard, UrlProblem, parse_url};
pub use ipnet::IpNet;
pub use pool::USER_AGENT;
pub use retry_after::retry_after;
