//! Exponential back-off: the one schedule of everything that is retried in this crate.

use std::time::Duration;

/// Delays before retries; each is twice the one before, up to a longest.
#[derive(Debug)]
pub(crate) struct Backoff {
    first_delay: Duration,
    max_delay: Duration,
    retries: u32,
}

impl Backoff {
    pub(crate) const fn new(first_delay: Duration, max_delay: Duration) -> Self {
        Self { first_delay, max_delay, retries: 0 }
    }

    /// How many delays were given since the start or the last reset.
    pub(crate) const fn retries(&self) -> u32 {
        self.retries
    }

    /// The delay before the next retry.
    pub(crate) fn next_delay(&mut self) -> Duration {
        let delay = self.first_delay.saturating_mul(2_u32.saturating_pow(self.retries));
        self.retries = self.retries.saturating_add(1);
        delay.min(self.max_delay)
    }

    /// Begins again with the first delay.
    pub(crate) fn reset(&mut self) {
        self.retries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        let delays: Vec<u64> = (0..5).map(|_| backoff.next_delay().as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 5, 5]);
        assert_eq!(backoff.retries(), 5);
        backoff.reset();
        assert_eq!(backoff.next_delay(), Duration::from_secs(1));
    }
}
