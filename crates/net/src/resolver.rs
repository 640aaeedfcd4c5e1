//! Look-ups whose every answer is judged: one forbidden address rejects them all.
//!
//! Names are asked as they are written, never below a search domain. What `/etc/hosts` says about a
//! name (as it was at the start) is all there is about it; else the name servers are asked once,
//! for both families.

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
    lookup::Lookup,
    net::{DnsError, NetError as HickoryError, runtime::TokioRuntimeProvider},
    proto::{
        op::Query,
        rr::{Name, RecordType},
    },
    system_conf::read_system_conf,
};
use reqwest::dns::{Addrs, Resolve, Resolving};

use crate::{Guard, trace::Trace};

/// Why a name leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LookupError {
    /// It resolves to what may not be connected to.
    #[error("`{host}` resolves to {kind}")]
    Forbidden { host: String, kind: &'static str },
    /// It does not resolve, for now.
    #[error("{0}")]
    Unresolved(String),
}

/// A resolver with its guard.
#[derive(Clone)]
pub(crate) struct Resolver {
    name_servers: TokioResolver,
    hosts: Arc<Hosts>,
    guard: Arc<Guard>,
}

impl Resolver {
    /// A resolver that asks these name servers, or those of `/etc/resolv.conf`.
    pub(crate) fn new(guard: Arc<Guard>, name_servers: Option<&[SocketAddr]>) -> Result<Self, String> {
        let (servers, options) = match name_servers {
            Some(addresses) => {
                (addresses.iter().copied().map(name_server).collect(), ResolverOpts::default())
            }
            None => system_name_servers()?,
        };
        let config = ResolverConfig::from_name_servers(servers);
        let name_servers = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(tuned(options))
            .build()
            .map_err(|error| format!("the resolver cannot be set up: {error}"))?;
        let hosts = Arc::new(Hosts::from_system().unwrap_or_default());
        Ok(Self { name_servers, hosts, guard })
    }

    /// The addresses of a name, all of them judged; never empty.
    pub(crate) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, LookupError> {
        let addresses = self.look_up(host).await.map_err(LookupError::Unresolved)?;
        match addresses.iter().find_map(|ip| self.guard.judge(*ip).err()) {
            Some(forbidden) => {
                tracing::debug!(host, address = %forbidden.ip, kind = forbidden.kind, "a name was refused");
                Err(LookupError::Forbidden { host: host.to_owned(), kind: forbidden.kind })
            }
            None => Ok(addresses),
        }
    }

    async fn look_up(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        let mut name = Name::from_utf8(host).map_err(|_| format!("`{host}` is not a host name"))?;
        // an absolute name is asked as it is, never below a search domain
        name.set_fqdn(true);
        let known = self.in_hosts(&name);
        if !known.is_empty() {
            return Ok(known);
        }
        let answer = self.name_servers.lookup_ip(name).await.map_err(|error| explain(host, &error))?;
        let addresses: Vec<IpAddr> = answer.iter().collect();
        if addresses.is_empty() { Err(format!("`{host}` has no address")) } else { Ok(addresses) }
    }

    fn in_hosts(&self, name: &Name) -> Vec<IpAddr> {
        let lookup = |kind| self.hosts.lookup_static_host(&Query::query(name.clone(), kind));
        [RecordType::A, RecordType::AAAA].into_iter().filter_map(lookup).flat_map(|one| ips(&one)).collect()
    }
}

fn ips(lookup: &Lookup) -> Vec<IpAddr> {
    lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect()
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.to_vec())
}

/// Those of `/etc/resolv.conf`; without that file, the one on this host, as resolv.conf(5) says.
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

/// Quick enough for the deadline of a callback: 2 tries of at most 3 s for both families at once.
/// Answers are kept no longer than connections are, and failures hardly at all, since an attempt
/// that comes 5 s later is there to see another answer.
fn tuned(mut options: ResolverOpts) -> ResolverOpts {
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.use_hosts_file = ResolveHosts::Never; // `in_hosts` looks there, for both families
    options.timeout = options.timeout.min(Duration::from_secs(3));
    options.attempts = 1;
    options.cache_size = 1024;
    options.positive_max_ttl = Some(Duration::from_secs(60));
    options.negative_max_ttl = Some(Duration::from_secs(1));
    options
}

fn explain(host: &str, error: &HickoryError) -> String {
    match error {
        error if error.is_nx_domain() => format!("`{host}` does not exist"),
        error if error.is_no_records_found() => format!("`{host}` has no address"),
        HickoryError::Timeout => format!("no name server answered about `{host}`"),
        HickoryError::Dns(DnsError::ResponseCode(code)) => {
            format!("`{host}` could not be looked up: the name server said {code}")
        }
        error => format!("`{host}` could not be looked up: {error}"),
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> Resolving {
        let resolver = self.clone();
        let trace = Trace::here();
        Box::pin(async move {
            let begun = Instant::now();
            let found = resolver.addresses(name.as_str()).await;
            let mut notes = trace.notes();
            notes.dns = Some(begun.elapsed());
            let addresses = found?;
            notes.addresses.clone_from(&addresses);
            drop(notes);
            // the client puts the URL's port in place of 0
            Ok(Box::new(addresses.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs)
        })
    }
}
