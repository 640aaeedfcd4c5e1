//! One queue of callbacks: what was claimed for it and not sent yet, and how much more to claim.
//!
//! How much is claimed ahead follows the receiver's speed: one that answers at once has its next
//! callbacks at hand; for one that hangs, no more are held than it has slots.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use callback::send::AttemptOutcome;
use store::CallbackClaim;

use super::{
    breaker::{AdaptiveConcurrency, Breaker},
    slots::Destination,
};

/// Callbacks claimed ahead for one queue, at most: enough that its slots do not wait for the next claim
/// while records are written.
const MAX_PREFETCH: usize = 1024;

/// When a full claim is used up sooner than this, the next one is twice as large.
const PREFETCH_TOO_SMALL: Duration = Duration::from_millis(500);

/// When a full claim lasts longer than this, the next one is half as large: a claim must not wait until
/// its lease runs out.
const PREFETCH_TOO_LARGE: Duration = Duration::from_secs(2);

/// A receiver that takes longer than this for an attempt counts as slow.
const SLOW_ATTEMPT: Duration = Duration::from_secs(1);

/// What there is to send of one kind: first attempts, or retries.
#[derive(Debug, Default)]
struct Backlog {
    claims: VecDeque<CallbackClaim>,
    /// Whether the database may have more that is due.
    may_have_more: bool,
}

/// One queue, as the scheduler sees it.
#[derive(Debug)]
pub(super) struct ReceiverQueue {
    first_attempts: Backlog,
    retries: Backlog,
    pub(super) in_flight: usize,
    /// Those of them that began while it was not known to be quick.
    pub(super) slow_in_flight: usize,
    /// Where its callbacks go, and whose they are.
    pub(super) to: Destination,
    /// Whether it waits for a slot of a level that is full.
    pub(super) is_parked: bool,
    /// Whether it is in the scheduler's round, waiting for its turn.
    pub(super) is_in_round: bool,
    max_slots: usize,
    /// How many to claim ahead, of each kind.
    prefetch: usize,
    /// When the last full claim came in.
    refilled: Option<Instant>,
    /// Whether the last attempt succeeded in less than `SLOW_ATTEMPT`.
    pub(super) is_quick: bool,
    /// What protects the receiver, with the extended policy only.
    protection: Option<Protection>,
}

#[derive(Debug)]
struct Protection {
    breaker: Breaker,
    concurrency: AdaptiveConcurrency,
}

impl ReceiverQueue {
    /// The queue of a receiver that may have `max_slots` attempts in flight.
    pub(super) fn new(to: Destination, max_slots: usize, is_extended: bool) -> Self {
        let protection = is_extended.then(|| Protection {
            breaker: Breaker::new(),
            concurrency: AdaptiveConcurrency::new(max_slots),
        });
        Self {
            first_attempts: Backlog::default(),
            retries: Backlog::default(),
            in_flight: 0,
            slow_in_flight: 0,
            to,
            is_parked: false,
            is_in_round: false,
            max_slots,
            prefetch: max_slots,
            refilled: None,
            is_quick: false,
            protection,
        }
    }

    fn backlog(&mut self, retry: bool) -> &mut Backlog {
        if retry { &mut self.retries } else { &mut self.first_attempts }
    }

    /// Callbacks that were claimed and not sent yet.
    pub(super) fn len(&self) -> usize {
        self.first_attempts.claims.len() + self.retries.claims.len()
    }

    /// Whether the database may have more that is due, of either kind.
    pub(super) fn may_have_more(&self) -> bool {
        self.first_attempts.may_have_more || self.retries.may_have_more
    }

    /// Says whether the database may have more that is due.
    pub(super) fn set_may_have_more(&mut self, retry: bool, may: bool) {
        self.backlog(retry).may_have_more = may;
    }

    /// Whether it may be dropped: nothing to send, nothing in flight, nothing to remember.
    pub(super) fn is_idle(&self) -> bool {
        self.len() == 0 && self.in_flight == 0 && !self.may_have_more() && !self.remembers_failures()
    }

    fn remembers_failures(&self) -> bool {
        match &self.protection {
            Some(Protection { breaker, concurrency }) => {
                *breaker != Breaker::new() || concurrency.slots < self.max_slots
            }
            None => false,
        }
    }

    /// Whether its circuit breaker is open.
    pub(super) fn is_broken(&self) -> bool {
        self.protection.as_ref().is_some_and(|protection| protection.breaker.is_open())
    }

    /// Until when nothing may be sent; `None`: something may be sent now.
    pub(super) fn blocked_until(&self, now: Instant) -> Option<Instant> {
        let Protection { breaker, concurrency } = self.protection.as_ref()?;
        breaker.blocked_until(now).max(concurrency.paused_until(now))
    }

    /// How many attempts it may have in flight now.
    pub(super) fn slots(&self) -> usize {
        match &self.protection {
            // half-open: one probe at a time
            Some(protection) if protection.breaker.is_open() => 1,
            Some(protection) => protection.concurrency.slots,
            None => self.max_slots,
        }
    }

    /// How many first attempts or retries to claim, when it may hold `max_prefetch` of them.
    pub(super) fn claim_size(&self, retry: bool, max_prefetch: usize) -> usize {
        let backlog = if retry { &self.retries } else { &self.first_attempts };
        if !backlog.may_have_more {
            return 0;
        }
        if self.is_broken() {
            // one probe, and rather a new callback than a retry
            let has_probe = self.in_flight + self.len() > 0;
            let leaves_it_to_new = retry && self.first_attempts.may_have_more;
            return usize::from(!has_probe && !leaves_it_to_new);
        }
        let prefetch = self.prefetch.min(max_prefetch.max(self.max_slots));
        // only when half is used up: a claim of one costs as much as a claim of many
        if backlog.claims.len() * 2 > prefetch { 0 } else { prefetch - backlog.claims.len() }
    }

    /// Adds what was claimed. `is_full`: as many as were asked for, so the database may have more.
    pub(super) fn add_claimed(
        &mut self,
        claims: Vec<CallbackClaim>,
        retry: bool,
        is_full: bool,
        now: Instant,
    ) {
        if is_full {
            self.set_may_have_more(retry, true);
            if let Some(refilled) = self.refilled.replace(now) {
                self.adapt_prefetch(now - refilled);
            }
        }
        self.backlog(retry).claims.extend(claims);
    }

    fn adapt_prefetch(&mut self, since_last_claim: Duration) {
        if since_last_claim > PREFETCH_TOO_LARGE {
            self.prefetch = (self.prefetch / 2).max(self.max_slots);
        } else if since_last_claim < PREFETCH_TOO_SMALL && self.is_quick {
            self.prefetch = (self.prefetch * 2).min(MAX_PREFETCH.max(self.max_slots));
        }
    }

    /// The callback that is sent next, given how many retries its receiver has in flight. First attempts
    /// go first; retries get at most half of the slots, and of a receiver that is never idle still a
    /// quarter of them.
    pub(super) fn pop(&mut self, retries_in_flight: usize) -> Option<CallbackClaim> {
        let (half, quarter) = ((self.max_slots / 2).max(1), self.max_slots / 4);
        if retries_in_flight < quarter && !self.retries.claims.is_empty() {
            return self.retries.claims.pop_front();
        }
        if let Some(claim) = self.first_attempts.claims.pop_front() {
            return Some(claim);
        }
        if retries_in_flight < half { self.retries.claims.pop_front() } else { None }
    }

    /// Takes out all that was claimed and not sent; the database has it again when it is released.
    pub(super) fn drain(&mut self) -> Vec<CallbackClaim> {
        let mut drained = Vec::with_capacity(self.len());
        for backlog in [&mut self.first_attempts, &mut self.retries] {
            backlog.may_have_more |= !backlog.claims.is_empty();
            drained.extend(backlog.claims.drain(..));
        }
        drained
    }

    /// Learns from how an attempt ended.
    pub(super) fn record_outcome(&mut self, outcome: &AttemptOutcome, took: Duration, now: Instant) {
        let is_accepted = *outcome == AttemptOutcome::Accepted;
        self.is_quick = is_accepted && took <= SLOW_ATTEMPT;
        if !self.is_quick {
            self.prefetch = self.max_slots;
        }
        if let Some(Protection { breaker, concurrency }) = &mut self.protection {
            concurrency.record_outcome(outcome, now);
            // a callback that can never be sent says nothing about its receiver
            if *outcome != AttemptOutcome::Forbidden {
                breaker.record_outcome(is_accepted, now);
            }
        }
    }
}
