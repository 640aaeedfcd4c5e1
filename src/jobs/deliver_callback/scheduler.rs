//! The scheduler: which callback is sent next, and what is claimed. Pure: time and results are handed in.
//!
//! Queues take turns. A receiver (scheme, host, port) never has more attempts in flight than its slots,
//! at most half of them retries, whichever queues lead to it: one that hangs keeps its own slots
//! busy and nobody else's. When more than half of all slots are taken, the queues of receivers that
//! answer share them equally, so that none has more connections than it needs; a queue whose receiver
//! hangs, or is not known yet, has one.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use callback::send::AttemptOutcome;
use model::Timestamp;
use store::{CallbackClaim, ClaimRequest, DueQueue};

use super::receiver_queue::ReceiverQueue;

/// Callbacks claimed ahead for all queues together, shared equally; each queue may always fill its slots.
const MAX_PREFETCH_TOTAL: usize = 2048;

/// Bytes of the callbacks that are claimed ahead, all queues together.
const MAX_PREFETCH_BYTES: usize = 16 << 20;

/// Retries that are due later than this are not remembered; a scan of the database finds them in time.
const RETRY_HORIZON: Duration = Duration::from_secs(60);

/// How many attempts may be in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConcurrencyLimits {
    /// All receivers together.
    pub(super) total: usize,
    /// For one receiver: its slots.
    pub(super) per_receiver: usize,
}

/// What a receiver has in flight.
#[derive(Clone, Copy, Debug, Default)]
struct InFlight {
    attempts: usize,
    /// How many of them are retries.
    retries: usize,
}

/// Every queue that has something to send, or failures to remember; queues are known by their names.
#[derive(Debug)]
pub(super) struct Scheduler {
    limits: ConcurrencyLimits,
    queues: HashMap<String, ReceiverQueue>,
    /// The queues that may have more in the database.
    needs_claim: HashSet<String>,
    /// The queues that have something to send, in the order of their turns.
    round: VecDeque<String>,
    /// The queues that are left alone until then.
    blocked: BTreeSet<(Instant, String)>,
    /// By receiver.
    in_flight: HashMap<String, InFlight>,
    /// The queues that lead to each receiver.
    siblings: HashMap<String, Vec<String>>,
    total_in_flight: usize,
    /// Bytes of what was claimed and not sent yet.
    prefetched_bytes: usize,
    /// When retries are due, within the horizon.
    due_retries: BinaryHeap<Reverse<(Timestamp, String)>>,
    /// What was claimed and is not to be sent by this process now.
    to_release: Vec<CallbackClaim>,
}

/// The receiver of a queue, `scheme://host:port`. With the extended policy a queue's name goes on with a
/// space and the tenant, whose circuit breaker is its own.
fn receiver_of(queue_name: &str) -> &str {
    queue_name.split_once(' ').map_or(queue_name, |(receiver, _)| receiver)
}

fn is_extended(queue_name: &str) -> bool {
    queue_name.contains(' ')
}

impl Scheduler {
    pub(super) fn new(limits: ConcurrencyLimits) -> Self {
        Self {
            limits,
            queues: HashMap::new(),
            needs_claim: HashSet::new(),
            round: VecDeque::new(),
            blocked: BTreeSet::new(),
            in_flight: HashMap::new(),
            siblings: HashMap::new(),
            total_in_flight: 0,
            prefetched_bytes: 0,
            due_retries: BinaryHeap::new(),
            to_release: Vec::new(),
        }
    }

    fn queue(&mut self, name: &str) -> &mut ReceiverQueue {
        if !self.queues.contains_key(name) {
            let queue = ReceiverQueue::new(self.limits.per_receiver, is_extended(name));
            self.queues.insert(name.to_owned(), queue);
            self.siblings.entry(receiver_of(name).to_owned()).or_default().push(name.to_owned());
        }
        self.queues.get_mut(name).expect("it was just put there")
    }

    /// Notes that a queue has first attempts or retries that are due.
    pub(super) fn mark_due(&mut self, name: &str, retry: bool) {
        self.queue(name).set_may_have_more(retry, true);
        self.needs_claim.insert(name.to_owned());
    }

    /// Notes that a queue has a retry that is due at `due`.
    pub(super) fn schedule_retry(&mut self, name: &str, due: Timestamp, now: Timestamp) {
        if due.since(now) < RETRY_HORIZON {
            self.due_retries.push(Reverse((due, name.to_owned())));
        }
    }

    /// Takes in what a scan of the database found.
    pub(super) fn add_scanned(&mut self, found: Vec<DueQueue>, now: Timestamp) {
        for DueQueue { queue: name, retry, due } in found {
            if due <= now {
                self.mark_due(&name, retry);
            } else if !self.is_scheduled(&name, due) {
                self.schedule_retry(&name, due, now);
            }
        }
    }

    fn is_scheduled(&self, name: &str, due: Timestamp) -> bool {
        self.due_retries.iter().any(|Reverse((at, queue_name))| *at == due && queue_name == name)
    }

    /// What to claim now.
    pub(super) fn claim_requests(&mut self, time: Timestamp, now: Instant) -> Vec<ClaimRequest> {
        while let Some(Reverse((due, _))) = self.due_retries.peek()
            && *due <= time
            && let Some(Reverse((_, name))) = self.due_retries.pop()
        {
            self.mark_due(&name, true);
        }
        if self.prefetched_bytes >= MAX_PREFETCH_BYTES {
            return Vec::new();
        }
        let max_prefetch = MAX_PREFETCH_TOTAL / self.queues.len().max(1);
        let mut requests = Vec::new();
        for name in &self.needs_claim {
            let Some(queue) = self.queues.get_mut(name) else { continue };
            if queue.blocked_until(now).is_some() {
                continue;
            }
            for retry in [false, true] {
                let size = queue.claim_size(retry, max_prefetch);
                if size > 0 {
                    queue.set_may_have_more(retry, false);
                    requests.push(ClaimRequest { queue: name.clone(), retry, limit: size as u32 });
                }
            }
        }
        for request in &requests {
            if self.queues.get(&request.queue).is_some_and(|queue| !queue.may_have_more()) {
                self.needs_claim.remove(&request.queue);
            }
        }
        requests
    }

    /// Takes in what was claimed for `requests`.
    pub(super) fn add_claimed(
        &mut self,
        requests: Vec<ClaimRequest>,
        claims: Vec<CallbackClaim>,
        now: Instant,
    ) {
        let mut by_request: HashMap<(String, bool), Vec<CallbackClaim>> = HashMap::new();
        for claim in claims {
            self.prefetched_bytes += claim.body.len();
            by_request.entry((claim.queue.clone(), claim.retry)).or_default().push(claim);
        }
        for ClaimRequest { queue: name, retry, limit } in requests {
            let claims = by_request.remove(&(name.clone(), retry)).unwrap_or_default();
            let is_full = claims.len() == limit as usize;
            self.queue(&name).add_claimed(claims, retry, is_full, now);
            if is_full {
                self.needs_claim.insert(name.clone());
            }
            self.join_round(&name);
            self.remove_if_idle(&name);
        }
    }

    /// Puts a queue at the end of the round if it has something to send.
    fn join_round(&mut self, name: &str) {
        if let Some(queue) = self.queues.get_mut(name)
            && queue.len() > 0
            && !queue.is_in_round
        {
            queue.is_in_round = true;
            self.round.push_back(name.to_owned());
        }
    }

    fn remove_if_idle(&mut self, name: &str) {
        if !self.queues.get(name).is_some_and(ReceiverQueue::is_idle) {
            return;
        }
        self.queues.remove(name);
        self.needs_claim.remove(name);
        if let Some(siblings) = self.siblings.get_mut(receiver_of(name)) {
            siblings.retain(|sibling| sibling != name);
            if siblings.is_empty() {
                self.siblings.remove(receiver_of(name));
            }
        }
    }

    /// The callback that is sent now, if any may be. A claim whose lease ends within `needed` is not sent:
    /// another process could take it meanwhile.
    pub(super) fn next_to_send(
        &mut self,
        time: Timestamp,
        now: Instant,
        needed: Duration,
    ) -> Option<CallbackClaim> {
        while self.blocked.first().is_some_and(|(until, _)| *until <= now)
            && let Some((_, name)) = self.blocked.pop_first()
        {
            self.join_round(&name);
        }
        for _ in 0..self.round.len() {
            if self.total_in_flight >= self.limits.total {
                return None;
            }
            let name = self.round.pop_front()?;
            if let Some(claim) = self.take_turn(&name, time, now, needed) {
                return Some(claim);
            }
        }
        None
    }

    /// The turn of one queue, which has left the round: it joins again if it may send more now, or
    /// when an attempt of its receiver ends.
    fn take_turn(
        &mut self,
        name: &str,
        time: Timestamp,
        now: Instant,
        needed: Duration,
    ) -> Option<CallbackClaim> {
        let is_crowded = self.total_in_flight * 2 > self.limits.total;
        let equal_share = (self.limits.total / self.queues.len().max(1)).max(1);
        let receiver_load = self.in_flight.get(receiver_of(name)).copied().unwrap_or_default();
        let queue = self.queues.get_mut(name)?;
        queue.is_in_round = false;
        if let Some(until) = queue.blocked_until(now) {
            self.blocked.insert((until, name.to_owned()));
            return None;
        }
        let slots = if !is_crowded {
            queue.slots()
        } else if queue.is_quick {
            queue.slots().min(equal_share)
        } else {
            1
        };
        while queue.in_flight < slots && receiver_load.attempts < self.limits.per_receiver {
            let claim = queue.pop(receiver_load.retries)?;
            self.prefetched_bytes = self.prefetched_bytes.saturating_sub(claim.body.len());
            if claim.lease_until < time + needed {
                queue.set_may_have_more(claim.retry, true);
                self.needs_claim.insert(name.to_owned());
                self.to_release.push(claim);
                continue;
            }
            queue.in_flight += 1;
            self.total_in_flight += 1;
            let in_flight = self.in_flight.entry(receiver_of(name).to_owned()).or_default();
            in_flight.attempts += 1;
            in_flight.retries += usize::from(claim.retry);
            self.join_round(name);
            return Some(claim);
        }
        None
    }

    /// Takes note that an attempt ended, which frees its slot.
    pub(super) fn attempt_completed(
        &mut self,
        name: &str,
        retry: bool,
        outcome: &AttemptOutcome,
        took: Duration,
        now: Instant,
    ) {
        self.free_slot(name, retry);
        if let Some(queue) = self.queues.get_mut(name) {
            queue.in_flight -= 1;
            let was_broken = queue.is_broken();
            queue.record_outcome(outcome, took, now);
            let is_broken = queue.is_broken();
            if is_broken && !was_broken {
                tracing::warn!(receiver = name, "a receiver keeps failing; it is tried once in a while");
            } else if was_broken && !is_broken {
                tracing::info!(receiver = name, "a receiver answers again");
            }
            if is_broken {
                let drained = queue.drain();
                self.prefetched_bytes -= drained.iter().map(|claim| claim.body.len()).sum::<usize>();
                self.to_release.extend(drained);
                self.needs_claim.insert(name.to_owned());
            }
        }
        self.join_round(name);
        self.wake_siblings(name);
        self.remove_if_idle(name);
    }

    fn free_slot(&mut self, name: &str, retry: bool) {
        self.total_in_flight -= 1;
        let receiver = receiver_of(name);
        if let Some(in_flight) = self.in_flight.get_mut(receiver) {
            in_flight.attempts -= 1;
            in_flight.retries -= usize::from(retry);
            if in_flight.attempts == 0 {
                self.in_flight.remove(receiver);
            }
        }
    }

    /// Puts the other queues of the same receiver into the round: they may have waited for the slot.
    fn wake_siblings(&mut self, name: &str) {
        let Some(siblings) = self.siblings.get(receiver_of(name)) else { return };
        if siblings.len() > 1 {
            for sibling in siblings.clone() {
                self.join_round(&sibling);
            }
        }
    }

    /// What was claimed and is to be released.
    pub(super) fn take_to_release(&mut self) -> Vec<CallbackClaim> {
        std::mem::take(&mut self.to_release)
    }

    /// Everything that was claimed and not sent.
    pub(super) fn drain(&mut self) -> Vec<CallbackClaim> {
        let mut unsent = self.take_to_release();
        for queue in self.queues.values_mut() {
            unsent.extend(queue.drain());
        }
        unsent
    }

    /// How long until something may be sent or claimed that may not be now.
    pub(super) fn wakes_in(&self, time: Timestamp, now: Instant) -> Option<Duration> {
        let due = self.due_retries.peek().map(|Reverse((due, _))| due.since(time));
        let unblocked = self.blocked.first().map(|(until, _)| until.saturating_duration_since(now));
        let blocked_claims =
            self.needs_claim.iter().filter_map(|name| self.queues.get(name)?.blocked_until(now));
        let claimable = blocked_claims.min().map(|until| until.saturating_duration_since(now));
        [due, unblocked, claimable].into_iter().flatten().min()
    }

    /// Attempts in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.total_in_flight
    }

    /// Circuit breakers that are open.
    pub(super) fn open_breakers(&self) -> usize {
        self.queues.values().filter(|queue| queue.is_broken()).count()
    }
}
