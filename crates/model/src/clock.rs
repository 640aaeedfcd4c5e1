//! Time as a value: whatever needs the present time asks a [`Clock`] that was handed to it, so that a test
//! can stop time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A point in time: milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch; so times are stored.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch; so times are answered.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// A `start_time` or `end_time` as clients send it: a value over 10^11 is in milliseconds, any other in
    /// seconds. Clients in use send both.
    pub const fn from_client(value: i64) -> Self {
        if value > 100_000_000_000 { Self(value) } else { Self(value.saturating_mul(1000)) }
    }

    /// The time that has passed since `earlier`; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        let from_epoch = Duration::from_millis(time.0.unsigned_abs());
        if time.0 < 0 { UNIX_EPOCH - from_epoch } else { UNIX_EPOCH + from_epoch }
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// A source of the present time.
pub trait Clock: Send + Sync + 'static {
    /// The present time.
    fn now(&self) -> Timestamp;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the machine's time is read")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_times_are_seconds_or_milliseconds() {
        assert_eq!(Timestamp::from_client(1_650_000_000).as_secs(), 1_650_000_000);
        assert_eq!(Timestamp::from_client(1_650_000_000_123).as_millis(), 1_650_000_000_123);
    }

    #[test]
    fn arithmetic_saturates() {
        let latest = Timestamp::from_millis(i64::MAX);
        assert_eq!(latest + Duration::from_secs(1), latest);
        assert_eq!(Timestamp::from_millis(0).since(latest), Duration::ZERO);
    }
}
