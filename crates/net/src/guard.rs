//! Judges addresses and URLs.

use std::net::IpAddr;

use ipnet::IpNet;
use url::Url;

/// An address that may not be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{ip} is {kind}")]
pub struct Forbidden {
    /// The address.
    pub ip: IpAddr,
    /// What it is, such as `a private address`.
    pub kind: &'static str,
}

/// Why a URL cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlProblem {
    /// It is not a URL.
    #[error("is not a URL ({0}); give http:// or https://")]
    Unreadable(url::ParseError),
    /// Its scheme is neither `http` nor `https`.
    #[error("has the scheme `{0}`; give http:// or https://")]
    Scheme(String),
    /// It holds a user name or a password.
    #[error("holds a user name or password, which is not allowed")]
    UserInfo,
    /// Its host is an address that may not be connected to.
    #[error("leads to {0}, which is not allowed")]
    Forbidden(Forbidden),
    /// Its name resolves to an address that may not be connected to; which one is not said.
    #[error("leads to a name that resolves to {kind}, which is not allowed")]
    ForbiddenName {
        /// What the address is.
        kind: &'static str,
    },
}

/// The policy: which addresses may be connected to.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    allow: Vec<IpNet>,
}

impl Guard {
    /// A guard that allows public addresses, and these networks.
    pub fn new(allow_networks: Vec<IpNet>) -> Self {
        Self { allow: allow_networks }
    }

    /// Judges an address.
    ///
    /// # Errors
    /// When it may not be connected to.
    pub fn judge(&self, _ip: IpAddr) -> Result<(), Forbidden> {
        let _ = &self.allow;
        todo!()
    }

    /// Judges a URL without a look-up: scheme, user info, IP literal.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn check(&self, _url: &Url) -> Result<(), UrlProblem> {
        todo!()
    }
}

/// Reads a URL.
///
/// # Errors
/// When it is none.
pub fn parse_url(text: &str) -> Result<Url, UrlProblem> {
    Url::parse(text).map_err(UrlProblem::Unreadable)
}
