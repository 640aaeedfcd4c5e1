//! One attempt to deliver a callback: sign, send, decide what comes next, log it.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use callback::{
    schedule,
    send::{self, AttemptOutcome, Message},
};
use futures::FutureExt as _;
use model::{Attempt, CallbackNext, Storage, Timestamp};
use store::{AttemptRecord, CallbackClaim};

use crate::{app::App, telemetry};

/// A claim's storage that was read longer ago is read again: its address or secret may have changed.
const MAX_STORAGE_AGE: Duration = Duration::from_secs(1);

/// How an attempt ended.
pub(super) struct CompletedAttempt {
    /// The name of the queue the callback stood in.
    pub(super) queue_name: String,
    pub(super) retry: bool,
    pub(super) outcome: AttemptOutcome,
    pub(super) took: Duration,
    pub(super) record: AttemptRecord,
}

/// Makes one attempt; `lease` is how long the claim was good for when it was made.
pub(super) async fn make(app: &App, claim: CallbackClaim, lease: Duration) -> CompletedAttempt {
    let began = Instant::now();
    let (now, began_at) = (app.clock.now(), app.store.queue_time());
    let reread = read_storage_again(app, &claim, lease, began_at).await;
    let storage = reread.as_ref().unwrap_or(&claim.storage);
    let message = Message {
        url: &storage.notify,
        id: &claim.id,
        body: &claim.body,
        number: claim.attempts.saturating_add(1),
        secrets: &storage.signing_secrets(now),
        success: storage.notify_settings.success,
    };
    let limits = app.settings.callback.send_limits();
    let sent = AssertUnwindSafe(send::send(&app.net, &message, &*app.clock, &limits)).catch_unwind().await;
    let (attempt, outcome) = sent.unwrap_or_else(|_| panicked(message.number, now));
    // attempts before the callback became owed again do not count
    let attempts_made = claim.attempts.saturating_sub(claim.attempts_before).saturating_add(1);
    let next = schedule::next(
        &storage.notify_settings,
        attempts_made,
        &outcome,
        app.store.queue_time(),
        rand::random(),
    );
    log(&claim, storage, &attempt, next);
    count(&claim, &attempt, began_at, next);
    let record = AttemptRecord::new(&claim, attempt, next);
    let (queue_name, retry) = (claim.queue, claim.retry);
    CompletedAttempt { queue_name, retry, outcome, took: began.elapsed(), record }
}

/// The storage as it is now, when it was read too long ago; none when it cannot be read, either: then
/// what the claim has is used.
async fn read_storage_again(
    app: &App,
    claim: &CallbackClaim,
    lease: Duration,
    now: Timestamp,
) -> Option<Storage> {
    // the storage was read when the claim was made, a whole lease before its end
    let is_old = now + lease > claim.lease_until + MAX_STORAGE_AGE;
    if !is_old {
        return None;
    }
    app.store.storage(&claim.storage.tenant, &claim.storage.id).await.ok()
}

/// An attempt that panicked is a failed one, so that the callback's next attempt comes as planned.
fn panicked(number: u32, time: Timestamp) -> (Attempt, AttemptOutcome) {
    let error = Some("internal: the attempt failed inside; the server's log says more".to_owned());
    let attempt = Attempt { error, ..Attempt::new(number, time) };
    (attempt, AttemptOutcome::Unreachable)
}

fn count(claim: &CallbackClaim, attempt: &Attempt, began_at: Timestamp, next: CallbackNext) {
    telemetry::count_callback_attempt(next, Duration::from_millis(attempt.total_ms.into()));
    if !claim.retry {
        let connecting_ms = attempt.dns_ms.unwrap_or(0) + attempt.connect_ms.unwrap_or(0);
        let waited = began_at.since(claim.due) + Duration::from_millis(connecting_ms.into());
        telemetry::record_callback_wait(waited);
    }
}

fn log(claim: &CallbackClaim, storage: &Storage, attempt: &Attempt, next: CallbackNext) {
    let (callback_id, storage_id, number) = (&claim.id, &storage.id, attempt.number);
    let error = attempt.error.as_deref().unwrap_or_default();
    match next {
        CallbackNext::Delivered => {
            tracing::info!(%callback_id, %storage_id, number, ms = attempt.total_ms, "callback delivered");
        }
        CallbackNext::RetryAt(at) => {
            let next = at.as_secs();
            tracing::warn!(%callback_id, %storage_id, number, error, next, "callback failed; it is tried again");
        }
        CallbackNext::Exhausted => {
            tracing::error!(%callback_id, %storage_id, number, error, "callback failed; every attempt is used up");
        }
        CallbackNext::Refused => {
            tracing::error!(%callback_id, %storage_id, number, error, "callback can never be sent");
        }
    }
}
