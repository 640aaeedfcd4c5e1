//! Lanes against what is promised: nobody waits for another receiver, nor a new callback for retries.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use callback::send::Outcome;
use model::{CallbackId, Storage, StorageType, TenantId, Timestamp};
use store::{CallbackClaim, Ready, Want};

use super::lanes::{Bounds, Lanes};

const BOUNDS: Bounds = Bounds { total: 32, receiver: 8 };
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const NEEDED: Duration = Duration::from_secs(30);
const FAILED: Outcome = Outcome::Rejected { status: 500, retry_after: None };
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
        receiver: receiver.to_owned(),
        storage: Arc::new(storage),
        body: vec![0; 100],
        attempts: u32::from(retry),
        attempts_before: 0,
        retry,
        created: NOW,
        due: NOW,
        fence: 1,
        lease_until: NOW + NEEDED * 2,
    }
}

/// Lanes over a database that has so much for each receiver.
struct World {
    lanes: Lanes,
    now: Instant,
    flying: Vec<(String, bool)>,
}

impl World {
    fn new() -> Self {
        Self { lanes: Lanes::new(BOUNDS), now: Instant::now(), flying: Vec::new() }
    }

    /// Gives every want what it wants.
    fn claim(&mut self) -> Vec<Want> {
        let wants = self.lanes.wants(NOW, self.now);
        let claims =
            wants.iter().flat_map(|want| (0..want.most).map(|_| claim(&want.receiver, want.retry))).collect();
        self.lanes.claimed(wants.clone(), claims, self.now);
        wants
    }

    /// Sends whatever may be sent; gives what now flies to a receiver, and how much of it retries.
    fn launch(&mut self) {
        while let Some(claim) = self.lanes.next(NOW, self.now, NEEDED) {
            self.flying.push((claim.receiver, claim.retry));
        }
    }

    fn flies(&self, receiver: &str) -> (usize, usize) {
        let to: Vec<_> = self.flying.iter().filter(|(queue, _)| queue == receiver).collect();
        (to.len(), to.iter().filter(|(_, retry)| *retry).count())
    }

    fn land(&mut self, receiver: &str, outcome: Outcome, took: Duration) {
        let index = self.flying.iter().position(|(queue, _)| queue == receiver).expect("one flies");
        let (queue, retry) = self.flying.remove(index);
        self.lanes.landed(&queue, retry, &outcome, took, self.now);
    }
}

#[test]
fn one_that_hangs_keeps_its_own_slots_and_nothing_more_is_claimed_for_it() {
    let mut world = World::new();
    world.lanes.due("http://hangs:80", false);
    world.lanes.due("http://quick:80", false);
    let mut most = 0;
    for round in 0..10 {
        let wants = world.claim();
        let hanging = wants.iter().any(|want| want.receiver == "http://hangs:80");
        assert!(round < 2 || !hanging, "no more is claimed for one that hangs: {wants:?}");
        most = wants.iter().map(|want| want.most).max().unwrap_or(most);
        world.launch();
        assert_eq!(world.flies("http://hangs:80").0, 8);
        assert_eq!(world.flies("http://quick:80").0, 8);
        for _ in 0..8 {
            world.land("http://quick:80", Outcome::Accepted, QUICK);
        }
    }
    assert!(most > 8, "one that is quick is claimed ahead for: {most}");
}

#[test]
fn when_many_hang_there_is_room_for_others() {
    let mut world = World::new();
    world.lanes.due("http://quick:80", false);
    world.claim();
    world.launch();
    world.land("http://quick:80", Outcome::Accepted, QUICK);
    for number in 0..10 {
        world.lanes.due(&format!("http://hangs{number}:80"), false);
        world.claim();
        world.launch();
    }
    // one of them took all of its slots before half of all were taken, the others one each
    assert_eq!(world.flying.len(), 8 + 8 + 9);
    world.lanes.due("http://new:80", false);
    world.claim();
    world.launch();
    assert_eq!(world.flies("http://new:80").0, 1, "even of one that is not known yet something flies");
    world.land("http://new:80", Outcome::Accepted, QUICK);
    world.launch();
    assert!(world.flies("http://new:80").0 > 1);
}

#[test]
fn retries_take_at_most_half_of_the_slots_and_first_attempts_go_first() {
    let mut world = World::new();
    let queue = "http://a:80";
    world.lanes.due(queue, true);
    world.claim();
    world.launch();
    assert_eq!(world.flies(queue), (4, 4), "half of the slots are kept for first attempts");
    world.lanes.due(queue, false);
    world.claim();
    world.launch();
    assert_eq!(world.flies(queue), (8, 4));
    // a retry that ended makes room for a first attempt, as long as some retries fly
    world.land(queue, Outcome::Accepted, QUICK);
    world.launch();
    assert_eq!(world.flies(queue), (8, 3));
}

#[test]
fn tenants_share_the_slots_of_a_receiver_and_not_its_breaker() {
    let mut world = World::new();
    let (ours, theirs) = ("http://a:80 us", "http://a:80 them");
    world.lanes.due(ours, false);
    world.claim();
    world.launch();
    world.lanes.due(theirs, false);
    world.claim();
    world.launch();
    assert_eq!((world.flies(ours).0, world.flies(theirs).0), (8, 0));
    for _ in 0..5 {
        world.land(ours, FAILED, QUICK);
    }
    world.launch();
    assert_eq!(world.lanes.broken(), 1);
    assert_eq!((world.flies(ours).0, world.flies(theirs).0), (3, 5), "the slots went to the other tenant");
    let spared = world.lanes.take_spared();
    assert!(spared.iter().all(|claim| claim.receiver == ours));

    // while it is open nothing is claimed, then one probe at a time
    world.lanes.due(ours, false);
    world.lanes.due(ours, true);
    assert!(world.claim().iter().all(|want| want.receiver != ours));
    for _ in 0..3 {
        world.land(ours, FAILED, QUICK);
    }
    world.now += Duration::from_secs(5);
    world.claim();
    world.launch();
    assert_eq!(world.flies(ours).0, 1);
    world.land(ours, Outcome::Accepted, QUICK);
    assert_eq!(world.lanes.broken(), 0);
}

#[test]
fn a_claim_that_expires_too_soon_is_not_sent() {
    let mut world = World::new();
    let queue = "http://a:80";
    world.lanes.due(queue, false);
    let wants = world.lanes.wants(NOW, world.now);
    let old = CallbackClaim { lease_until: NOW + NEEDED - QUICK, ..claim(queue, false) };
    world.lanes.claimed(wants, vec![old.clone()], world.now);
    world.launch();
    assert_eq!(world.flies(queue).0, 0);
    assert_eq!(world.lanes.take_spared(), [old]);
    assert_eq!(world.claim().len(), 1, "it is wanted again");
}

#[test]
fn a_retry_is_claimed_when_its_time_has_come() {
    let mut world = World::new();
    let (queue, later) = ("http://a:80", NOW + Duration::from_secs(5));
    world.lanes.due_at(queue, later, NOW);
    assert_eq!(world.lanes.wants(NOW, world.now), []);
    assert_eq!(world.lanes.wakes_in(NOW, world.now), Some(Duration::from_secs(5)));
    // a look finds it too, and others
    let found = |receiver: &str, due| Ready { receiver: receiver.to_owned(), retry: true, due };
    world.lanes.found(vec![found(queue, later), found("http://b:80", NOW)], NOW);
    assert_eq!(world.lanes.wants(NOW, world.now)[0].receiver, "http://b:80");
    let wants = world.lanes.wants(later, world.now);
    assert_eq!((wants.len(), wants[0].receiver.as_str(), wants[0].retry), (1, queue, true));
    assert_eq!(world.lanes.wakes_in(later, world.now), None);
}
