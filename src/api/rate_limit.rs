//! The rate limit of requests, for each access key and each process: GCRA, the generic cell rate algorithm,
//! which is a leaky bucket that keeps one time for each key. As many requests as fit into a second may come
//! at once; after that they are admitted evenly.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::error::ApiError;

/// How far requests may be ahead of the even rate: a second's worth of them at once.
const BURST_TOLERANCE: Duration = Duration::from_secs(1);

/// Admits requests of access keys. Only keys that were authenticated come here, so their number is bounded.
pub(super) struct RateLimiter {
    /// GCRA's emission interval: the time from one request to the next at the even rate; none without a
    /// limit.
    interval: Option<Duration>,
    /// GCRA's theoretical arrival time of each key: when its next request would come at the even rate.
    arrival_times: Mutex<HashMap<String, Instant>>,
}

impl RateLimiter {
    /// At most so many requests a second; 0: without a limit.
    pub(super) fn new(requests_per_second: u32) -> Self {
        let interval =
            if requests_per_second == 0 { None } else { Some(Duration::from_secs(1) / requests_per_second) };
        Self { interval, arrival_times: Mutex::default() }
    }

    /// Admits a request.
    ///
    /// # Errors
    /// 1007, with the time to wait, when it is over the limit.
    pub(super) fn admit(&self, access_key: &str) -> Result<(), ApiError> {
        self.admit_at(access_key, Instant::now()).map_err(|wait| {
            ApiError::rate_limited("the key makes more requests a second than it may; wait a little", wait)
        })
    }

    /// The same at this time; the error is the time to wait.
    fn admit_at(&self, access_key: &str, now: Instant) -> Result<(), Duration> {
        let Some(interval) = self.interval else { return Ok(()) };
        let mut arrival_times = self.arrival_times.lock().unwrap_or_else(PoisonError::into_inner);
        let expected = arrival_times.get(access_key).copied().unwrap_or(now).max(now);
        let next = expected + interval;
        let ahead = next - now;
        if ahead > BURST_TOLERANCE {
            return Err(ahead - BURST_TOLERANCE);
        }
        arrival_times.insert(access_key.to_owned(), next);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seconds_worth_may_come_at_once_and_then_evenly() {
        let (limiter, start) = (RateLimiter::new(4), Instant::now());
        for _ in 0..4 {
            assert_eq!(limiter.admit_at("a", start), Ok(()));
        }
        assert_eq!(limiter.admit_at("a", start), Err(Duration::from_millis(250)));
        assert_eq!(limiter.admit_at("b", start), Ok(()), "another key's own");
        let later = start + Duration::from_millis(250);
        assert_eq!(limiter.admit_at("a", later), Ok(()));
        assert_eq!(limiter.admit_at("a", later), Err(Duration::from_millis(250)));
        assert_eq!(limiter.admit_at("a", start + Duration::from_secs(60)), Ok(()));
    }

    #[test]
    fn without_a_limit_all_are_admitted() {
        let limiter = RateLimiter::new(0);
        assert!((0..10_000).all(|_| limiter.admit("a").is_ok()));
    }
}
