//! Callbacks: owed with the task's end, claimed in order, and every attempt kept.

use std::time::Duration;

use borealis_store::{CallbackClaim, CallbackFilter, Page, Result, Store, testing::Kind};
use model::{Attempt, CallbackId, CallbackNext, CallbackStatus, TenantId};
use rstest::rstest;

use crate::world::{LEASE, World, body, failed, is_fenced, is_not_found, worker};

const ALL: Page = Page { offset: 0, limit: 1000 };

fn attempt(claim: &CallbackClaim) -> Attempt {
    Attempt {
        number: claim.callback.attempts + 1,
        time: claim.callback.created,
        address: Some("203.0.113.7:443".to_owned()),
        dns_ms: Some(1),
        connect_ms: None,
        first_byte_ms: Some(u32::MAX),
        total_ms: 15_000,
        http_status: Some(500),
        error: Some("the answer was 500".to_owned()),
        response_head: Some("HTTP/1.1 500".to_owned()),
        response_body: Some(String::new()),
    }
}

async fn record(store: &Store, claim: &CallbackClaim, next: CallbackNext) -> Result<()> {
    store.record_attempt(claim, &attempt(claim), next).await
}

async fn claim_all(world: &World) -> Vec<CallbackClaim> {
    world.store.claim_callbacks(&worker(), 100, LEASE, &[]).await.expect("claimed")
}

/// Delivers whatever is due.
pub(crate) async fn deliver(world: &World) {
    for claim in claim_all(world).await {
        record(&world.store, &claim, CallbackNext::Delivered).await.expect("recorded");
    }
}

#[rstest]
#[tokio::test]
async fn an_end_owes_one_callback_with_the_task_as_it_ended(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let silent = world.add_storage_with(|storage| storage.notify = String::new()).await;
    assert_eq!(world.store.next_due().await.expect("asked"), None);
    let task = world.ended_task(&storage).await;
    world.ended_task(&silent).await;

    assert_eq!(world.store.next_due().await.expect("asked"), Some(world.now()));
    let claims = claim_all(&world).await;
    assert_eq!(claims.len(), 1);
    let claim = &claims[0];
    assert_eq!(claim.callback.body, body(&storage, &task));
    assert_eq!(claim.callback.task_ids, [task.id]);
    assert_eq!(claim.callback.status, CallbackStatus::Owed);
    assert_eq!((claim.callback.attempts, claim.callback.created), (0, world.now()));
    assert_eq!(claim.storage, storage);
    assert_eq!(claim.receiver, "https://example.com:443");
    assert_eq!(world.store.next_due().await.expect("asked"), None, "someone has it");
    assert!(claim_all(&world).await.is_empty());
}

#[rstest]
#[tokio::test]
async fn attempts_are_kept_and_say_what_comes_next(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    world.ended_task(&storage).await;
    let first = claim_all(&world).await.remove(0);
    let retry = world.now() + Duration::from_secs(5);
    record(&world.store, &first, CallbackNext::RetryAt(retry)).await.expect("recorded");
    is_fenced(record(&world.store, &first, CallbackNext::Delivered).await);

    assert!(claim_all(&world).await.is_empty(), "it is not due yet");
    assert_eq!(world.store.next_due().await.expect("asked"), Some(retry));
    world.clock.pass(Duration::from_secs(5));
    let second = claim_all(&world).await.remove(0);
    assert_eq!((second.callback.attempts, second.fence), (1, first.fence + 1));
    assert_eq!(second.callback.body, first.callback.body);
    is_fenced(record(&world.store, &first, CallbackNext::Delivered).await);
    record(&world.store, &second, CallbackNext::Delivered).await.expect("recorded");

    let (kept, attempts) = world.store.callback(&world.tenant, &first.callback.id).await.expect("found");
    assert_eq!(attempts, [attempt(&first), attempt(&second)]);
    assert_eq!((kept.status, kept.attempts), (CallbackStatus::Delivered, 2));
    assert_eq!((kept.delivered, kept.next_attempt), (Some(world.now()), None));
    world.clock.pass(Duration::from_secs(1_000_000));
    assert!(claim_all(&world).await.is_empty(), "what is delivered is never sent again");
}

#[rstest]
#[case(CallbackNext::Exhausted, CallbackStatus::Exhausted)]
#[case(CallbackNext::Refused, CallbackStatus::Refused)]
#[tokio::test]
async fn some_are_never_sent_again(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
    #[case] next: CallbackNext,
    #[case] status: CallbackStatus,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    world.ended_task(&storage).await;
    let claim = claim_all(&world).await.remove(0);
    record(&world.store, &claim, next).await.expect("recorded");
    world.clock.pass(Duration::from_secs(1_000_000));
    assert!(claim_all(&world).await.is_empty());
    let (kept, _) = world.store.callback(&world.tenant, &claim.callback.id).await.expect("found");
    assert_eq!((kept.status, kept.next_attempt, kept.delivered), (status, None, None));
    assert_eq!(world.store.queue_depth().await.expect("counted").owed, 0);
}

#[rstest]
#[tokio::test]
async fn first_attempts_go_first_and_busy_receivers_wait(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let world = World::new(kind).await;
    let quick = world.add_storage().await;
    let slow = world.add_storage_with(|storage| storage.notify = "http://slow.example:81/".to_owned()).await;
    let tried = world.ended_task(&quick).await;
    let claim = claim_all(&world).await.remove(0);
    record(&world.store, &claim, CallbackNext::RetryAt(world.now())).await.expect("recorded");
    world.clock.pass(Duration::from_secs(1));
    let hanging = world.ended_task(&slow).await;
    world.clock.pass(Duration::from_secs(1));
    let fresh = world.ended_task(&quick).await;

    let busy = ["http://slow.example:81".to_owned(), "http://idle.example:80".to_owned()];
    let claim = |limit, busy: Vec<String>| {
        let store = &world.store;
        async move {
            let claims = store.claim_callbacks(&worker(), limit, LEASE, &busy).await.expect("claimed");
            claims.into_iter().map(|claim| claim.callback.task_ids[0].clone()).collect::<Vec<_>>()
        }
    };
    assert_eq!(claim(1, busy.to_vec()).await, [fresh.id]);
    assert_eq!(claim(5, busy.to_vec()).await, [tried.id]);
    assert_eq!(claim(0, vec![]).await, []);
    assert_eq!(claim(5, vec![]).await, [hanging.id]);
}

#[rstest]
#[tokio::test]
async fn a_dead_senders_callbacks_are_given_back(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    world.ended_task(&storage).await;
    let dead = claim_all(&world).await.remove(0);
    assert_eq!(world.store.release_worker(&worker()).await.expect("released"), 0);
    assert_eq!(world.store.release_worker(&dead.worker).await.expect("released"), 1);
    is_fenced(record(&world.store, &dead, CallbackNext::Delivered).await);
    let hung = claim_all(&world).await.remove(0);
    assert_eq!(world.store.reap().await.expect("reaped"), 0);
    world.clock.pass(LEASE + Duration::from_millis(1));
    assert_eq!(world.store.reap().await.expect("reaped"), 1);
    is_fenced(record(&world.store, &hung, CallbackNext::Delivered).await);
    assert_eq!(claim_all(&world).await[0].callback.attempts, 0, "nothing is known of what they sent");
}

/// A sender that hung until its lease was gone learns it, even when it has the callback once more.
#[rstest]
#[tokio::test]
async fn an_old_claim_of_the_same_sender_is_fenced(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    world.ended_task(&storage).await;
    let (store, me) = (&world.store, worker());
    let old = store.claim_callbacks(&me, 1, LEASE, &[]).await.expect("claimed").remove(0);
    store.release_worker(&me).await.expect("released");
    let held = store.claim_callbacks(&me, 1, LEASE, &[]).await.expect("claimed").remove(0);
    is_fenced(record(store, &old, CallbackNext::Exhausted).await);
    record(store, &held, CallbackNext::Delivered).await.expect("recorded");
    let (_, attempts) = store.callback(&world.tenant, &held.callback.id).await.expect("found");
    assert_eq!(attempts, [attempt(&held)]);
}

#[rstest]
#[tokio::test]
async fn lists_are_filtered_and_a_tenants_own(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let world = World::new(kind).await;
    let (storage, second) = (world.add_storage().await, world.add_storage().await);
    let first = world.ended_task(&storage).await;
    deliver(&world).await;
    world.clock.pass(Duration::from_secs(1));
    let other = world.ended_task(&second).await;
    let list = |filter: CallbackFilter, page: Page| {
        let world = &world;
        async move {
            let (total, callbacks) =
                world.store.callbacks(&world.tenant, &filter, page).await.expect("listed");
            (total, callbacks.into_iter().map(|callback| callback.task_ids[0].clone()).collect::<Vec<_>>())
        }
    };
    let any = CallbackFilter::default;
    assert_eq!(list(any(), ALL).await, (2, vec![other.id.clone(), first.id.clone()]));
    assert_eq!(list(any(), Page { offset: 1, limit: 1 }).await, (2, vec![first.id.clone()]));
    for (filter, task) in [
        (CallbackFilter { status: Some(CallbackStatus::Delivered), ..any() }, &first),
        (CallbackFilter { storage_id: Some(second.id.clone()), ..any() }, &other),
        (CallbackFilter { task_id: Some(first.id.clone()), ..any() }, &first),
        (CallbackFilter { start: Some(world.now()), ..any() }, &other),
        (CallbackFilter { end: Some(world.now() - Duration::from_millis(1)), ..any() }, &first),
    ] {
        assert_eq!(list(filter.clone(), ALL).await, (1, vec![task.id.clone()]), "{filter:?}");
    }

    let stranger: TenantId = "other".parse().expect("a tenant");
    let (total, callbacks) = world.store.callbacks(&stranger, &any(), ALL).await.expect("listed");
    assert_eq!((total, callbacks.len()), (0, 0));
    let (_, ours) = world.store.callbacks(&world.tenant, &any(), ALL).await.expect("listed");
    is_not_found(world.store.callback(&stranger, &ours[0].id).await);
    is_not_found(world.store.callback(&world.tenant, &CallbackId::generate(&mut rand::rng())).await);
}

#[rstest]
#[tokio::test]
async fn eight_senders_never_have_the_same_callback(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    for _ in 0..30 {
        world.create_task(&storage).await;
        let claim = world.claim().await;
        world.store.finish_task(&claim, failed()).await.expect("finished");
    }
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = world.store.clone();
        senders.spawn(async move {
            let (me, mut sent) = (worker(), Vec::new());
            loop {
                let claims = store.claim_callbacks(&me, 3, LEASE, &[]).await.expect("claimed");
                if claims.is_empty() {
                    return sent;
                }
                for claim in claims {
                    record(&store, &claim, CallbackNext::Delivered).await.expect("never fenced");
                    sent.push(claim.callback.id);
                }
            }
        });
    }
    let mut sent = senders.join_all().await.concat();
    sent.sort();
    sent.dedup();
    assert_eq!(sent.len(), 30);
    assert_eq!(world.store.queue_depth().await.expect("counted").owed, 0);
}
