//! The scheduler: which callback is sent next, and what is claimed. Pure: time and results are handed in.
//!
//! Queues take turns. A receiver (scheme, host, port) never has more attempts in flight than its slots,
//! at most half of them retries, whichever queues lead to it: one that hangs keeps its own slots
//! busy and nobody else's. What one address and one tenant may have is in `slots`. When more than half of
//! all slots are taken, the queues of receivers that answer share them equally, so that none has more
//! connections than it needs; a queue whose receiver hangs, or is not known yet, has one.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, VecDeque},
    net::IpAddr,
    time::{Duration, Instant},
};

use callback::send::AttemptOutcome;
use model::Timestamp;
use store::{CallbackClaim, ClaimRequest, DueQueue};

use super::{
    receiver_queue::ReceiverQueue,
    slots::{CallbackSlots, ConcurrencyLimits, Destination, LevelKind},
};

/// Callbacks claimed ahead for all queues together, shared equally; each queue may always fill its slots.
const MAX_PREFETCH_TOTAL: usize = 2048;

/// Bytes of the callbacks that are claimed ahead, all queues together.
const MAX_PREFETCH_BYTES: usize = 16 << 20;

/// Retries that are due later than this are not remembered; a scan of the database finds them in time.
const RETRY_HORIZON: Duration = Duration::from_secs(60);

/// Queues that are claimed from at once, at most: a claim holds up the writes of others while it runs.
const MAX_REQUESTS: usize = 64;

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
    slots: CallbackSlots,
    /// Retries in flight, by receiver.
    retries_in_flight: HashMap<String, usize>,
    /// The queues that lead to each receiver.
    siblings: HashMap<String, Vec<String>>,
    /// The queues that wait for a slot of a level that is full, by tenant, in the order of their turns.
    parked: HashMap<(LevelKind, String), BTreeMap<String, VecDeque<String>>>,
    /// Bytes of what was claimed and not sent yet.
    prefetched_bytes: usize,
    /// When retries are due, within the horizon.
    due_retries: BinaryHeap<Reverse<(Timestamp, String)>>,
    /// What was claimed and is not to be sent by this process now.
    to_release: Vec<CallbackClaim>,
}

/// The receiver of a queue, `scheme://host:port`. A queue's name goes on with the tenant and, with the
/// extended policy, that word.
fn receiver_of(queue_name: &str) -> &str {
    queue_name.split_once(' ').map_or(queue_name, |(receiver, _)| receiver)
}

fn is_extended(queue_name: &str) -> bool {
    queue_name.ends_with(" extended")
}

impl Scheduler {
    pub(super) fn new(limits: ConcurrencyLimits) -> Self {
        Self {
            limits,
            queues: HashMap::new(),
            needs_claim: HashSet::new(),
            round: VecDeque::new(),
            blocked: BTreeSet::new(),
            slots: CallbackSlots::new(limits),
            retries_in_flight: HashMap::new(),
            siblings: HashMap::new(),
            parked: HashMap::new(),
            prefetched_bytes: 0,
            due_retries: BinaryHeap::new(),
            to_release: Vec::new(),
        }
    }

    fn queue(&mut self, name: &str) -> &mut ReceiverQueue {
        if !self.queues.contains_key(name) {
            let to = self.slots.destination(name);
            let queue = ReceiverQueue::new(to, self.limits.per_receiver, is_extended(name));
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
        let (mut requests, queue_count) = (Vec::new(), self.queues.len().max(1));
        // those that answer promptly first: they are not to wait for many that may not
        for is_quick in [true, false] {
            for name in &self.needs_claim {
                let Some(queue) = self.queues.get_mut(name) else { continue };
                if queue.is_quick != is_quick || queue.blocked_until(now).is_some() {
                    continue;
                }
                // of one that would only wait for a slot, nothing is held
                if !is_quick && self.slots.full_level(&queue.to, true).is_some() {
                    continue;
                }
                if requests.len() >= MAX_REQUESTS {
                    break;
                }
                let max_prefetch = MAX_PREFETCH_TOTAL / queue_count;
                for retry in [false, true] {
                    let size = queue.claim_size(retry, max_prefetch);
                    if size > 0 {
                        queue.set_may_have_more(retry, false);
                        requests.push(ClaimRequest { queue: name.clone(), retry, limit: size as u32 });
                    }
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
            && !queue.is_parked
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
        while self.slots.in_flight() < self.limits.total {
            let name = self.round.pop_front()?;
            if let Some(claim) = self.take_turn(&name, time, now, needed) {
                return Some(claim);
            }
        }
        None
    }

    /// Parks a queue until an attempt ends that has a slot of the level.
    fn park(&mut self, name: &str, kind: LevelKind) {
        let Some(queue) = self.queues.get_mut(name) else { return };
        queue.is_parked = true;
        let (level, tenant) = (queue.to.level(kind), queue.to.tenant.clone());
        self.parked.entry(level).or_default().entry(tenant).or_default().push_back(name.to_owned());
    }

    /// Puts the queues into the round that may have a slot after one of this destination became free: of
    /// each tenant that waits for one the first, which calls the next when it is served.
    fn unpark(&mut self, to: &Destination) {
        for level in LevelKind::ALL.map(|kind| to.level(kind)) {
            let tenants: Vec<String> =
                self.parked.get(&level).map(|tenants| tenants.keys().cloned().collect()).unwrap_or_default();
            for tenant in tenants {
                self.unpark_next(&level, &tenant);
            }
        }
    }

    /// Puts a tenant's first queue that waits for this level into the round if it has a slot now.
    fn unpark_next(&mut self, level: &(LevelKind, String), tenant: &str) {
        while let Some(name) = self.first_parked(level, tenant) {
            let Some(queue) = self.queues.get_mut(&name).filter(|queue| queue.is_parked) else {
                self.remove_first_parked(level, tenant);
                continue;
            };
            let full = self.slots.full_level(&queue.to, !queue.is_quick);
            if full.is_some_and(|kind| queue.to.level(kind) == *level) {
                return;
            }
            queue.is_parked = false;
            let has_more = queue.len() > 0;
            self.remove_first_parked(level, tenant);
            match full {
                Some(kind) if has_more => self.park(&name, kind),
                None if has_more => return self.join_round(&name),
                _ => {}
            }
        }
    }

    fn first_parked(&self, level: &(LevelKind, String), tenant: &str) -> Option<String> {
        self.parked.get(level)?.get(tenant)?.front().cloned()
    }

    fn remove_first_parked(&mut self, level: &(LevelKind, String), tenant: &str) {
        let Some(tenants) = self.parked.get_mut(level) else { return };
        let Some(waiting) = tenants.get_mut(tenant) else { return };
        waiting.pop_front();
        if waiting.is_empty() {
            tenants.remove(tenant);
            if tenants.is_empty() {
                self.parked.remove(level);
            }
        }
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
        let is_crowded = self.slots.in_flight() * 2 > self.limits.total;
        let equal_share = (self.limits.total / self.queues.len().max(1)).max(1);
        let retries = self.retries_in_flight.get(receiver_of(name)).copied().unwrap_or(0);
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
        let is_slow = !queue.is_quick;
        while queue.in_flight < slots {
            if let Some(level) = self.slots.full_level(&queue.to, is_slow) {
                self.park(name, level);
                return None;
            }
            let Some(claim) = queue.pop(retries) else { break };
            self.prefetched_bytes = self.prefetched_bytes.saturating_sub(claim.body.len());
            if claim.lease_until < time + needed {
                queue.set_may_have_more(claim.retry, true);
                self.needs_claim.insert(name.to_owned());
                self.to_release.push(claim);
                continue;
            }
            queue.in_flight += 1;
            queue.slow_in_flight += usize::from(is_slow);
            let to = queue.to.clone();
            self.slots.take(&to, is_slow);
            if claim.retry {
                *self.retries_in_flight.entry(to.origin.clone()).or_default() += 1;
            }
            self.join_round(name);
            self.call_next(&to);
            return Some(claim);
        }
        let to = queue.to.clone();
        self.call_next(&to);
        None
    }

    /// Calls the next queue of the same tenant that waits for a slot of this destination's levels.
    fn call_next(&mut self, to: &Destination) {
        for level in LevelKind::ALL.map(|kind| to.level(kind)) {
            self.unpark_next(&level, &to.tenant);
        }
    }

    /// Takes note that an attempt ended, which frees its slot; `address` is where it was connected to.
    pub(super) fn attempt_completed(
        &mut self,
        name: &str,
        retry: bool,
        outcome: &AttemptOutcome,
        took: Duration,
        address: Option<IpAddr>,
        now: Instant,
    ) {
        self.free_slot(name, retry, address);
        if let Some(queue) = self.queues.get_mut(name) {
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

    fn free_slot(&mut self, name: &str, retry: bool, address: Option<IpAddr>) {
        if let Some(address) = address {
            self.slots.learn_address(receiver_of(name), address);
        }
        if retry && let Some(retries) = self.retries_in_flight.get_mut(receiver_of(name)) {
            *retries -= 1;
            if *retries == 0 {
                self.retries_in_flight.remove(receiver_of(name));
            }
        }
        let Some(queue) = self.queues.get_mut(name) else { return };
        // the slow ones began first
        let was_slow = queue.slow_in_flight > 0;
        queue.in_flight -= 1;
        queue.slow_in_flight -= usize::from(was_slow);
        let to = queue.to.clone();
        self.slots.free(&to, was_slow);
        if queue.in_flight == 0 {
            // what it has in flight stays with the address that it was counted for
            queue.to = self.slots.destination(name);
        }
        self.unpark(&to);
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
        self.slots.in_flight()
    }

    /// Circuit breakers that are open.
    pub(super) fn open_breakers(&self) -> usize {
        self.queues.values().filter(|queue| queue.is_broken()).count()
    }
}
