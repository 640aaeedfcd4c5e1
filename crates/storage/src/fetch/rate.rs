//! The least rate of a fetch: a server that sends a few bytes now and then is no better than one that sends
//! none, and would hold a worker's slot for ever.
//!
//! Measured over windows that follow one another, so a server may pause, and an input that grows while it is
//! being sent is held to the average of its bit rate. Time in which nobody asks for bytes counts too, so
//! whoever holds a fetch back does it for less than a window.

use std::time::Duration;

use tokio::time::Instant;

/// How slow a fetch may be.
#[derive(Clone, Copy, Debug)]
pub struct RateLimit {
    /// Bytes a second, on the average of a window.
    pub min_bytes_per_second: u64,
    /// How long a window is.
    pub window: Duration,
}

/// A server that was slower than its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooSlow {
    bytes: u64,
    elapsed: Duration,
    min_bytes_per_second: u64,
}

impl std::fmt::Display for TooSlow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { bytes, elapsed, min_bytes_per_second } = self;
        let rate = *bytes as f64 / elapsed.as_secs_f64().max(f64::EPSILON);
        write!(
            f,
            "the server sends {rate:.1} bytes a second, measured over {} s; at least {min_bytes_per_second} \
             are required",
            elapsed.as_secs()
        )
    }
}

/// Measures the rate of one fetch, over all its connections.
pub(super) struct RateMeter {
    limit: RateLimit,
    window_start: Instant,
    /// Bytes that were received in this window.
    bytes: u64,
}

impl RateMeter {
    pub(super) fn start(limit: RateLimit) -> Self {
        Self { limit, window_start: Instant::now(), bytes: 0 }
    }

    /// Takes note of bytes that were received.
    pub(super) fn received(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// Waits for what comes next of a fetch; fails at the end of a window in which too little came.
    pub(super) async fn watch<T>(&mut self, next: impl Future<Output = T>) -> Result<T, TooSlow> {
        let mut next = std::pin::pin!(next);
        loop {
            // a sleep, unlike an instant, may be as long as it likes
            let left = self.limit.window.saturating_sub(self.window_start.elapsed());
            tokio::select! {
                biased;
                () = tokio::time::sleep(left) => self.end_window()?,
                next = &mut next => return Ok(next),
            }
        }
    }

    fn end_window(&mut self) -> Result<(), TooSlow> {
        let RateLimit { min_bytes_per_second, window } = self.limit;
        let required = u128::from(min_bytes_per_second).saturating_mul(window.as_millis()) / 1000;
        if u128::from(self.bytes) < required {
            return Err(TooSlow {
                bytes: self.bytes,
                elapsed: self.window_start.elapsed(),
                min_bytes_per_second,
            });
        }
        (self.window_start, self.bytes) = (Instant::now(), 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit { min_bytes_per_second: 1000, window: Duration::from_secs(60) };

    /// Receives so many bytes at each interval until it fails or a day is over; gives when that was.
    async fn fetch(bytes: usize, interval: Duration) -> Result<(), (u64, TooSlow)> {
        let (started, mut meter) = (Instant::now(), RateMeter::start(LIMIT));
        while started.elapsed() < Duration::from_secs(24 * 3600) {
            let chunk = meter.watch(tokio::time::sleep(interval)).await;
            chunk.map_err(|slow| (started.elapsed().as_secs(), slow))?;
            meter.received(bytes);
        }
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_trickles_is_given_up_after_a_window() {
        let (seconds, slow) = fetch(1, Duration::from_secs(10)).await.expect_err("too slow");
        assert_eq!(seconds, 60);
        assert_eq!(
            slow.to_string(),
            "the server sends 0.1 bytes a second, measured over 60 s; at least 1000 are required"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_sends_nothing_is_given_up_too() {
        let (seconds, slow) = fetch(1, Duration::from_secs(7200)).await.expect_err("too slow");
        assert_eq!((seconds, slow.bytes), (60, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_grows_in_bursts_goes_on_for_a_day() {
        // 10 s of 64 kbit/s at once
        assert_eq!(fetch(80_000, Duration::from_secs(10)).await, Ok(()));
    }
}
