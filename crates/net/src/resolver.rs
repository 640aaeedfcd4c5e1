//! DNS look-ups of which every address is checked: one forbidden address rejects them all.
//!
//! Names are looked up as they are written, never below a search domain. A name that is in `/etc/hosts` (as
//! the file was at the start) has the addresses there and no others; else the name servers are queried
//! once, for both address families.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use hickory_resolver::{
    Hosts, TokioResolver,
    config::{
        ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
    },
    net::{DnsError, NetError as HickoryError, runtime::TokioRuntimeProvider},
    proto::{
        op::Query,
        rr::{Name, RecordType},
    },
    system_conf::read_system_conf,
};
use reqwest::dns::{Addrs, Resolve, Resolving};

use crate::{guard::Guard, trace::RequestTrace};

/// The longest wait for a name server's answer.
const QUERY_TIMEOUT: Duration = Duration::from_secs(3);

/// Answers that are cached.
const MAX_CACHED_ANSWERS: u64 = 1024;

/// How long an answer is cached: no longer than a connection is used.
const MAX_CACHE_AGE: Duration = Duration::from_secs(60);

/// How long it is cached that there is no answer: hardly at all, since a callback's next attempt, 5 s
/// later, is there to get another.
const MAX_NEGATIVE_CACHE_AGE: Duration = Duration::from_secs(1);

/// Why a name gave no address to connect to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LookupError {
    /// It resolves to an address that may not be connected to.
    #[error("`{host}` resolves to {kind}")]
    Forbidden { host: String, kind: &'static str },
    /// It does not resolve, for now.
    #[error("{0}")]
    Unresolved(String),
    /// It does not exist, or is no host name: it will not resolve later either.
    #[error("{0}")]
    Nonexistent(String),
}

/// A resolver with its guard.
#[derive(Clone)]
pub(crate) struct Resolver {
    name_servers: TokioResolver,
    hosts: Arc<Hosts>,
    guard: Arc<Guard>,
}

impl Resolver {
    /// A resolver that queries these name servers, or those of `/etc/resolv.conf`.
    pub(crate) fn new(guard: Arc<Guard>, name_servers: Option<&[SocketAddr]>) -> Result<Self, String> {
        let (servers, options) = match name_servers {
            Some(addresses) => {
                (addresses.iter().copied().map(name_server).collect(), ResolverOpts::default())
            }
            None => system_name_servers()?,
        };
        let config = ResolverConfig::from_name_servers(servers);
        let name_servers = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(adjust(options))
            .build()
            .map_err(|error| format!("the resolver cannot be set up: {error}"))?;
        let hosts = Arc::new(Hosts::from_system().unwrap_or_default());
        Ok(Self { name_servers, hosts, guard })
    }

    /// The addresses of a name, all of which may be connected to; never empty.
    pub(crate) async fn allowed_addresses(&self, host: &str) -> Result<Vec<IpAddr>, LookupError> {
        let addresses = self.look_up(host).await?;
        match addresses.iter().find_map(|ip| self.guard.check_address(*ip).err()) {
            Some(forbidden) => {
                tracing::debug!(host, address = %forbidden.ip, kind = forbidden.kind, "a name was refused");
                Err(LookupError::Forbidden { host: host.to_owned(), kind: forbidden.kind })
            }
            None => Ok(addresses),
        }
    }

    async fn look_up(&self, host: &str) -> Result<Vec<IpAddr>, LookupError> {
        // relaxed: an underscore is in names of old buckets and of containers, though RFC 952 has none
        let mut name = Name::from_str_relaxed(host)
            .map_err(|_| LookupError::Nonexistent(format!("`{host}` is not a host name")))?;
        // an absolute name is not looked up below a search domain
        name.set_fqdn(true);
        let in_hosts_file = self.hosts_file_addresses(&name);
        if !in_hosts_file.is_empty() {
            return Ok(in_hosts_file);
        }
        let answer =
            self.name_servers.lookup_ip(name).await.map_err(|error| describe_failure(host, &error))?;
        let addresses: Vec<IpAddr> = answer.iter().collect();
        if addresses.is_empty() {
            return Err(LookupError::Unresolved(format!("`{host}` has no address")));
        }
        Ok(addresses)
    }

    fn hosts_file_addresses(&self, name: &Name) -> Vec<IpAddr> {
        let mut addresses = Vec::new();
        for record_type in [RecordType::A, RecordType::AAAA] {
            if let Some(lookup) = self.hosts.lookup_static_host(&Query::query(name.clone(), record_type)) {
                addresses.extend(lookup.answers().iter().filter_map(|record| record.data.ip_addr()));
            }
        }
        addresses
    }
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.to_vec())
}

/// The name servers of `/etc/resolv.conf`; without that file the one on this host, as resolv.conf(5) says.
fn system_name_servers() -> Result<(Vec<NameServerConfig>, ResolverOpts), String> {
    match read_system_conf() {
        Ok((config, options)) => Ok((config.name_servers().to_vec(), options)),
        Err(HickoryError::Io(error))
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::Other) =>
        {
            let local = SocketAddr::from(([127, 0, 0, 1], 53));
            Ok((vec![name_server(local)], ResolverOpts::default()))
        }
        Err(error) => Err(format!("/etc/resolv.conf cannot be read: {error}")),
    }
}

/// Quick enough for the deadline of a callback: 2 tries of at most [`QUERY_TIMEOUT`], for both families at
/// once.
fn adjust(mut options: ResolverOpts) -> ResolverOpts {
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.use_hosts_file = ResolveHosts::Never; // `hosts_file_addresses` reads it, for both families
    options.timeout = options.timeout.min(QUERY_TIMEOUT);
    options.attempts = 1; // retries, after a first try
    options.cache_size = MAX_CACHED_ANSWERS;
    options.positive_max_ttl = Some(MAX_CACHE_AGE);
    options.negative_max_ttl = Some(MAX_NEGATIVE_CACHE_AGE);
    options
}

fn describe_failure(host: &str, error: &HickoryError) -> LookupError {
    if error.is_nx_domain() {
        let problem = format!("`{host}` does not exist");
        // a name without a dot is a machine or a container of the operator's network, and comes and goes
        // with it
        let is_local = !host.trim_end_matches('.').contains('.');
        return if is_local { LookupError::Unresolved(problem) } else { LookupError::Nonexistent(problem) };
    }
    LookupError::Unresolved(match error {
        error if error.is_no_records_found() => format!("`{host}` has no address"),
        HickoryError::Timeout => format!("no name server answered about `{host}`"),
        HickoryError::Dns(DnsError::ResponseCode(code)) => {
            format!("`{host}` could not be looked up: the name server said {code}")
        }
        error => format!("`{host}` could not be looked up: {error}"),
    })
}

impl Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> Resolving {
        let resolver = self.clone();
        let trace = RequestTrace::current();
        Box::pin(async move {
            let started = Instant::now();
            let result = resolver.allowed_addresses(name.as_str()).await;
            let mut record = trace.record();
            record.dns = Some(started.elapsed());
            let addresses = result?;
            record.addresses.clone_from(&addresses);
            drop(record);
            // reqwest puts the URL's port in place of 0
            Ok(Box::new(addresses.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs)
        })
    }
}
