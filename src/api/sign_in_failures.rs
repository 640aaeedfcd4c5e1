//! Wrong sign-ins, counted by where they come from, so that guessing costs the server little: GCRA as in
//! `rate_limit`, of failures alone.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Failures that may come at once.
const BURST: u32 = 20;

/// Addresses, each with the names it tries, that are counted at once.
const MAX_COUNTED: usize = 8192;

/// Where a wrong sign-in came from, and which key it was for; empty: a name that no key has.
type FailureSource = (IpAddr, String);

/// The failures of this process.
#[derive(Default)]
pub(super) struct SignInFailures {
    /// GCRA's theoretical arrival time of each source.
    arrival_times: Mutex<HashMap<FailureSource, Instant>>,
}

impl SignInFailures {
    /// One more may come after this time.
    pub(super) const INTERVAL: Duration = Duration::from_secs(5);

    /// Whether a sign-in is refused without a look at it. One that comes through no connection, as in a
    /// test, has no address and is not limited.
    pub(super) fn are_too_many(&self, address: Option<IpAddr>, access_key: &str) -> bool {
        self.are_too_many_at(address, access_key, Instant::now())
    }

    fn are_too_many_at(&self, address: Option<IpAddr>, access_key: &str, now: Instant) -> bool {
        let Some(address) = address else { return false };
        let arrival_times = self.arrival_times.lock().unwrap_or_else(PoisonError::into_inner);
        match arrival_times.get(&(network(address), access_key.to_owned())) {
            Some(arrival) => *arrival > now + Self::INTERVAL * (BURST - 1),
            // who comes from a new address every time is refused when there are too many of these
            None => access_key.is_empty() && arrival_times.len() >= MAX_COUNTED,
        }
    }

    /// Counts a failure.
    pub(super) fn count(&self, address: Option<IpAddr>, access_key: &str) {
        self.count_at(address, access_key, Instant::now());
    }

    fn count_at(&self, address: Option<IpAddr>, access_key: &str, now: Instant) {
        let Some(address) = address else { return };
        let mut arrival_times = self.arrival_times.lock().unwrap_or_else(PoisonError::into_inner);
        if arrival_times.len() >= MAX_COUNTED {
            arrival_times.retain(|_, arrival| *arrival > now);
        }
        let source = (network(address), access_key.to_owned());
        if arrival_times.len() >= MAX_COUNTED && !arrival_times.contains_key(&source) {
            return;
        }
        let arrival = arrival_times.entry(source).or_insert(now);
        *arrival = (*arrival).max(now) + Self::INTERVAL;
    }
}

/// Who has an IPv6 address has its whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    #[test]
    fn a_burst_may_fail_and_then_one_now_and_then() {
        let (failures, now) = (SignInFailures::default(), Instant::now());
        let from = address("203.0.113.7");
        for _ in 0..BURST {
            assert!(!failures.are_too_many_at(from, "", now));
            failures.count_at(from, "", now);
        }
        assert!(failures.are_too_many_at(from, "", now));
        assert!(!failures.are_too_many_at(from, "a key", now), "of a key they are counted apart");
        assert!(!failures.are_too_many_at(address("203.0.113.8"), "", now));
        let later = now + SignInFailures::INTERVAL;
        assert!(!failures.are_too_many_at(from, "", later));
        failures.count_at(from, "", later);
        assert!(failures.are_too_many_at(from, "", later));
    }

    #[test]
    fn addresses_of_one_network_are_one() {
        let (failures, now) = (SignInFailures::default(), Instant::now());
        for host in 0..BURST {
            failures.count_at(address(&format!("2001:db8::{host:x}")), "", now);
        }
        assert!(failures.are_too_many_at(address("2001:db8::ffff"), "", now));
        assert!(!failures.are_too_many_at(address("2001:db8:0:1::1"), "", now));
        assert_eq!(network("::ffff:192.0.2.1".parse().expect("mapped")), address("192.0.2.1").expect("v4"));
    }

    #[test]
    fn their_number_is_bounded() {
        let (failures, now) = (SignInFailures::default(), Instant::now());
        for number in 0..MAX_COUNTED {
            failures.count_at(address(&format!("10.{}.{}.1", number / 256, number % 256)), "", now);
        }
        assert!(failures.are_too_many_at(address("192.0.2.1"), "", now), "no room for another");
        failures.count_at(address("192.0.2.1"), "", now + SignInFailures::INTERVAL * 2);
        assert_eq!(failures.arrival_times.lock().expect("no panic").len(), 1, "the old ones are forgotten");
    }
}
