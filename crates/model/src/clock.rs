//! Time as a value: whatever needs the present time asks a [`Clock`] that was handed to it, so that a test
//! can stop time.

use std::{
    fmt, fs,
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

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

/// As RFC 3339 writes it, in whole seconds of UTC: `2026-11-28T20:10:00Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match chrono::DateTime::from_timestamp(self.as_secs(), 0) {
            Some(time) => write!(f, "{}", time.format("%Y-%m-%dT%H:%M:%SZ")),
            // chrono ends before i64 does
            None => write!(f, "{} s after 1970", self.as_secs()),
        }
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
    /// The present time. It steps when the machine's time is set.
    fn now(&self) -> Timestamp;

    /// How long the machine has been running, suspended time included: the same in all its processes, and
    /// it never steps.
    fn uptime(&self) -> Duration {
        machine_uptime()
    }
}

/// Every so often the uptime is read from the system. In between it is counted: that is much cheaper, but
/// misses the time for which the machine is suspended.
const UPTIME_READ_INTERVAL: Duration = Duration::from_secs(1);

/// `/proc/uptime` counts in hundredths of a second: a smaller difference says nothing.
const UPTIME_RESOLUTION: Duration = Duration::from_millis(20);

/// An uptime that was read, and when.
struct UptimeReading {
    uptime: Duration,
    read: Instant,
}

fn machine_uptime() -> Duration {
    static LAST: LazyLock<Mutex<UptimeReading>> = LazyLock::new(|| {
        Mutex::new(UptimeReading { uptime: read_uptime().unwrap_or_default(), read: Instant::now() })
    });
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let since_read = last.read.elapsed();
    let counted = last.uptime.saturating_add(since_read);
    if since_read < UPTIME_READ_INTERVAL {
        return counted;
    }
    let uptime = match read_uptime() {
        Some(uptime) if uptime > counted.saturating_add(UPTIME_RESOLUTION) => uptime,
        _ => counted,
    };
    *last = UptimeReading { uptime, read: Instant::now() };
    uptime
}

/// The first number of `/proc/uptime`: seconds since the boot (proc_uptime(5)).
fn read_uptime() -> Option<Duration> {
    let text = fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
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
    fn the_uptime_never_goes_back() {
        let mut last = SystemClock.uptime();
        for _ in 0..1000 {
            let next = SystemClock.uptime();
            assert!(next >= last, "{next:?} after {last:?}");
            last = next;
        }
    }

    #[test]
    fn arithmetic_saturates() {
        let latest = Timestamp::from_millis(i64::MAX);
        assert_eq!(latest + Duration::from_secs(1), latest);
        assert_eq!(Timestamp::from_millis(0).since(latest), Duration::ZERO);
    }
}
