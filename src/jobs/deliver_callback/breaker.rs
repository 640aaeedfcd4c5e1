//! What protects a receiver that fails, with the extended policy: a circuit breaker, and a number of
//! concurrent attempts that adapts.
//!
//! After some failures in a row the breaker opens: one probe at a time is sent, at growing distances,
//! until one succeeds. A receiver that asks to slow down is left alone for a while, has half of its
//! slots afterwards, and gets them back one by one. What is held back is not sent, and so uses up no
//! attempt.

use std::time::{Duration, Instant};

use callback::send::AttemptOutcome;

/// Failures in a row that open the breaker.
const FAILURES_TO_OPEN: u32 = 5;

/// From the opening to the first probe; each later distance is twice the one before.
const FIRST_PROBE_DELAY: Duration = Duration::from_secs(5);
const MAX_PROBE_DELAY: Duration = Duration::from_secs(5 * 60);

/// How long a receiver that asks to slow down is left alone.
const MIN_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(5 * 60);

/// The circuit breaker of one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breaker {
    /// Everything is sent; the last `failures` attempts failed.
    Closed { failures: u32 },
    /// Nothing is sent before `probe_at`, and one probe at a time after it (half-open).
    Open { probe_at: Instant, delay: Duration },
}

impl Breaker {
    pub(super) const fn new() -> Self {
        Self::Closed { failures: 0 }
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// Until when nothing may be sent; `None`: something may be sent now.
    pub(super) fn blocked_until(&self, now: Instant) -> Option<Instant> {
        match self {
            Self::Open { probe_at, .. } if *probe_at > now => Some(*probe_at),
            Self::Open { .. } | Self::Closed { .. } => None,
        }
    }

    /// Takes note of how an attempt ended.
    pub(super) fn record_outcome(&mut self, is_accepted: bool, now: Instant) {
        *self = match *self {
            _ if is_accepted => Self::new(),
            Self::Closed { failures } if failures + 1 < FAILURES_TO_OPEN => {
                Self::Closed { failures: failures + 1 }
            }
            Self::Closed { .. } => Self::Open { probe_at: now + FIRST_PROBE_DELAY, delay: FIRST_PROBE_DELAY },
            // not a probe: it was in flight already when the breaker opened
            Self::Open { probe_at, .. } if probe_at > now => *self,
            Self::Open { delay, .. } => {
                let delay = (delay * 2).min(MAX_PROBE_DELAY);
                Self::Open { probe_at: now + delay, delay }
            }
        };
    }
}

/// How many concurrent attempts a receiver gets: half as many each time it asks to slow down, one more
/// each time it accepts (additive increase, multiplicative decrease).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AdaptiveConcurrency {
    /// Slots that it has for now.
    pub(super) slots: usize,
    max_slots: usize,
    paused_until: Option<Instant>,
}

impl AdaptiveConcurrency {
    pub(super) const fn new(max_slots: usize) -> Self {
        Self { slots: max_slots, max_slots, paused_until: None }
    }

    /// Until when nothing may be sent; `None`: something may be sent now.
    pub(super) fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|until| *until > now)
    }

    /// Takes note of how an attempt ended.
    pub(super) fn record_outcome(&mut self, outcome: &AttemptOutcome, now: Instant) {
        match outcome {
            // Too Many Requests, Bad Gateway, Gateway Timeout
            AttemptOutcome::Rejected { status: 429 | 502 | 504, retry_after } => {
                let pause = retry_after.unwrap_or(MIN_PAUSE).clamp(MIN_PAUSE, MAX_PAUSE);
                self.slots = (self.slots / 2).max(1);
                self.paused_until = self.paused_until.max(Some(now + pause));
            }
            AttemptOutcome::Accepted => self.slots = (self.slots + 1).min(self.max_slots),
            AttemptOutcome::Rejected { .. } | AttemptOutcome::Unreachable | AttemptOutcome::Forbidden => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn five_failures_in_a_row_open_it_and_probes_come_ever_later() {
        let (mut breaker, mut now) = (Breaker::new(), Instant::now());
        for is_accepted in [false, false, false, false, true, false, false, false, false] {
            breaker.record_outcome(is_accepted, now);
            assert!(!breaker.is_open());
        }
        breaker.record_outcome(false, now);
        let mut delays = Vec::new();
        for _ in 0..8 {
            let probe_at = breaker.blocked_until(now).expect("it blocks everything");
            delays.push((probe_at - now).as_secs());
            // an attempt that was in flight when it opened
            breaker.record_outcome(false, now + SECOND);
            assert_eq!(breaker.blocked_until(now), Some(probe_at));
            now = probe_at;
            assert_eq!(breaker.blocked_until(now), None, "a probe may be sent");
            breaker.record_outcome(false, now);
        }
        assert_eq!(delays, [5, 10, 20, 40, 80, 160, 300, 300]);
        breaker.record_outcome(true, now);
        assert_eq!(breaker, Breaker::new());
    }

    #[test]
    fn who_asks_to_slow_down_gets_its_slots_back_one_by_one() {
        let (mut concurrency, now) = (AdaptiveConcurrency::new(8), Instant::now());
        let mut record = |status, retry_after| {
            concurrency.record_outcome(&AttemptOutcome::Rejected { status, retry_after }, now);
            (concurrency.slots, concurrency.paused_until(now))
        };
        assert_eq!(record(500, Some(SECOND * 9)), (8, None));
        record(429, Some(SECOND * 9));
        assert_eq!(record(504, None), (2, Some(now + SECOND * 9)));
        assert_eq!(concurrency.paused_until(now + SECOND * 9), None);
        for slots in [3, 4, 5, 6, 7, 8, 8] {
            concurrency.record_outcome(&AttemptOutcome::Accepted, now);
            assert_eq!(concurrency.slots, slots);
        }
    }
}
