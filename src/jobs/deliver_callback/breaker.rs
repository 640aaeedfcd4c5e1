//! What a receiver that fails is spared, with the extended policy: a circuit breaker, and a pace.
//!
//! After some failures in a row one probe at a time is sent, at growing distances, until one
//! succeeds. A receiver that asks to slow down is left alone for a while and then gets its slots
//! back one by one. What is held back is not sent, and so uses up no attempt.

use std::time::{Duration, Instant};

use callback::send::Outcome;

/// Failures in a row that open it.
const FAILURES: u32 = 5;

/// From the opening to the first probe; each later distance is twice the one before.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);

/// The shortest time that a receiver which asks to slow down is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// The circuit breaker of one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breaker {
    /// All goes through; so many failures in a row.
    Closed { failures: u32 },
    /// Nothing goes through before then, and one probe at a time after it.
    Open { probe_at: Instant, wait: Duration },
}

impl Breaker {
    pub(super) const fn new() -> Self {
        Self::Closed { failures: 0 }
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// When it lets something through; `None`: now.
    pub(super) fn opens_at(&self, now: Instant) -> Option<Instant> {
        match self {
            Self::Open { probe_at, .. } if *probe_at > now => Some(*probe_at),
            Self::Open { .. } | Self::Closed { .. } => None,
        }
    }

    /// Takes note of how an attempt ended.
    pub(super) fn note(&mut self, succeeded: bool, now: Instant) {
        *self = match *self {
            _ if succeeded => Self::new(),
            Self::Closed { failures } if failures + 1 < FAILURES => Self::Closed { failures: failures + 1 },
            Self::Closed { .. } => Self::Open { probe_at: now + FIRST_WAIT, wait: FIRST_WAIT },
            // one that was in flight when it opened says nothing new
            Self::Open { probe_at, .. } if probe_at > now => *self,
            Self::Open { wait, .. } => {
                let wait = (wait * 2).min(LONGEST_WAIT);
                Self::Open { probe_at: now + wait, wait }
            }
        };
    }
}

/// How many attempts in flight a receiver gets that asked to slow down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// Slots that it has for now.
    pub(super) slots: usize,
    most: usize,
    paused_until: Option<Instant>,
}

impl Pace {
    pub(super) const fn new(most: usize) -> Self {
        Self { slots: most, most, paused_until: None }
    }

    /// When it goes on; `None`: now.
    pub(super) fn goes_on_at(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|until| *until > now)
    }

    /// Takes note of how an attempt ended.
    pub(super) fn note(&mut self, outcome: &Outcome, now: Instant) {
        match outcome {
            Outcome::Rejected { status: 429 | 502 | 504, retry_after } => {
                let pause = retry_after.unwrap_or(PAUSE).clamp(PAUSE, LONGEST_WAIT);
                self.slots = (self.slots / 2).max(1);
                self.paused_until = self.paused_until.max(Some(now + pause));
            }
            Outcome::Accepted => self.slots = (self.slots + 1).min(self.most),
            Outcome::Rejected { .. } | Outcome::Unreachable | Outcome::Forbidden => {}
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
        for succeeded in [false, false, false, false, true, false, false, false, false] {
            breaker.note(succeeded, now);
            assert!(!breaker.is_open());
        }
        breaker.note(false, now);
        let mut waits = Vec::new();
        for _ in 0..8 {
            let probe_at = breaker.opens_at(now).expect("closed to all");
            waits.push((probe_at - now).as_secs());
            // what was in flight when it opened
            breaker.note(false, now + SECOND);
            assert_eq!(breaker.opens_at(now), Some(probe_at));
            now = probe_at;
            assert_eq!(breaker.opens_at(now), None, "a probe may go");
            breaker.note(false, now);
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300]);
        breaker.note(true, now);
        assert_eq!(breaker, Breaker::new());
    }

    #[test]
    fn who_asks_to_slow_down_gets_its_slots_back_one_by_one() {
        let (mut pace, now) = (Pace::new(8), Instant::now());
        pace.note(&Outcome::Rejected { status: 500, retry_after: Some(SECOND * 9) }, now);
        assert_eq!((pace.slots, pace.goes_on_at(now)), (8, None));
        pace.note(&Outcome::Rejected { status: 429, retry_after: Some(SECOND * 9) }, now);
        pace.note(&Outcome::Rejected { status: 504, retry_after: None }, now);
        assert_eq!((pace.slots, pace.goes_on_at(now)), (2, Some(now + SECOND * 9)));
        assert_eq!(pace.goes_on_at(now + SECOND * 9), None);
        for slots in [3, 4, 5, 6, 7, 8, 8] {
            pace.note(&Outcome::Accepted, now);
            assert_eq!(pace.slots, slots);
        }
    }
}
