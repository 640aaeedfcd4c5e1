//! One attempt: sign, send, decide what comes next, tell the log.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use callback::{
    schedule,
    send::{self, Message, Outcome},
};
use futures::FutureExt as _;
use model::{Attempt, CallbackNext, Secret, Storage, Timestamp};
use store::{CallbackClaim, Record};

use crate::{app::App, telemetry};

/// A storage that was read longer ago is read again: its address or secret may be another by now.
const FRESH: Duration = Duration::from_secs(1);

/// What came of an attempt.
pub(super) struct Landed {
    pub(super) receiver: String,
    pub(super) retry: bool,
    pub(super) outcome: Outcome,
    pub(super) took: Duration,
    pub(super) record: Record,
}

/// Makes one attempt; `lease` is how long the claim was good for when it was made.
pub(super) async fn attempt(app: &App, claim: CallbackClaim, lease: Duration) -> Landed {
    let began = Instant::now();
    let now = app.clock.now();
    let mut storage = claim.storage.as_ref();
    let read_again = match now + lease > claim.lease_until + FRESH {
        true => app.store.storage(&storage.tenant, &storage.id).await.ok(),
        false => None,
    };
    if let Some(fresh) = &read_again {
        storage = fresh;
    }
    let old = storage.old_notify_secret.as_ref().filter(|(_, until)| *until > now);
    let secrets: Vec<&Secret> =
        [Some(&storage.notify_secret), old.map(|(secret, _)| secret)].into_iter().flatten().collect();
    let message = Message {
        url: &storage.notify,
        id: &claim.id,
        body: &claim.body,
        number: claim.attempts.saturating_add(1),
        secrets: &secrets,
        success: storage.notify_settings.success,
    };
    let limits = app.settings.callback.send_limits();
    let sent = AssertUnwindSafe(send::send(&app.net, &message, &*app.clock, &limits)).catch_unwind().await;
    let (attempt, outcome) = sent.unwrap_or_else(|_| panicked(message.number, now));
    let made = claim.attempts.saturating_sub(claim.attempts_before).saturating_add(1);
    let next = schedule::next(&storage.notify_settings, made, &outcome, app.clock.now(), rand::random());
    tell(&claim, storage, &attempt, next);
    telemetry::callback_attempted(next, Duration::from_millis(attempt.total_ms.into()));
    if !claim.retry {
        let connecting = attempt.dns_ms.unwrap_or(0) + attempt.connect_ms.unwrap_or(0);
        let waited = attempt.time.since(claim.due) + Duration::from_millis(connecting.into());
        telemetry::callback_first_sent(waited);
    }
    let record = Record::new(&claim, attempt, next);
    Landed { receiver: claim.receiver, retry: claim.retry, outcome, took: began.elapsed(), record }
}

/// A failure of our own is a failed attempt: the callback's next one comes as planned.
fn panicked(number: u32, time: Timestamp) -> (Attempt, Outcome) {
    let error = Some("internal: the attempt failed inside; the server's log says more".to_owned());
    let attempt = Attempt {
        number,
        time,
        address: None,
        dns_ms: None,
        connect_ms: None,
        first_byte_ms: None,
        total_ms: 0,
        http_status: None,
        error,
        response_head: None,
        response_body: None,
    };
    (attempt, Outcome::Unreachable)
}

fn tell(claim: &CallbackClaim, storage: &Storage, attempt: &Attempt, next: CallbackNext) {
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
