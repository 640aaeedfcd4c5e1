//! Callbacks: owed with the end of a task, claimed in order, and every attempt stored.

use std::time::Duration;

use borealis_store::{
    AttemptRecord, CallbackClaim, CallbackFilter, ClaimRequest, DueQueue, Page, Result, Store, StoreError,
    testing::DatabaseKind,
};
use model::{
    Attempt, CallbackId, CallbackNext, CallbackStatus, NotifyPolicy, Secret, Storage, TaskId, TenantId,
    Timestamp, WorkerId,
};
use rstest::rstest;

use crate::world::{LEASE, World, body, failed, is_conflict, is_fenced, is_not_found, other_tenant, worker};

const ALL: Page = Page { offset: 0, limit: 1000 };

fn attempt(claim: &CallbackClaim) -> Attempt {
    Attempt {
        number: claim.attempts + 1,
        time: claim.created,
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

/// Records an attempt that was made with a claim of [`sender`]; fenced when the claim was lost.
pub(crate) async fn record(store: &Store, claim: &CallbackClaim, next: CallbackNext) -> Result<()> {
    record_as(store, &sender(), claim, next).await
}

async fn record_as(
    store: &Store,
    worker: &WorkerId,
    claim: &CallbackClaim,
    next: CallbackNext,
) -> Result<()> {
    let lost = store.record_attempts(worker, &[AttemptRecord::new(claim, attempt(claim), next)]).await?;
    if lost.is_empty() { Ok(()) } else { Err(StoreError::Fenced) }
}

/// The sender of most tests.
pub(crate) fn sender() -> WorkerId {
    "0123456789abcdef0123456789abcdef".parse().expect("an id")
}

pub(crate) async fn claim_as(store: &Store, worker: &WorkerId, limit: u32) -> Vec<CallbackClaim> {
    let mut requests = Vec::new();
    for DueQueue { queue, retry, .. } in store.due_queues().await.expect("asked") {
        requests.push(ClaimRequest { queue, retry, limit });
    }
    store.claim_callbacks(worker, LEASE, &requests).await.expect("claimed")
}

async fn claim_all(world: &World) -> Vec<CallbackClaim> {
    claim_as(&world.store, &sender(), 100).await
}

/// When the first callback is due that nobody has claimed.
async fn next_due(world: &World) -> Option<Timestamp> {
    world.store.due_queues().await.expect("asked").into_iter().map(|queue| queue.due).min()
}

async fn task_of(world: &World, claim: &CallbackClaim) -> TaskId {
    let (callback, _) = world.store.callback(&world.tenant, &claim.id).await.expect("found");
    callback.task_ids[0].clone()
}

/// Delivers all callbacks that are due.
pub(crate) async fn deliver(world: &World) {
    for claim in claim_all(world).await {
        record(&world.store, &claim, CallbackNext::Delivered).await.expect("recorded");
    }
}

#[rstest]
#[tokio::test]
async fn an_end_owes_one_callback_with_the_task_as_it_ended(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let without_notify = world.add_storage_with(|storage| storage.notify = String::new()).await;
    assert_eq!(next_due(&world).await, None);
    let task = world.failed_task(&storage).await;
    world.failed_task(&without_notify).await;

    assert_eq!(next_due(&world).await, Some(world.now()));
    let claims = claim_all(&world).await;
    assert_eq!(claims.len(), 1);
    let claim = &claims[0];
    assert_eq!(claim.body, body(&storage, &task));
    let (callback, _) = world.store.callback(&world.tenant, &claim.id).await.expect("found");
    assert_eq!((callback.task_ids, callback.status), (vec![task.id], CallbackStatus::Owed));
    assert_eq!((claim.attempts, claim.created, claim.due), (0, world.now(), world.now()));
    assert_eq!(*claim.storage, storage);
    assert_eq!(claim.queue, "https://example.com:443 main");
    assert_eq!(next_due(&world).await, None, "it is claimed");
    assert!(claim_all(&world).await.is_empty());
}

#[rstest]
#[tokio::test]
async fn attempts_are_kept_and_say_what_comes_next(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    world.failed_task(&storage).await;
    let first = claim_all(&world).await.remove(0);
    let retry = world.now() + Duration::from_secs(5);
    record(&world.store, &first, CallbackNext::RetryAt(retry)).await.expect("recorded");
    is_fenced(record(&world.store, &first, CallbackNext::Delivered).await);

    assert!(claim_all(&world).await.is_empty(), "it is not due yet");
    assert_eq!(next_due(&world).await, Some(retry));
    world.clock.advance(Duration::from_secs(5));
    let second = claim_all(&world).await.remove(0);
    assert_eq!((second.attempts, second.fence), (1, first.fence + 1));
    assert_eq!(second.body, first.body);
    is_fenced(record(&world.store, &first, CallbackNext::Delivered).await);
    record(&world.store, &second, CallbackNext::Delivered).await.expect("recorded");

    let (stored, attempts) = world.store.callback(&world.tenant, &first.id).await.expect("found");
    assert_eq!(attempts, [attempt(&first), attempt(&second)]);
    assert_eq!((stored.status, stored.attempts), (CallbackStatus::Delivered, 2));
    assert_eq!((stored.delivered, stored.next_attempt), (Some(world.now()), None));
    world.clock.advance(Duration::from_secs(1_000_000));
    assert!(claim_all(&world).await.is_empty(), "what is delivered is never sent again");
}

#[rstest]
#[case(CallbackNext::Exhausted, CallbackStatus::Exhausted)]
#[case(CallbackNext::Refused, CallbackStatus::Refused)]
#[tokio::test]
async fn some_are_never_sent_again(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
    #[case] next: CallbackNext,
    #[case] status: CallbackStatus,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    world.failed_task(&storage).await;
    let claim = claim_all(&world).await.remove(0);
    record(&world.store, &claim, next).await.expect("recorded");
    world.clock.advance(Duration::from_secs(1_000_000));
    assert!(claim_all(&world).await.is_empty());
    let (stored, _) = world.store.callback(&world.tenant, &claim.id).await.expect("found");
    assert_eq!((stored.status, stored.next_attempt, stored.delivered), (status, None, None));
    assert_eq!(world.store.queue_depth().await.expect("counted").owed, 0);
}

#[rstest]
#[tokio::test]
async fn each_receiver_has_a_queue_of_first_attempts_and_one_of_retries(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let aurora = world.add_storage().await;
    let slow = world.add_storage_with(|storage| storage.notify = "http://slow.example:81/".to_owned()).await;
    let extended =
        world.add_storage_with(|storage| storage.notify_settings.policy = NotifyPolicy::Extended).await;
    let tried = world.failed_task(&aurora).await;
    let first_claim = claim_all(&world).await.remove(0);
    let retry_at = world.now() + Duration::from_secs(60);
    record(&world.store, &first_claim, CallbackNext::RetryAt(retry_at)).await.expect("recorded");
    world.clock.advance(Duration::from_secs(1));
    let (slow_task, slow_due) = (world.failed_task(&slow).await, world.now());
    world.clock.advance(Duration::from_secs(1));
    for _ in 0..2 {
        world.failed_task(&aurora).await;
    }
    let extended_task = world.failed_task(&extended).await;

    let due_queue = |queue: &str, retry, due| DueQueue { queue: queue.to_owned(), retry, due };
    let aurora_queue = "https://example.com:443 main";
    let slow_queue = "http://slow.example:81 main";
    let extended_queue = "https://example.com:443 main extended";
    let expected = [
        due_queue(slow_queue, false, slow_due),
        due_queue(aurora_queue, false, world.now()),
        due_queue(extended_queue, false, world.now()),
        due_queue(aurora_queue, true, retry_at),
    ];
    let mut found = world.store.due_queues().await.expect("asked");
    // the two databases do not collate texts alike
    found.sort_by_key(|due| (due.retry, due.queue.clone()));
    assert_eq!(found, expected);

    let claim = async |queue: &str, retry, limit| {
        let request = ClaimRequest { queue: queue.to_owned(), retry, limit };
        let claims = world.store.claim_callbacks(&sender(), LEASE, &[request]).await.expect("claimed");
        let mut tasks = Vec::new();
        for claim in claims {
            assert_eq!((claim.queue.as_str(), claim.retry), (queue, retry));
            tasks.push(task_of(&world, &claim).await);
        }
        tasks.sort();
        tasks
    };
    assert_eq!(claim(aurora_queue, true, 9).await, [], "not due yet");
    assert_eq!(claim(aurora_queue, false, 0).await, []);
    assert_eq!(claim(aurora_queue, false, 1).await.len(), 1);
    assert_eq!(claim(aurora_queue, false, 9).await.len(), 1);
    assert_eq!(claim(aurora_queue, false, 9).await, [], "both are claimed");
    assert_eq!(claim(slow_queue, false, 9).await, [slow_task.id]);
    assert_eq!(claim(extended_queue, false, 9).await, [extended_task.id]);
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(claim(aurora_queue, true, 9).await, [tried.id]);
    assert_eq!(world.store.due_queues().await.expect("asked"), []);
}

/// One transaction for many: those whose claim was lost are left out, and the others kept.
#[rstest]
#[tokio::test]
async fn records_come_in_groups(#[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    for _ in 0..4 {
        world.failed_task(&storage).await;
    }
    let claims = claim_all(&world).await;
    world.store.give_back_callbacks(&sender(), &claims[1..2]).await.expect("given back");
    let retry = world.now() + Duration::from_secs(5);
    let nexts = [
        CallbackNext::Delivered,
        CallbackNext::Delivered,
        CallbackNext::RetryAt(retry),
        CallbackNext::Exhausted,
    ];
    let records: Vec<AttemptRecord> = claims
        .iter()
        .zip(nexts)
        .map(|(claim, next)| AttemptRecord::new(claim, attempt(claim), next))
        .collect();
    let lost = world.store.record_attempts(&sender(), &records).await.expect("recorded");
    assert_eq!(lost, [claims[1].id.clone()]);
    for (claim, expected) in claims.iter().zip([
        (CallbackStatus::Delivered, 1, None),
        (CallbackStatus::Owed, 0, Some(world.now())),
        (CallbackStatus::Owed, 1, Some(retry)),
        (CallbackStatus::Exhausted, 1, None),
    ]) {
        let (callback, attempts) = world.store.callback(&world.tenant, &claim.id).await.expect("found");
        assert_eq!((callback.status, attempts.len(), callback.next_attempt), expected);
    }
    let again = claim_all(&world).await;
    assert_eq!(again.iter().map(|claim| &claim.id).collect::<Vec<_>>(), [&claims[1].id]);
    // the old claim does not give back what was claimed again since
    world.store.give_back_callbacks(&sender(), &claims[1..2]).await.expect("given back");
    record(&world.store, &again[0], CallbackNext::Delivered).await.expect("still held");
}

#[rstest]
#[tokio::test]
async fn what_was_given_up_is_owed_again_with_a_new_budget(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let without_notify = world.add_storage_with(|storage| storage.notify = String::new()).await;
    world.failed_task(&storage).await;
    let claim = claim_all(&world).await.remove(0);
    let id = claim.id.clone();
    is_conflict(world.store.redeliver_callback(&world.tenant, &id).await);
    record(&world.store, &claim, CallbackNext::Exhausted).await.expect("recorded");

    let stranger = other_tenant();
    is_not_found(world.store.redeliver_callback(&stranger, &id).await);
    world.store.redeliver_callback(&world.tenant, &id).await.expect("owed again");
    let again = claim_all(&world).await.remove(0);
    assert_eq!((again.id.clone(), again.body.clone()), (claim.id, claim.body));
    assert_eq!((again.attempts, again.attempts_before, again.retry), (1, 1, true));
    record(&world.store, &again, CallbackNext::Exhausted).await.expect("recorded");

    let since = world.now();
    let recover = async |tenant: &TenantId, storage: &Storage, since| {
        world.store.recover_callbacks(tenant, &storage.id, since).await
    };
    is_not_found(recover(&stranger, &storage, since).await);
    is_conflict(recover(&world.tenant, &without_notify, since).await);
    let later = since + Duration::from_millis(1);
    assert_eq!(recover(&world.tenant, &storage, later).await.expect("recovered"), 0);
    assert_eq!(recover(&world.tenant, &storage, since).await.expect("recovered"), 1);
    let third = claim_all(&world).await.remove(0);
    record(&world.store, &third, CallbackNext::Delivered).await.expect("recorded");
    assert_eq!(recover(&world.tenant, &storage, since).await.expect("recovered"), 0, "it was delivered");
    world.store.redeliver_callback(&world.tenant, &id).await.expect("owed again");
    let (callback, attempts) = world.store.callback(&world.tenant, &id).await.expect("found");
    assert_eq!((callback.status, callback.delivered), (CallbackStatus::Owed, None));
    assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2, 3]);
}

#[rstest]
#[tokio::test]
async fn what_is_owed_follows_the_storage(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let mut storage = world.add_storage().await;
    let task = world.failed_task(&storage).await;
    let old_body = body(&storage, &task);
    storage.notify = "http://moved.example/hook".to_owned();
    storage.notify_settings.policy = NotifyPolicy::Extended;
    world.replace_storage(&storage).await.expect("updated");
    let claim = claim_all(&world).await.remove(0);
    assert_eq!(claim.queue, "http://moved.example:80 main extended");
    assert_eq!((&*claim.storage, &claim.body), (&storage, &old_body));

    let until = world.now() + Duration::from_secs(60);
    let new = Secret::new("whsec_THENEWONE");
    world.store.rotate_notify_secret(&world.tenant, &storage.id, new.clone(), until).await.expect("rotated");
    let rotated = world.store.storage(&world.tenant, &storage.id).await.expect("found");
    let old = std::mem::replace(&mut storage.notify_secret, new);
    storage.old_notify_secret = Some((old, until));
    assert_eq!(rotated, storage);

    let stranger = other_tenant();
    is_not_found(world.store.rotate_notify_secret(&stranger, &storage.id, Secret::default(), until).await);
    is_not_found(world.replace_storage(&Storage { tenant: stranger, ..storage }).await);
}

#[rstest]
#[tokio::test]
async fn what_is_not_owed_is_forgotten_in_time(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    let delivered = world.failed_task(&storage).await;
    deliver(&world).await;
    for _ in 0..2 {
        world.failed_task(&storage).await;
    }
    world.clock.advance(Duration::from_secs(10));
    world.failed_task(&storage).await;
    // of the three, the first stays owed, the second is tried now, and the third became owed only now
    let claims = claim_all(&world).await;
    record(&world.store, &claims[2], CallbackNext::Exhausted).await.expect("recorded");
    let made_now = Attempt { time: world.now(), ..attempt(&claims[1]) };
    let record_of_it = AttemptRecord::new(&claims[1], made_now, CallbackNext::Exhausted);
    assert!(world.store.record_attempts(&sender(), &[record_of_it]).await.expect("recorded").is_empty());

    let before = world.now() - Duration::from_secs(5);
    assert_eq!(world.store.delete_old_callbacks(before).await.expect("forgotten"), 1);
    assert_eq!(world.store.delete_old_callbacks(before).await.expect("forgotten"), 0);
    let (_, left) =
        world.store.callbacks(&world.tenant, &CallbackFilter::default(), ALL).await.expect("listed");
    assert_eq!(left.len(), 3);
    assert!(left.iter().all(|callback| callback.task_ids[0] != delivered.id));
}

#[rstest]
#[tokio::test]
async fn a_dead_senders_callbacks_are_given_back(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    world.failed_task(&storage).await;
    let dead = claim_all(&world).await.remove(0);
    assert_eq!(world.store.release_worker_claims(&worker()).await.expect("released"), 0);
    assert_eq!(world.store.release_worker_claims(&sender()).await.expect("released"), 1);
    is_fenced(record(&world.store, &dead, CallbackNext::Delivered).await);
    let hung = claim_all(&world).await.remove(0);
    assert_eq!(world.store.reap_callbacks().await.expect("reaped"), 0);
    world.clock.advance(LEASE + Duration::from_millis(1));
    assert_eq!(world.store.reap_callbacks().await.expect("reaped"), 1);
    is_fenced(record(&world.store, &hung, CallbackNext::Delivered).await);
    assert_eq!(claim_all(&world).await[0].attempts, 0, "no attempt of theirs was recorded");
}

/// A sender that hung until its lease ran out is fenced, even when it has claimed the callback again.
#[rstest]
#[tokio::test]
async fn an_old_claim_of_the_same_sender_is_fenced(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    world.failed_task(&storage).await;
    let store = &world.store;
    let old = claim_all(&world).await.remove(0);
    store.release_worker_claims(&sender()).await.expect("released");
    let held = claim_all(&world).await.remove(0);
    is_fenced(record(store, &old, CallbackNext::Exhausted).await);
    record(store, &held, CallbackNext::Delivered).await.expect("recorded");
    let (_, attempts) = store.callback(&world.tenant, &held.id).await.expect("found");
    assert_eq!(attempts, [attempt(&held)]);
}

#[rstest]
#[tokio::test]
async fn lists_are_filtered_and_a_tenants_own(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let (storage, second) = (world.add_storage().await, world.add_storage().await);
    let first = world.failed_task(&storage).await;
    deliver(&world).await;
    world.clock.advance(Duration::from_secs(1));
    let other = world.failed_task(&second).await;
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

    let stranger = other_tenant();
    let (total, callbacks) = world.store.callbacks(&stranger, &any(), ALL).await.expect("listed");
    assert_eq!((total, callbacks.len()), (0, 0));
    let (_, ours) = world.store.callbacks(&world.tenant, &any(), ALL).await.expect("listed");
    is_not_found(world.store.callback(&stranger, &ours[0].id).await);
    is_not_found(world.store.callback(&world.tenant, &CallbackId::generate(&mut rand::rng())).await);
}

#[rstest]
#[tokio::test]
async fn eight_senders_never_have_the_same_callback(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
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
            let (sender, mut sent) = (worker(), Vec::new());
            loop {
                let claims = claim_as(&store, &sender, 3).await;
                if claims.is_empty() {
                    return sent;
                }
                for claim in claims {
                    record_as(&store, &sender, &claim, CallbackNext::Delivered).await.expect("never fenced");
                    sent.push(claim.id);
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
