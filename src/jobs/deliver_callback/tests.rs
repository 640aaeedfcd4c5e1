//! What the scheduler promises: nobody waits for another receiver, nor a new callback for retries.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use callback::send::AttemptOutcome;
use model::{CallbackId, Storage, StorageType, TenantId, Timestamp};
use store::{CallbackClaim, ClaimRequest, DueQueue};

use super::{scheduler::Scheduler, slots::ConcurrencyLimits};

const LIMITS: ConcurrencyLimits = ConcurrencyLimits { total: 32, per_address: 16, per_receiver: 8 };
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const NEEDED_LEASE: Duration = Duration::from_secs(30);
const FAILED: AttemptOutcome = AttemptOutcome::Rejected { status: 500, retry_after: None };
const QUICK: Duration = Duration::from_millis(1);

fn claim(receiver: &str, retry: bool) -> CallbackClaim {
    let storage = Storage {
        notify: receiver.to_owned(),
        ..Storage::new(
            "0123456789abcdef".parse().expect("an id"),
            TenantId::main(),
            StorageType::File,
            "b",
            NOW,
        )
    };
    CallbackClaim {
        id: CallbackId::generate(&mut rand::rng()),
        queue: receiver.to_owned(),
        storage: Arc::new(storage),
        body: vec![0; 100],
        attempts: u32::from(retry),
        attempts_before: 0,
        retry,
        created: NOW,
        due: NOW,
        fence: 1,
        lease_until: NOW + NEEDED_LEASE * 2,
    }
}

/// A scheduler over a database that has as much as is asked for, of every queue.
struct SchedulerHarness {
    scheduler: Scheduler,
    now: Instant,
    /// By the name of the queue, and whether it is a retry.
    in_flight: Vec<(String, bool)>,
}

impl SchedulerHarness {
    fn new() -> Self {
        Self::with(LIMITS)
    }

    fn with(limits: ConcurrencyLimits) -> Self {
        Self { scheduler: Scheduler::new(limits), now: Instant::now(), in_flight: Vec::new() }
    }

    /// Claims all that is asked for, and gives what that was.
    fn claim(&mut self) -> Vec<ClaimRequest> {
        let requests = self.scheduler.claim_requests(NOW, self.now);
        let claims = requests
            .iter()
            .flat_map(|request| (0..request.limit).map(|_| claim(&request.queue, request.retry)))
            .collect();
        self.scheduler.add_claimed(requests.clone(), claims, self.now);
        requests
    }

    /// Sends whatever may be sent.
    fn send_ready(&mut self) {
        while let Some(claim) = self.scheduler.next_to_send(NOW, self.now, NEEDED_LEASE) {
            self.in_flight.push((claim.queue, claim.retry));
        }
    }

    /// How many attempts of a queue are in flight, and how many of them are retries.
    fn in_flight(&self, queue: &str) -> (usize, usize) {
        let attempts: Vec<_> = self.in_flight.iter().filter(|(name, _)| name == queue).collect();
        (attempts.len(), attempts.iter().filter(|(_, retry)| *retry).count())
    }

    /// Ends an attempt of a queue.
    fn complete(&mut self, queue: &str, outcome: AttemptOutcome, took: Duration) {
        let index = self.in_flight.iter().position(|(name, _)| name == queue).expect("one is in flight");
        let (name, retry) = self.in_flight.remove(index);
        self.scheduler.attempt_completed(&name, retry, &outcome, took, None, self.now);
    }
}

#[test]
fn one_that_hangs_keeps_its_own_slots_and_nothing_more_is_claimed_for_it() {
    let mut harness = SchedulerHarness::new();
    harness.scheduler.mark_due("http://hangs:80", false);
    harness.scheduler.mark_due("http://quick:80", false);
    let mut largest = 0;
    for round in 0..10 {
        let requests = harness.claim();
        let hanging = requests.iter().any(|request| request.queue == "http://hangs:80");
        assert!(round < 2 || !hanging, "no more is claimed for one that hangs: {requests:?}");
        largest = requests.iter().map(|request| request.limit).max().unwrap_or(largest);
        harness.send_ready();
        assert_eq!(harness.in_flight("http://hangs:80").0, 8);
        assert_eq!(harness.in_flight("http://quick:80").0, 8);
        for _ in 0..8 {
            harness.complete("http://quick:80", AttemptOutcome::Accepted, QUICK);
        }
    }
    assert!(largest > 8, "callbacks of one that is quick are claimed ahead: {largest}");
}

#[test]
fn when_many_hang_there_is_room_for_others() {
    let mut harness = SchedulerHarness::new();
    harness.scheduler.mark_due("http://quick:80", false);
    harness.claim();
    harness.send_ready();
    harness.complete("http://quick:80", AttemptOutcome::Accepted, QUICK);
    for number in 0..10 {
        harness.scheduler.mark_due(&format!("http://hangs{number}:80"), false);
        harness.claim();
        harness.send_ready();
    }
    // one of them took all of its slots before half of all were taken, the others one each
    assert_eq!(harness.in_flight.len(), 8 + 8 + 9);
    harness.scheduler.mark_due("http://new:80", false);
    harness.claim();
    harness.send_ready();
    assert_eq!(
        harness.in_flight("http://new:80").0,
        1,
        "one that is not known yet has an attempt in flight, too"
    );
    harness.complete("http://new:80", AttemptOutcome::Accepted, QUICK);
    harness.send_ready();
    assert!(harness.in_flight("http://new:80").0 > 1);
}

#[test]
fn retries_take_at_most_half_of_the_slots_and_first_attempts_go_first() {
    let mut harness = SchedulerHarness::new();
    let queue = "http://a:80";
    harness.scheduler.mark_due(queue, true);
    harness.claim();
    harness.send_ready();
    assert_eq!(harness.in_flight(queue), (4, 4), "half of the slots are kept for first attempts");
    harness.scheduler.mark_due(queue, false);
    harness.claim();
    harness.send_ready();
    assert_eq!(harness.in_flight(queue), (8, 4));
    // a retry that ended makes room for a first attempt, as long as some retries are in flight
    harness.complete(queue, AttemptOutcome::Accepted, QUICK);
    harness.send_ready();
    assert_eq!(harness.in_flight(queue), (8, 3));
}

#[test]
fn tenants_share_the_slots_of_a_receiver_and_not_its_breaker() {
    let mut harness = SchedulerHarness::new();
    let (ours, theirs) = ("http://a:80 us extended", "http://a:80 them extended");
    harness.scheduler.mark_due(ours, false);
    harness.claim();
    harness.send_ready();
    harness.scheduler.mark_due(theirs, false);
    harness.claim();
    harness.send_ready();
    assert_eq!((harness.in_flight(ours).0, harness.in_flight(theirs).0), (8, 0));
    for _ in 0..5 {
        harness.complete(ours, FAILED, QUICK);
    }
    // what would only have waited for a slot was not claimed ahead
    harness.claim();
    harness.send_ready();
    assert_eq!(harness.scheduler.open_breakers(), 1);
    assert_eq!(
        (harness.in_flight(ours).0, harness.in_flight(theirs).0),
        (3, 2),
        "the other tenant has half of what is not ours, and leaves the rest to a third one"
    );
    let released = harness.scheduler.take_to_release();
    assert!(released.iter().all(|claim| claim.queue == ours));

    // while it is open nothing is claimed, then one probe at a time
    harness.scheduler.mark_due(ours, false);
    harness.scheduler.mark_due(ours, true);
    assert!(harness.claim().iter().all(|request| request.queue != ours));
    for _ in 0..3 {
        harness.complete(ours, FAILED, QUICK);
    }
    harness.now += Duration::from_secs(5);
    harness.claim();
    harness.send_ready();
    assert_eq!(harness.in_flight(ours).0, 1);
    harness.complete(ours, AttemptOutcome::Accepted, QUICK);
    assert_eq!(harness.scheduler.open_breakers(), 0);
}

#[test]
fn a_claim_that_expires_too_soon_is_not_sent() {
    let mut harness = SchedulerHarness::new();
    let queue = "http://a:80";
    harness.scheduler.mark_due(queue, false);
    let requests = harness.scheduler.claim_requests(NOW, harness.now);
    let old = CallbackClaim { lease_until: NOW + NEEDED_LEASE - QUICK, ..claim(queue, false) };
    harness.scheduler.add_claimed(requests, vec![old.clone()], harness.now);
    harness.send_ready();
    assert_eq!(harness.in_flight(queue).0, 0);
    assert_eq!(harness.scheduler.take_to_release(), [old]);
    assert_eq!(harness.claim().len(), 1, "it is asked for again");
}

#[test]
fn a_retry_is_claimed_when_its_time_has_come() {
    let mut harness = SchedulerHarness::new();
    let (queue, later) = ("http://a:80", NOW + Duration::from_secs(5));
    harness.scheduler.schedule_retry(queue, later, NOW);
    assert_eq!(harness.scheduler.claim_requests(NOW, harness.now), []);
    assert_eq!(harness.scheduler.wakes_in(NOW, harness.now), Some(Duration::from_secs(5)));
    // a scan finds it too, and others
    let found = |queue: &str, due| DueQueue { queue: queue.to_owned(), retry: true, due };
    harness.scheduler.add_scanned(vec![found(queue, later), found("http://b:80", NOW)], NOW);
    assert_eq!(harness.scheduler.claim_requests(NOW, harness.now)[0].queue, "http://b:80");
    let requests = harness.scheduler.claim_requests(later, harness.now);
    assert_eq!((requests.len(), requests[0].queue.as_str(), requests[0].retry), (1, queue, true));
    assert_eq!(harness.scheduler.wakes_in(later, harness.now), None);
}

/// 600 receivers of one tenant hang, all at the address of another tenant's receiver or each at its own; the
/// other's callbacks are sent at once, whether its receiver is known to be prompt or was never seen.
#[test]
fn a_tenant_whose_receivers_hang_delays_no_other() {
    let limits = ConcurrencyLimits { total: 256, per_address: 32, per_receiver: 8 };
    for host in ["10.0.0.1", "h"] {
        for is_known in [true, false] {
            let mut harness = SchedulerHarness::with(limits);
            let prompt = "http://10.0.0.1:9000 b";
            harness.scheduler.mark_due(prompt, false);
            harness.claim();
            harness.scheduler.drain();
            if is_known {
                harness.scheduler.mark_due(prompt, false);
                harness.claim();
                harness.send_ready();
                while harness.in_flight(prompt).0 > 0 {
                    harness.complete(prompt, AttemptOutcome::Accepted, QUICK);
                }
            }
            harness.scheduler.drain();
            let hanging: Vec<String> = (0..600)
                .map(|number| match host {
                    "h" => format!("http://h{number}:80 a"),
                    address => format!("http://{address}:{number} a"),
                })
                .collect();
            for round in 0..20 {
                for name in &hanging {
                    harness.scheduler.mark_due(name, round % 2 == 1);
                }
                harness.claim();
                harness.send_ready();
            }
            let held = harness.in_flight.iter().filter(|(name, _)| name.ends_with(" a")).count();
            assert!((12..=96).contains(&held), "{held} of {host}");
            // one after the other, without anything of a's ending
            for _ in 0..50 {
                harness.scheduler.mark_due(prompt, false);
                harness.claim();
                harness.send_ready();
                assert!(harness.in_flight(prompt).0 > 0, "{host} {is_known}");
                while harness.in_flight(prompt).0 > 0 {
                    harness.complete(prompt, AttemptOutcome::Accepted, QUICK);
                }
            }
        }
    }
}

/// Those that wait for a slot of their tenant's or their address's are sent in their order, one for each
/// attempt that ends, and none is forgotten.
#[test]
fn those_that_wait_for_a_slot_get_it() {
    let mut harness =
        SchedulerHarness::with(ConcurrencyLimits { total: 256, per_address: 8, per_receiver: 8 });
    harness.scheduler.mark_due("http://x:80 b", false);
    let names: Vec<String> = (0..40).map(|number| format!("http://10.0.0.1:{number} a")).collect();
    for name in &names {
        harness.scheduler.mark_due(name, false);
    }
    let mut sent = std::collections::BTreeSet::new();
    for _ in 0..1000 {
        harness.claim();
        harness.send_ready();
        let in_flight: Vec<String> = harness
            .in_flight
            .iter()
            .map(|(name, _)| name.clone())
            .filter(|name| name.ends_with(" a"))
            .collect();
        assert!(in_flight.len() == 3, "a share of the address's slots: {in_flight:?}");
        sent.extend(in_flight.iter().cloned());
        harness.complete(&in_flight[0], FAILED, QUICK);
    }
    assert_eq!(sent.len(), names.len());
}
