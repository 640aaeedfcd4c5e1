//! The least pace of a client that sends an upload or takes an answer: who hardly moves is not waited for.

use std::time::Duration;

/// What a client has to send or take while it is waited for, in each window of time.
pub(super) const MIN_BYTES: usize = 32 << 10;

/// Counts how long a client was waited for, and what came of it. What the server itself takes is not counted.
#[derive(Debug)]
pub(super) struct Pace {
    window: Duration,
    waited: Duration,
    bytes: usize,
}

impl Pace {
    /// A client that has to move [`MIN_BYTES`] in each such window.
    pub(super) fn new(window: Duration) -> Self {
        Self { window, waited: Duration::ZERO, bytes: 0 }
    }

    /// How much longer it can be waited for before the window is over.
    pub(super) fn rest_of_window(&self) -> Duration {
        self.window.saturating_sub(self.waited)
    }

    /// Counts bytes that moved.
    pub(super) fn add_bytes(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// Counts a time in which nothing moved. Gives whether the client is fast enough; the next window begins
    /// when this one is over.
    pub(super) fn add_wait(&mut self, waited: Duration) -> bool {
        self.waited += waited;
        if self.waited < self.window {
            return true;
        }
        let is_fast_enough = self.bytes >= MIN_BYTES;
        *self = Self::new(self.window);
        is_fast_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn who_moves_a_little_now_and_then_is_too_slow() {
        let mut pace = Pace::new(SECOND * 30);
        for _ in 0..29 {
            pace.add_bytes(1);
            assert!(pace.add_wait(SECOND));
        }
        assert_eq!(pace.rest_of_window(), SECOND);
        assert!(!pace.add_wait(SECOND));
    }

    #[test]
    fn who_moves_enough_in_each_window_may_go_on() {
        let mut pace = Pace::new(SECOND * 30);
        for _ in 0..10 {
            pace.add_bytes(MIN_BYTES);
            assert!(pace.add_wait(SECOND * 30));
        }
        assert!(!pace.add_wait(SECOND * 30), "nothing moved since");
    }
}
