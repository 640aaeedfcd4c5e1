//! All lanes: who is sent to next, and what is claimed. Pure: time and results are handed in.
//!
//! Lanes take turns. A receiver (scheme, host, port) has no more attempts in flight than its slots,
//! and of them at most half are retries, whoever's lanes lead to it. So one that hangs keeps its own
//! slots busy and nobody else's. When many attempts are in flight, the lanes of receivers that answer
//! have equal shares of what may be, so that none has more connections than it needs; one that
//! hangs keeps but one, and so does one of which nothing is known yet.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use callback::send::Outcome;
use model::Timestamp;
use store::{CallbackClaim, Ready, Want};

use super::lane::Lane;

/// Callbacks that lanes may claim ahead, shared out evenly, but to each what its slots need.
const AHEAD: usize = 2048;

/// Bytes that are claimed ahead, all lanes together.
const AHEAD_BYTES: usize = 16 << 20;

/// Later retries are found by looking.
const HORIZON: Duration = Duration::from_secs(60);

/// How many attempts may be in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// All receivers together.
    pub(super) total: usize,
    /// For one receiver.
    pub(super) receiver: usize,
}

/// What a receiver has in flight.
#[derive(Clone, Copy, Debug, Default)]
struct Flying {
    all: usize,
    retries: usize,
}

/// Every queue that has something to send, or something to remember.
#[derive(Debug)]
pub(super) struct Lanes {
    bounds: Bounds,
    lanes: HashMap<String, Lane>,
    /// The lanes that may have more in the database.
    hungry: HashSet<String>,
    /// The lanes whose turn comes, in order.
    round: VecDeque<String>,
    /// The lanes that are left alone until then.
    held: BTreeSet<(Instant, String)>,
    /// By receiver.
    flying: HashMap<String, Flying>,
    /// The lanes that lead to each receiver.
    beside: HashMap<String, Vec<String>>,
    total: usize,
    /// Bytes.
    ahead: usize,
    /// When retries are due, soon.
    due: BinaryHeap<Reverse<(Timestamp, String)>>,
    /// What was claimed and is not to be sent now.
    spared: Vec<CallbackClaim>,
}

/// `scheme://host:port` of a queue's name, which may end with a tenant.
fn receiver(queue: &str) -> &str {
    queue.split_once(' ').map_or(queue, |(receiver, _)| receiver)
}

impl Lanes {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            lanes: HashMap::new(),
            hungry: HashSet::new(),
            round: VecDeque::new(),
            held: BTreeSet::new(),
            flying: HashMap::new(),
            beside: HashMap::new(),
            total: 0,
            ahead: 0,
            due: BinaryHeap::new(),
            spared: Vec::new(),
        }
    }

    fn lane(&mut self, queue: &str) -> &mut Lane {
        let slots = self.bounds.receiver;
        if !self.lanes.contains_key(queue) {
            self.lanes.insert(queue.to_owned(), Lane::new(slots, queue.contains(' ')));
            self.beside.entry(receiver(queue).to_owned()).or_default().push(queue.to_owned());
        }
        self.lanes.get_mut(queue).expect("it was just put there")
    }

    /// A queue has something that is due.
    pub(super) fn due(&mut self, queue: &str, retry: bool) {
        self.lane(queue).more[usize::from(retry)] = true;
        self.hungry.insert(queue.to_owned());
    }

    /// A queue has a retry that is due then.
    pub(super) fn due_at(&mut self, queue: &str, at: Timestamp, now: Timestamp) {
        if at.since(now) < HORIZON {
            self.due.push(Reverse((at, queue.to_owned())));
        }
    }

    /// What a look at the database found.
    pub(super) fn found(&mut self, ready: Vec<Ready>, now: Timestamp) {
        for Ready { receiver, retry, due } in ready {
            if due <= now {
                self.due(&receiver, retry);
            } else if !self.due.iter().any(|Reverse((at, queue))| *at == due && *queue == receiver) {
                self.due_at(&receiver, due, now);
            }
        }
    }

    /// What to claim now.
    pub(super) fn wants(&mut self, time: Timestamp, now: Instant) -> Vec<Want> {
        while let Some(Reverse((at, _))) = self.due.peek()
            && *at <= time
            && let Some(Reverse((_, queue))) = self.due.pop()
        {
            self.due(&queue, true);
        }
        if self.ahead >= AHEAD_BYTES {
            return Vec::new();
        }
        let widest = AHEAD / self.lanes.len().max(1);
        let mut wants = Vec::new();
        for queue in &self.hungry {
            let Some(lane) = self.lanes.get_mut(queue) else { continue };
            if lane.held_until(now).is_some() {
                continue;
            }
            for retry in [false, true] {
                let most = lane.wants(retry, widest);
                if most > 0 {
                    lane.more[usize::from(retry)] = false;
                    wants.push(Want { receiver: queue.clone(), retry, most: most as u32 });
                }
            }
        }
        for want in &wants {
            if self.lanes.get(&want.receiver).is_some_and(|lane| lane.more == [false; 2]) {
                self.hungry.remove(&want.receiver);
            }
        }
        wants
    }

    /// What was claimed of what was wanted.
    pub(super) fn claimed(&mut self, wants: Vec<Want>, claims: Vec<CallbackClaim>, now: Instant) {
        let mut sorted: HashMap<(String, bool), Vec<CallbackClaim>> = HashMap::new();
        for claim in claims {
            self.ahead += claim.body.len();
            sorted.entry((claim.receiver.clone(), claim.retry)).or_default().push(claim);
        }
        for Want { receiver: queue, retry, most } in wants {
            let claims = sorted.remove(&(queue.clone(), retry)).unwrap_or_default();
            let full = claims.len() == most as usize;
            let lane = self.lane(&queue);
            lane.claimed(claims, retry, full, now);
            if full {
                self.hungry.insert(queue.clone());
            }
            self.takes_turns(&queue);
            self.forget_idle(&queue);
        }
    }

    /// Puts a lane into the round if it has something to send.
    fn takes_turns(&mut self, queue: &str) {
        if let Some(lane) = self.lanes.get_mut(queue)
            && lane.queued() > 0
            && !lane.in_round
        {
            lane.in_round = true;
            self.round.push_back(queue.to_owned());
        }
    }

    fn forget_idle(&mut self, queue: &str) {
        if self.lanes.get(queue).is_some_and(Lane::is_idle) {
            self.lanes.remove(queue);
            self.hungry.remove(queue);
            if let Some(lanes) = self.beside.get_mut(receiver(queue)) {
                lanes.retain(|lane| lane != queue);
                if lanes.is_empty() {
                    self.beside.remove(receiver(queue));
                }
            }
        }
    }

    /// What is sent now, if anything may be. A claim that expires before `needed` is over is not.
    pub(super) fn next(&mut self, time: Timestamp, now: Instant, needed: Duration) -> Option<CallbackClaim> {
        while self.held.first().is_some_and(|(until, _)| *until <= now)
            && let Some((_, queue)) = self.held.pop_first()
        {
            self.takes_turns(&queue);
        }
        for _ in 0..self.round.len() {
            if self.total >= self.bounds.total {
                return None;
            }
            let queue = self.round.pop_front()?;
            if let Some(claim) = self.take_from(&queue, time, now, needed) {
                return Some(claim);
            }
        }
        None
    }

    /// The turn of one lane, which is out of the round: it comes back if it may send more now, or
    /// when an attempt of its receiver ends.
    fn take_from(
        &mut self,
        queue: &str,
        time: Timestamp,
        now: Instant,
        needed: Duration,
    ) -> Option<CallbackClaim> {
        let crowded = self.total * 2 > self.bounds.total;
        let share = (self.bounds.total / self.lanes.len().max(1)).max(1);
        let flying = self.flying.get(receiver(queue)).copied().unwrap_or_default();
        let lane = self.lanes.get_mut(queue)?;
        lane.in_round = false;
        if let Some(until) = lane.held_until(now) {
            self.held.insert((until, queue.to_owned()));
            return None;
        }
        let own = match lane.quick {
            _ if !crowded => lane.slots(),
            true => lane.slots().min(share),
            false => 1,
        };
        while lane.flying < own && flying.all < self.bounds.receiver {
            let claim = lane.take(flying.retries)?;
            self.ahead = self.ahead.saturating_sub(claim.body.len());
            if claim.lease_until < time + needed {
                lane.more[usize::from(claim.retry)] = true;
                self.hungry.insert(queue.to_owned());
                self.spared.push(claim);
                continue;
            }
            lane.flying += 1;
            self.total += 1;
            let flying = self.flying.entry(receiver(queue).to_owned()).or_default();
            flying.all += 1;
            flying.retries += usize::from(claim.retry);
            self.takes_turns(queue);
            return Some(claim);
        }
        None
    }

    /// An attempt ended.
    pub(super) fn landed(
        &mut self,
        queue: &str,
        retry: bool,
        outcome: &Outcome,
        took: Duration,
        now: Instant,
    ) {
        self.total -= 1;
        let place = receiver(queue);
        if let Some(flying) = self.flying.get_mut(place) {
            flying.all -= 1;
            flying.retries -= usize::from(retry);
            if flying.all == 0 {
                self.flying.remove(place);
            }
        }
        if let Some(lane) = self.lanes.get_mut(queue) {
            lane.flying -= 1;
            let was_broken = lane.is_broken();
            lane.note(outcome, took, now);
            match (was_broken, lane.is_broken()) {
                (false, true) => {
                    tracing::warn!(receiver = queue, "a receiver keeps failing; it is tried once in a while");
                }
                (true, false) => tracing::info!(receiver = queue, "a receiver answers again"),
                _ => {}
            }
            if lane.is_broken() {
                let before = self.spared.len();
                self.spared.extend(lane.drain());
                self.ahead -= self.spared[before..].iter().map(|claim| claim.body.len()).sum::<usize>();
                self.hungry.insert(queue.to_owned());
            }
        }
        self.takes_turns(queue);
        self.share_turns(queue);
        self.forget_idle(queue);
    }

    /// Other lanes to the same receiver may have waited for the slot.
    fn share_turns(&mut self, queue: &str) {
        let beside = self.beside.get(receiver(queue)).filter(|lanes| lanes.len() > 1).cloned();
        for other in beside.into_iter().flatten() {
            self.takes_turns(&other);
        }
    }

    /// What was claimed and is to be given back.
    pub(super) fn take_spared(&mut self) -> Vec<CallbackClaim> {
        std::mem::take(&mut self.spared)
    }

    /// Everything that was claimed and not sent.
    pub(super) fn drain(&mut self) -> Vec<CallbackClaim> {
        let mut all = self.take_spared();
        for lane in self.lanes.values_mut() {
            all.extend(lane.drain());
        }
        all
    }

    /// When something may be sent or claimed that is not due now.
    pub(super) fn wakes_in(&self, time: Timestamp, now: Instant) -> Option<Duration> {
        let due = self.due.peek().map(|Reverse((at, _))| at.since(time));
        let held = self.held.first().map(|(until, _)| until.saturating_duration_since(now));
        let hungry = self.hungry.iter().filter_map(|queue| self.lanes.get(queue)?.held_until(now));
        let hungry = hungry.min().map(|until| until.saturating_duration_since(now));
        [due, held, hungry].into_iter().flatten().min()
    }

    /// Attempts in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.total
    }

    /// Breakers that are open.
    pub(super) fn broken(&self) -> usize {
        self.lanes.values().filter(|lane| lane.is_broken()).count()
    }
}
