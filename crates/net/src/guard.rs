//! Which addresses and URLs may be connected to.
//!
//! An IPv4 address is forbidden when it lies in a range of the IANA special-purpose registry (RFC 6890 and
//! later). Of IPv6 only global unicast space and the NAT64 prefix are allowed: what is not known is
//! forbidden. An IPv4 address inside an IPv6 one is checked too, so that a forbidden address cannot be
//! written in another way. The metadata services of clouds stay forbidden whatever the operator allows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::{Host, Url};

/// An address that may not be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{ip} is {kind}")]
pub struct ForbiddenAddress {
    /// The address.
    pub ip: IpAddr,
    /// What it is, such as `a private address`.
    pub kind: &'static str,
}

/// Why a URL cannot be used; its text is the rest of a sentence that begins with the name of a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlProblem {
    /// It is not a URL.
    #[error("is not a URL ({0}); give http:// or https://")]
    Unreadable(url::ParseError),
    /// Its scheme is neither `http` nor `https`.
    #[error("has the scheme `{0}`; give http:// or https://")]
    Scheme(String),
    /// It holds a user name or a password.
    #[error("holds a user name or a password, which is not allowed")]
    UserInfo,
    /// Its host is an address that may not be connected to.
    #[error("is not allowed: {0}")]
    Forbidden(ForbiddenAddress),
    /// Its name resolves to an address that may not be connected to. The address is not in the text:
    /// customers are not to learn those of the operator's own network.
    #[error("is not allowed: `{host}` resolves to {kind}")]
    ForbiddenName {
        /// The name.
        host: String,
        /// What the address is.
        kind: &'static str,
    },
}

/// Parses a URL, without checking it.
///
/// # Errors
/// When it is none.
pub fn parse_url(text: &str) -> Result<Url, UrlProblem> {
    Url::parse(text).map_err(UrlProblem::Unreadable)
}

/// The policy: which addresses may be connected to.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    allow: Vec<IpNet>,
}

impl Guard {
    /// A guard that allows public addresses, and these networks beside them. With `127.0.0.0/8` it allows
    /// `::1` too: `localhost` is both on most systems, and one forbidden address would reject the name.
    pub fn new(allow_networks: Vec<IpNet>) -> Self {
        let mut allow: Vec<IpNet> = allow_networks.into_iter().map(unmapped).collect();
        if allow.iter().any(is_loopback) {
            allow.push(IpAddr::V6(Ipv6Addr::LOCALHOST).into());
        }
        Self { allow }
    }

    /// Whether an address may be connected to.
    ///
    /// # Errors
    /// When it may not.
    pub fn check_address(&self, ip: IpAddr) -> Result<(), ForbiddenAddress> {
        let forbidden = |kind| Err(ForbiddenAddress { ip, kind });
        let target = ip.to_canonical();
        let embedded = match target {
            IpAddr::V4(_) => None,
            IpAddr::V6(v6) => embedded_v4(v6),
        };
        if is_metadata(target) || embedded.is_some_and(|v4| is_metadata(v4.into())) {
            return forbidden("the address of a cloud's metadata service");
        }
        if self.allow.iter().any(|network| network.contains(&target)) {
            return Ok(());
        }
        if let Some(kind) = special_kind(target) {
            return forbidden(kind);
        }
        match embedded {
            Some(v4) if !self.allow.iter().any(|network| network.contains(&IpAddr::V4(v4))) => {
                special_kind_v4(v4).map_or(Ok(()), forbidden)
            }
            _ => Ok(()),
        }
    }

    /// Checks a URL without a look-up: its scheme, that it has no user info, and its host when that is an
    /// address or a name that stands for one (`localhost`).
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn check_url(&self, url: &Url) -> Result<(), UrlProblem> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(UrlProblem::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlProblem::UserInfo);
        }
        let result = match url.host() {
            None => return Err(UrlProblem::Unreadable(url::ParseError::EmptyHost)),
            Some(Host::Ipv4(ip)) => self.check_address(ip.into()),
            Some(Host::Ipv6(ip)) => self.check_address(ip.into()),
            Some(Host::Domain(name)) if is_localhost(name) => self.check_address(Ipv4Addr::LOCALHOST.into()),
            Some(Host::Domain(_)) => Ok(()),
        };
        result.map_err(UrlProblem::Forbidden)
    }
}

/// `localhost` and all names below it are loopback, without a look-up (RFC 6761, 6.3).
fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case("localhost"))
}

/// Whether a network of loopback addresses holds 127.0.0.1.
fn is_loopback(network: &IpNet) -> bool {
    network.addr().is_loopback() && network.contains(&IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// A network of IPv4-mapped addresses (`::ffff:10.0.0.0/104`) as the IPv4 network that it is.
fn unmapped(network: IpNet) -> IpNet {
    match network {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => match v6.addr().to_ipv4_mapped() {
            Some(v4) => Ipv4Net::new(v4, v6.prefix_len() - 96).map_or(network, IpNet::V4),
            None => network,
        },
        _ => network,
    }
}

/// The metadata services of clouds, which give credentials to whoever can reach them. Most are link-local
/// and forbidden as such; they are listed because an operator may allow that space.
const METADATA_ADDRESSES: &[IpAddr] = &[
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),  // AWS, containers
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)), // AWS, pods
    IpAddr::V4(Ipv4Addr::new(169, 254, 0, 23)),   // Tencent
    IpAddr::V4(Ipv4Addr::new(169, 254, 42, 42)),  // Scaleway
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)), // Alibaba
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),  // Azure
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),    // Oracle
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)), // AWS
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)), // AWS, pods
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)), // Google
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42)), // Scaleway
    IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe)), // OpenStack
];

fn is_metadata(ip: IpAddr) -> bool {
    METADATA_ADDRESSES.contains(&ip)
}

/// What a special-purpose address is; none for a public one.
fn special_kind(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(v4) => special_kind_v4(v4),
        IpAddr::V6(v6) => special_kind_v6(v6),
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

/// The IANA IPv4 Special-Purpose Address Registry, and multicast.
const SPECIAL_RANGES_V4: &[(Ipv4Net, &str)] = &[
    (v4(0, 0, 0, 0, 8), "an unspecified address"),
    (v4(10, 0, 0, 0, 8), "a private address"),
    (v4(100, 64, 0, 0, 10), "a carrier NAT address"),
    (v4(127, 0, 0, 0, 8), "a loopback address"),
    (v4(169, 254, 0, 0, 16), "a link-local address"),
    (v4(172, 16, 0, 0, 12), "a private address"),
    (v4(192, 0, 0, 0, 24), "a reserved address"),
    (v4(192, 0, 2, 0, 24), "a documentation address"),
    (v4(192, 88, 99, 0, 24), "a 6to4 relay's address"),
    (v4(192, 168, 0, 0, 16), "a private address"),
    (v4(198, 18, 0, 0, 15), "a benchmarking address"),
    (v4(198, 51, 100, 0, 24), "a documentation address"),
    (v4(203, 0, 113, 0, 24), "a documentation address"),
    (v4(224, 0, 0, 0, 4), "a multicast address"),
    (v4(240, 0, 0, 0, 4), "a reserved address"),
];

fn special_kind_v4(ip: Ipv4Addr) -> Option<&'static str> {
    SPECIAL_RANGES_V4.iter().find(|(network, _)| network.contains(&ip)).map(|(_, kind)| *kind)
}

/// NAT64's well-known prefix (RFC 6052): the embedded IPv4 address decides.
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 96);

/// All that IANA has allocated as global unicast.
const GLOBAL_UNICAST: Ipv6Net = v6(0x2000, 0, 0, 3);

/// The IANA IPv6 Special-Purpose Address Registry, and what is not unicast; the first range that holds an
/// address says what it is.
const SPECIAL_RANGES_V6: &[(Ipv6Net, &str)] = &[
    (v6(0x2001, 0, 0, 32), "a Teredo address"),
    (v6(0x2001, 0x2, 0, 48), "a benchmarking address"),
    (v6(0x2001, 0, 0, 23), "a reserved address"),
    (v6(0x2001, 0xdb8, 0, 32), "a documentation address"),
    (v6(0x2002, 0, 0, 16), "a 6to4 address"),
    (v6(0x3fff, 0, 0, 20), "a documentation address"),
    (v6(0xfc00, 0, 0, 7), "a private address"),
    (v6(0xfe80, 0, 0, 10), "a link-local address"),
    (v6(0xfec0, 0, 0, 10), "a site-local address"),
    (v6(0xff00, 0, 0, 8), "a multicast address"),
];

fn special_kind_v6(ip: Ipv6Addr) -> Option<&'static str> {
    if ip.is_loopback() {
        return Some("a loopback address");
    }
    if ip.is_unspecified() {
        return Some("an unspecified address");
    }
    let named = SPECIAL_RANGES_V6.iter().find(|(network, _)| network.contains(&ip)).map(|(_, kind)| *kind);
    if named.is_some() || GLOBAL_UNICAST.contains(&ip) || NAT64.contains(&ip) {
        return named;
    }
    Some("a reserved address")
}

/// The IPv4 address inside an IPv6 one, wherever a transition mechanism puts it. IPv4-mapped addresses are
/// not here: they were made IPv4 addresses before.
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    let join = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match (a, b) {
        (0x2002, _) => Some(join(b, c)),    // 6to4, RFC 3056
        (0x2001, 0) => Some(join(!g, !h)),  // Teredo's client, RFC 4380
        (0x64, 0xff9b) => Some(join(g, h)), // NAT64, RFC 6052 and 8215
        (0, 0) if (c, d) == (0, 0) && matches!((e, f), (0, 0) | (0xffff, 0)) => {
            Some(join(g, h)) // IPv4-compatible, RFC 4291; SIIT, RFC 2765
        }
        _ if matches!((e, f), (0 | 0x200, 0x5efe)) => Some(join(g, h)), // ISATAP, RFC 5214
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn allowing(networks: &[&str]) -> Guard {
        Guard::new(networks.iter().map(|one| one.parse().expect("a network")).collect())
    }

    #[rstest]
    #[case("127.0.0.1", "a loopback address")]
    #[case("::ffff:127.0.0.1", "a loopback address")]
    #[case("10.0.0.1", "a private address")]
    #[case("169.254.169.254", "the address of a cloud's metadata service")]
    #[case("64:ff9b::a9fe:a9fe", "the address of a cloud's metadata service")]
    #[case("64:ff9b::7f00:1", "a loopback address")]
    #[case("2002:7f00:1::1", "a 6to4 address")]
    #[case("2001::1", "a Teredo address")]
    #[case("2606:4700::5efe:7f00:1", "a loopback address")]
    #[case("2606:4700::200:5efe:a00:1", "a private address")]
    #[case("fd12::1", "a private address")]
    #[case("4000::1", "a reserved address")]
    fn forbidden(#[case] address: &str, #[case] kind: &str) {
        assert_eq!(Guard::default().check_address(ip(address)).expect_err("forbidden").kind, kind);
    }

    #[rstest]
    #[case("1.1.1.1")]
    #[case("::ffff:8.8.8.8")]
    #[case("64:ff9b::808:808")]
    #[case("2606:4700:4700::1111")]
    #[case("2606:4700::5efe:808:808")]
    fn public(#[case] address: &str) {
        assert_eq!(Guard::default().check_address(ip(address)), Ok(()));
    }

    #[test]
    fn what_an_operator_allows_is_allowed_however_it_is_written() {
        let guard = allowing(&["10.0.0.0/8", "fd12::/16", "::ffff:192.168.0.0/112"]);
        for address in ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203", "fd12::1", "192.168.7.7"] {
            assert_eq!(guard.check_address(ip(address)), Ok(()), "{address}");
        }
        for address in ["11.0.0.1", "192.169.0.1"] {
            assert_eq!(guard.check_address(ip(address)), Ok(()), "{address} is public");
        }
        for address in ["127.0.0.1", "::1", "172.16.0.1", "fd13::1", "2002:a01:203::1"] {
            assert!(guard.check_address(ip(address)).is_err(), "{address}");
        }
    }

    #[test]
    fn loopback_is_one_place() {
        let guard = allowing(&["127.0.0.0/8"]);
        assert_eq!(guard.check_address(ip("::1")), Ok(()));
        assert!(guard.check_address(ip("::")).is_err());
    }

    #[test]
    fn a_network_of_one_family_allows_nothing_of_the_other() {
        assert!(allowing(&["::/0"]).check_address(ip("::ffff:127.0.0.1")).is_err());
        assert!(allowing(&["0.0.0.0/0"]).check_address(ip("::1")).is_err());
    }

    #[rstest]
    #[case("169.254.169.254")]
    #[case("::ffff:169.254.169.254")]
    #[case("64:ff9b::a9fe:a9fe")]
    #[case("2002:a9fe:a9fe::1")]
    #[case("2001:0:1::5601:5601")]
    #[case("::a9fe:a9fe")]
    #[case("::ffff:0:a9fe:a9fe")]
    #[case("2606:4700::5efe:a9fe:a9fe")]
    #[case("64:ff9b:1::a9fe:a9fe")]
    #[case("fd00:ec2::254")]
    fn metadata_is_never_allowed(#[case] address: &str) {
        let guard = allowing(&["0.0.0.0/0", "::/0", "169.254.169.254/32"]);
        assert!(guard.check_address(ip(address)).is_err());
    }

    #[test]
    fn localhost_needs_no_look_up() {
        let url = parse_url("http://a.LocalHost.:80/").expect("a url");
        assert!(matches!(Guard::default().check_url(&url), Err(UrlProblem::Forbidden(_))));
        assert_eq!(allowing(&["127.0.0.0/8"]).check_url(&url), Ok(()));
        let other = parse_url("http://localhost.example/").expect("a url");
        assert_eq!(Guard::default().check_url(&other), Ok(()));
    }

    #[test]
    fn problems_read_as_sentences() {
        let problem_with = |text| {
            let url = parse_url(text).expect("a url");
            Guard::default().check_url(&url).expect_err("refused").to_string()
        };
        assert_eq!(problem_with("ftp://a.example/x"), "has the scheme `ftp`; give http:// or https://");
        assert_eq!(
            problem_with("http://u@a.example/"),
            "holds a user name or a password, which is not allowed"
        );
        assert_eq!(problem_with("http://[::1]/?sig=x"), "is not allowed: ::1 is a loopback address");
    }
}
