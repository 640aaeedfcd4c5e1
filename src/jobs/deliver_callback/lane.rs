//! A lane: what was claimed for one queue, and how much more may be.
//!
//! How much is claimed ahead of sending follows what the receiver takes: one that answers at once
//! has its next callbacks at hand, for one that hangs no more are held than it has slots.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use callback::send::Outcome;
use store::CallbackClaim;

use super::breaker::{Breaker, Pace};

/// Claimed ahead for one receiver, at most: enough that its slots do not wait for the next claim while
/// records are written.
const MOST: usize = 1024;

/// When what was claimed lasts less long than this, more is claimed the next time; when it lasts longer
/// than that, less. It must not lie until its lease runs out.
const BRIEF: Duration = Duration::from_millis(500);
const LONG: Duration = Duration::from_secs(2);

/// A receiver that takes longer is slow.
const SLOW: Duration = Duration::from_secs(1);

/// One queue.
#[derive(Debug)]
pub(super) struct Lane {
    firsts: VecDeque<CallbackClaim>,
    retries: VecDeque<CallbackClaim>,
    /// Whether the database may have more that is due: first attempts, retries.
    pub(super) more: [bool; 2],
    pub(super) flying: usize,
    /// Whether it waits in the round for its turn.
    pub(super) in_round: bool,
    slots: usize,
    window: usize,
    filled: Option<Instant>,
    /// The last attempt succeeded at once.
    pub(super) quick: bool,
    /// With the extended policy.
    spared: Option<(Breaker, Pace)>,
}

impl Lane {
    /// The lane of a receiver that has so many slots.
    pub(super) fn new(slots: usize, extended: bool) -> Self {
        Self {
            firsts: VecDeque::new(),
            retries: VecDeque::new(),
            more: [false; 2],
            flying: 0,
            in_round: false,
            slots,
            window: slots,
            filled: None,
            quick: false,
            spared: extended.then(|| (Breaker::new(), Pace::new(slots))),
        }
    }

    pub(super) fn queued(&self) -> usize {
        self.firsts.len() + self.retries.len()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.queued() == 0 && self.flying == 0 && self.more == [false; 2] && !self.remembers()
    }

    /// Whether it would forget something about its receiver if it were dropped.
    fn remembers(&self) -> bool {
        self.spared
            .as_ref()
            .is_some_and(|(breaker, pace)| *breaker != Breaker::new() || pace.slots < self.slots)
    }

    pub(super) fn is_broken(&self) -> bool {
        self.spared.as_ref().is_some_and(|(breaker, _)| breaker.is_open())
    }

    /// Until when nothing may be sent; `None`: now something may.
    pub(super) fn held_until(&self, now: Instant) -> Option<Instant> {
        let (breaker, pace) = self.spared.as_ref()?;
        breaker.opens_at(now).max(pace.goes_on_at(now))
    }

    /// Attempts in flight that it may have.
    pub(super) fn slots(&self) -> usize {
        match &self.spared {
            Some((breaker, _)) if breaker.is_open() => 1,
            Some((_, pace)) => pace.slots,
            None => self.slots,
        }
    }

    /// How many to claim, of first attempts or of retries, when it may hold so many.
    pub(super) fn wants(&self, retry: bool, widest: usize) -> usize {
        if !self.more[usize::from(retry)] {
            return 0;
        }
        if self.is_broken() {
            // one probe, a new callback if there is one
            let probing = self.flying + self.queued() > 0 || retry && self.more[0];
            return usize::from(!probing);
        }
        let queued = if retry { self.retries.len() } else { self.firsts.len() };
        let window = self.window.min(widest.max(self.slots));
        // not by ones: a claim costs the same for many
        if queued * 2 > window { 0 } else { window - queued }
    }

    /// Takes what was claimed; `full`: as many as were wanted, so there may be more.
    pub(super) fn claimed(&mut self, claims: Vec<CallbackClaim>, retry: bool, full: bool, now: Instant) {
        if full {
            self.more[usize::from(retry)] = true;
            let lasted = self.filled.replace(now).map(|filled| now - filled);
            self.window = match lasted {
                Some(lasted) if lasted > LONG => (self.window / 2).max(self.slots),
                Some(lasted) if lasted < BRIEF && self.quick => (self.window * 2).min(MOST.max(self.slots)),
                _ => self.window,
            };
        }
        let queue = if retry { &mut self.retries } else { &mut self.firsts };
        queue.extend(claims);
    }

    /// What is sent next, given how many retries its receiver has in flight: first attempts go
    /// first, but of a receiver that is never idle retries get a quarter of the slots too.
    pub(super) fn take(&mut self, flying_retries: usize) -> Option<CallbackClaim> {
        let (half, quarter) = ((self.slots / 2).max(1), self.slots / 4);
        let retry_may = flying_retries < half;
        if retry_may && flying_retries < quarter && !self.retries.is_empty() {
            return self.retries.pop_front();
        }
        self.firsts.pop_front().or_else(|| if retry_may { self.retries.pop_front() } else { None })
    }

    /// Everything that was claimed and not sent.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = CallbackClaim> + use<'_> {
        for (queue, more) in [&self.firsts, &self.retries].into_iter().zip(&mut self.more) {
            *more |= !queue.is_empty();
        }
        self.firsts.drain(..).chain(self.retries.drain(..))
    }

    /// Takes note of how an attempt ended.
    pub(super) fn note(&mut self, outcome: &Outcome, took: Duration, now: Instant) {
        self.quick = *outcome == Outcome::Accepted && took <= SLOW;
        if !self.quick {
            self.window = self.slots;
        }
        if let Some((breaker, pace)) = &mut self.spared {
            pace.note(outcome, now);
            // a callback that cannot be sent says nothing about its receiver
            if *outcome != Outcome::Forbidden {
                breaker.note(*outcome == Outcome::Accepted, now);
            }
        }
    }
}
