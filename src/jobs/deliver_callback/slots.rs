//! The slots of attempts in flight: how many there are in all, for one address and for one origin, and
//! which of them a tenant may have.
//!
//! As long as one tenant alone has callbacks, it may have all of them. With several, an attempt for a
//! receiver that is not known to answer promptly is *slow* until it ends, and slow attempts leave a quarter
//! of the slots to others; of the rest, each tenant leaves half of what others do not use. So however many
//! receivers of one tenant hang, the next tenant finds a slot at once, and a receiver that answers promptly
//! too. Pure.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

/// Tenants that are remembered: with more it is certain that there are several.
const MAX_KNOWN_TENANTS: usize = 1024;

/// Hosts whose address is remembered; beyond, all are forgotten, and learned again.
const MAX_KNOWN_HOSTS: usize = 4096;

/// How many attempts may be in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConcurrencyLimits {
    /// All receivers together.
    pub(super) total: usize,
    /// For one address, whatever the names and ports that lead to it.
    pub(super) per_address: usize,
    /// For one receiver (scheme, host and port).
    pub(super) per_receiver: usize,
}

/// Where the callbacks of a queue go, and whose they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    /// `scheme://host:port`.
    pub(super) origin: String,
    /// The IP address that the host is known to lead to; until it is known, the host itself.
    pub(super) address: String,
    pub(super) tenant: String,
}

/// What slots are counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum LevelKind {
    Origin,
    Address,
    Total,
}

impl LevelKind {
    pub(super) const ALL: [Self; 3] = [Self::Origin, Self::Address, Self::Total];
}

impl Destination {
    /// The level of a kind that it belongs to.
    pub(super) fn level(&self, kind: LevelKind) -> (LevelKind, String) {
        let name = match kind {
            LevelKind::Origin => self.origin.clone(),
            LevelKind::Address => self.address.clone(),
            LevelKind::Total => String::new(),
        };
        (kind, name)
    }
}

/// The slots of one level, and who has them.
#[derive(Debug, Default)]
struct SlotLevel {
    held: HeldSlots,
    tenants: HashMap<String, HeldSlots>,
}

#[derive(Clone, Copy, Debug, Default)]
struct HeldSlots {
    all: usize,
    slow: usize,
}

impl HeldSlots {
    fn add(&mut self, is_slow: bool) {
        self.all += 1;
        self.slow += usize::from(is_slow);
    }

    fn remove(&mut self, is_slow: bool) {
        self.all = self.all.saturating_sub(1);
        self.slow = self.slow.saturating_sub(usize::from(is_slow));
    }
}

impl SlotLevel {
    /// Whether one of `capacity` slots is left for an attempt of this tenant, beside other tenants.
    fn admits_beside_others(&self, capacity: usize, tenant: &str, is_slow: bool) -> bool {
        let own = self.tenants.get(tenant).copied().unwrap_or_default();
        let shared = (capacity * 3 / 4).max(1);
        if !is_slow {
            return own.all < shared;
        }
        let others = self.held.slow - own.slow;
        let share = shared.saturating_sub(others).div_ceil(2).max(1);
        self.held.slow < shared && own.slow < share
    }
}

/// All slots.
#[derive(Debug)]
pub(super) struct CallbackSlots {
    limits: ConcurrencyLimits,
    total: SlotLevel,
    addresses: HashMap<String, SlotLevel>,
    origins: HashMap<String, SlotLevel>,
    known_tenants: HashSet<String>,
    known_addresses: HashMap<String, IpAddr>,
}

impl CallbackSlots {
    pub(super) fn new(limits: ConcurrencyLimits) -> Self {
        Self {
            limits,
            total: SlotLevel::default(),
            addresses: HashMap::new(),
            origins: HashMap::new(),
            known_tenants: HashSet::new(),
            known_addresses: HashMap::new(),
        }
    }

    /// Where a queue's callbacks go, as far as it is known, of which its tenant is known from now on.
    pub(super) fn destination(&mut self, queue_name: &str) -> Destination {
        let mut words = queue_name.split(' ');
        let (origin, tenant) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if self.known_tenants.len() < MAX_KNOWN_TENANTS && !self.known_tenants.contains(tenant) {
            self.known_tenants.insert(tenant.to_owned());
        }
        let host = host_of(origin);
        let address = match self.known_addresses.get(host) {
            Some(address) => address.to_string(),
            // the brackets of an IPv6 address are the URL's
            None => host.trim_matches(['[', ']']).to_owned(),
        };
        Destination { origin: origin.to_owned(), address, tenant: tenant.to_owned() }
    }

    /// Remembers the address that an attempt for this origin was connected to.
    pub(super) fn learn_address(&mut self, origin: &str, address: IpAddr) {
        let host = host_of(origin);
        if self.known_addresses.get(host) == Some(&address) {
            return;
        }
        if self.known_addresses.len() >= MAX_KNOWN_HOSTS {
            self.known_addresses.clear();
        }
        self.known_addresses.insert(host.to_owned(), address);
    }

    /// The level that has no slot for an attempt; none when there is one everywhere.
    pub(super) fn full_level(&self, to: &Destination, is_slow: bool) -> Option<LevelKind> {
        let is_shared = self.known_tenants.len() > 1;
        let is_full = |level: Option<&SlotLevel>, capacity: usize| {
            let Some(level) = level else { return false };
            level.held.all >= capacity
                || is_shared && !level.admits_beside_others(capacity, &to.tenant, is_slow)
        };
        if is_full(self.origins.get(&to.origin), self.limits.per_receiver) {
            Some(LevelKind::Origin)
        } else if is_full(self.addresses.get(&to.address), self.limits.per_address) {
            Some(LevelKind::Address)
        } else if is_full(Some(&self.total), self.limits.total) {
            Some(LevelKind::Total)
        } else {
            None
        }
    }

    /// Takes a slot on every level.
    pub(super) fn take(&mut self, to: &Destination, is_slow: bool) {
        let origin = self.origins.entry(to.origin.clone()).or_default();
        let address = self.addresses.entry(to.address.clone()).or_default();
        for level in [origin, address, &mut self.total] {
            level.held.add(is_slow);
            level.tenants.entry(to.tenant.clone()).or_default().add(is_slow);
        }
    }

    /// Frees what [`CallbackSlots::take`] took.
    pub(super) fn free(&mut self, to: &Destination, is_slow: bool) {
        free_in(&mut self.origins, &to.origin, &to.tenant, is_slow);
        free_in(&mut self.addresses, &to.address, &to.tenant, is_slow);
        free(&mut self.total, &to.tenant, is_slow);
    }

    /// Attempts in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.total.held.all
    }
}

fn free_in(levels: &mut HashMap<String, SlotLevel>, key: &str, tenant: &str, is_slow: bool) {
    if let Some(level) = levels.get_mut(key) {
        free(level, tenant, is_slow);
        if level.held.all == 0 {
            levels.remove(key);
        }
    }
}

fn free(level: &mut SlotLevel, tenant: &str, is_slow: bool) {
    level.held.remove(is_slow);
    if let Some(held) = level.tenants.get_mut(tenant) {
        held.remove(is_slow);
        if held.all == 0 {
            level.tenants.remove(tenant);
        }
    }
}

/// The host of `scheme://host:port`; of anything else all of it.
fn host_of(origin: &str) -> &str {
    let host = origin.split_once("://").map_or(origin, |(_, rest)| rest);
    host.rsplit_once(':').map_or(host, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ConcurrencyLimits = ConcurrencyLimits { total: 256, per_address: 32, per_receiver: 8 };

    /// Takes slots for new receivers of a tenant, each on a host of its own, until there are no more.
    fn hang(slots: &mut CallbackSlots, tenant: &str) -> usize {
        let mut taken = 0;
        loop {
            let to = slots.destination(&format!("http://{tenant}{taken}:80 {tenant}"));
            if slots.full_level(&to, true).is_some() {
                return taken;
            }
            slots.take(&to, true);
            taken += 1;
        }
    }

    #[test]
    fn each_tenant_leaves_half_of_what_others_do_not_use() {
        let mut slots = CallbackSlots::new(LIMITS);
        slots.destination("http://x:80 quiet");
        let taken: Vec<usize> = ["a", "b", "c", "d", "e"].iter().map(|name| hang(&mut slots, name)).collect();
        assert_eq!(taken, [96, 48, 24, 12, 6]);
        let quiet = slots.destination("http://x:80 quiet");
        assert_eq!(slots.full_level(&quiet, true), None, "the next one finds a slot");
    }

    #[test]
    fn a_tenant_alone_has_all_slots() {
        let mut slots = CallbackSlots::new(LIMITS);
        assert_eq!(hang(&mut slots, "a"), 256);
    }

    #[test]
    fn ports_and_names_of_one_address_share_its_slots() {
        let mut slots = CallbackSlots::new(LIMITS);
        slots.destination("http://x:80 other");
        let ports: Vec<String> = (1..=600).map(|port| format!("http://10.0.0.1:{port} a")).collect();
        let names: Vec<String> = (1..=600).map(|number| format!("http://h{number}:80 a")).collect();
        for number in 1..=600 {
            slots.learn_address(&format!("http://h{number}:80"), "10.0.0.1".parse().expect("an address"));
        }
        let mut taken = 0;
        for queue in ports.iter().chain(&names) {
            let to = slots.destination(queue);
            match slots.full_level(&to, true) {
                None => {
                    slots.take(&to, true);
                    taken += 1;
                }
                full => assert_eq!(full, Some(LevelKind::Address)),
            }
        }
        assert_eq!(taken, 12);
        let other = slots.destination("http://10.0.0.1:9999 other");
        assert_eq!(slots.full_level(&other, true), None);
        assert_eq!(slots.full_level(&other, false), None);
    }

    #[test]
    fn what_was_taken_is_free_again() {
        let mut slots = CallbackSlots::new(LIMITS);
        slots.destination("http://x:80 other");
        let to = slots.destination("http://[::1]:80 a");
        assert_eq!(to.address, "::1");
        for _ in 0..3 {
            slots.take(&to, true);
        }
        assert_eq!(slots.full_level(&to, true), Some(LevelKind::Origin));
        for _ in 0..3 {
            slots.free(&to, true);
        }
        assert_eq!((slots.full_level(&to, true), slots.in_flight()), (None, 0));
        assert!(slots.origins.is_empty() && slots.addresses.is_empty() && slots.total.tenants.is_empty());
    }
}
