//! How many requests a second a key may make, counted by each process. A second's worth may come at
//! once; after that they are let in evenly.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::error::ApiError;

/// What may come at once.
const BURST: Duration = Duration::from_secs(1);

/// Counts the requests of keys, of which only those that signed in are known.
pub(super) struct RateLimiter {
    /// From one request to the next; none: without limit.
    apart: Option<Duration>,
    /// When a key will have made up for all its requests.
    even: Mutex<HashMap<String, Instant>>,
}

impl RateLimiter {
    /// So many requests a second; 0: without limit.
    pub(super) fn new(each_second: u32) -> Self {
        let apart = (each_second > 0).then(|| BURST / each_second);
        Self { apart, even: Mutex::default() }
    }

    /// Lets a request in.
    ///
    /// # Errors
    /// 1007, with the time to wait, when there were too many.
    pub(super) fn admit(&self, access_key: &str) -> Result<(), ApiError> {
        self.wait(access_key, Instant::now()).map_err(|wait| {
            ApiError::rate_limited("the key makes more requests a second than it may; wait a little", wait)
        })
    }

    fn wait(&self, access_key: &str, now: Instant) -> Result<(), Duration> {
        let Some(apart) = self.apart else { return Ok(()) };
        let mut even = self.even.lock().unwrap_or_else(PoisonError::into_inner);
        let before = even.get(access_key).copied().unwrap_or(now).max(now);
        let after = before + apart;
        if after - now > BURST {
            return Err(after - now - BURST);
        }
        even.insert(access_key.to_owned(), after);
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
            assert_eq!(limiter.wait("a", start), Ok(()));
        }
        assert_eq!(limiter.wait("a", start), Err(Duration::from_millis(250)));
        assert_eq!(limiter.wait("b", start), Ok(()), "another key's own");
        let later = start + Duration::from_millis(250);
        assert_eq!(limiter.wait("a", later), Ok(()));
        assert_eq!(limiter.wait("a", later), Err(Duration::from_millis(250)));
        assert_eq!(limiter.wait("a", start + Duration::from_secs(60)), Ok(()));
    }

    #[test]
    fn without_a_limit_all_come_in() {
        let limiter = RateLimiter::new(0);
        assert!((0..10_000).all(|_| limiter.admit("a").is_ok()));
    }
}
