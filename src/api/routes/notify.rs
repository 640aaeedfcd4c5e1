//! The receiver of a storage's callbacks: a test of it, and the rotation of its secret.

use std::{sync::Arc, time::Duration};

use axum::extract::State;
use callback::{
    payload,
    send::{self, Message},
    sign,
};
use model::{CallbackId, ErrorCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::{callbacks::ListedAttempt, storages::ByStorage};
use crate::{
    api::{
        auth::Editor,
        envelope::{Answer, Envelope, Reply},
        error::{ApiError, BadParam, Conflict, NotFound},
        extract::Query,
        ids::parse_id_or_not_found,
    },
    app::App,
};

/// For how long callbacks are signed with the replaced secret too.
const OLD_SECRET_VALIDITY: Duration = Duration::from_secs(24 * 60 * 60);

/// The result of a test callback.
#[derive(Serialize, ToSchema)]
pub(super) struct Pinged {
    /// The `webhook-id` of the test callback, of which no record is kept.
    callback_id: String,
    /// Whether the receiver accepted it.
    delivered: bool,
    /// The attempt.
    attempt: ListedAttempt,
}

/// Sends a test callback, with no task in it, at once and without retries.
#[utoipa::path(
    post, path = "/ping_storage", tag = "callback",
    params(ByStorage),
    responses(
        (status = 200, description = "the attempt, accepted or not", body = Envelope<Answer<Pinged>>), BadParam, NotFound, Conflict
    )
)]
pub(super) async fn ping_storage(
    State(app): State<Arc<App>>,
    editor: Editor,
    Query(request, warnings): Query<ByStorage>,
) -> Reply<Pinged> {
    let storage =
        app.store.storage(&editor.tenant, &parse_id_or_not_found("storage", &request.storage_id)?).await?;
    if storage.notify.is_empty() {
        let problem = format!("the storage `{}` has no notify", storage.id);
        return Err(ApiError::new(ErrorCode::Conflict, problem));
    }
    let now = app.clock.now();
    let (id, body) = (CallbackId::generate(&mut rand::rng()), payload::compose(&storage, &[]));
    let message = Message {
        url: &storage.notify,
        id: &id,
        body: &body,
        number: 1,
        secrets: &storage.signing_secrets(now),
        success: storage.notify_settings.success,
    };
    let limits = app.settings.callback.send_limits();
    let (attempt, outcome) = send::send(&app.net, &message, &*app.clock, &limits).await;
    let delivered = outcome == send::AttemptOutcome::Accepted;
    Ok(Answer::new(
        Pinged { callback_id: id.to_string(), delivered, attempt: ListedAttempt::of(attempt) },
        warnings,
    ))
}

/// The secret that callbacks are signed with from now on.
#[derive(Serialize, ToSchema)]
pub(super) struct RotatedSecret {
    /// Answered only now.
    notify_secret: String,
    /// Until when callbacks are signed with the old secret too, in Unix seconds.
    old_secret_until: i64,
}

/// Replaces the secret of a storage's callbacks by a new one. For 24 h callbacks have two signatures, with
/// the new secret and with the old one; a secret that was replaced before is not used any more.
#[utoipa::path(
    post, path = "/rotate_notify_secret", tag = "callback",
    params(ByStorage),
    responses(
        (status = 200, description = "the new secret", body = Envelope<Answer<RotatedSecret>>), BadParam, NotFound
    )
)]
pub(super) async fn rotate_notify_secret(
    State(app): State<Arc<App>>,
    editor: Editor,
    Query(request, warnings): Query<ByStorage>,
) -> Reply<RotatedSecret> {
    let id = parse_id_or_not_found("storage", &request.storage_id)?;
    let (secret, until) = (sign::generate_secret(), app.clock.now() + OLD_SECRET_VALIDITY);
    app.store.rotate_notify_secret(&editor.tenant, &id, secret.clone(), until).await?;
    tracing::info!(storage_id = %id, "the notify secret was replaced");
    let notify_secret = secret.expose().to_owned();
    Ok(Answer::new(RotatedSecret { notify_secret, old_secret_until: until.as_secs() }, warnings))
}
