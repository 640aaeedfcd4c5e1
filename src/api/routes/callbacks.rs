//! Callbacks: what is owed to receivers, and every attempt to deliver it.

use std::{collections::HashMap, sync::Arc};

use axum::extract::State;
use model::{
    Attempt, Callback, CallbackStatus, StorageId, TaskId, TenantId, Timestamp, limits::MAX_LIST_BYTES,
};
use serde::{Deserialize, Serialize};
use store::CallbackFilter;
use utoipa::{IntoParams, ToSchema};

use crate::{
    api::{
        auth::{Caller, Editor},
        envelope::{Answer, Envelope, Nothing, Reply},
        error::{ApiError, BadParam, Conflict, NotFound},
        extract::{Body, Query},
        ids::parse_id_or_not_found,
        memory::LargeAnswer,
        paging::{Paging, next_start_num},
        request::number,
    },
    app::App,
};

/// A callback, as it is listed.
#[derive(Serialize, ToSchema)]
pub(super) struct ListedCallback {
    #[schema(example = "cb_0123456789abcdef0123456789abcdef")]
    callback_id: String,
    status: CallbackStatus,
    storage_id: String,
    task_ids: Vec<String>,
    /// The URL that it goes to: the storage's `notify` as it is now.
    url: String,
    /// Attempts made so far.
    attempts: u32,
    /// When it became owed, in Unix seconds.
    created_time: i64,
    /// When the next attempt is due, in Unix seconds; 0 when none is.
    next_attempt_time: i64,
    /// When the receiver accepted it, in Unix seconds; 0 before.
    delivered_time: i64,
}

/// One attempt to deliver a callback.
#[derive(Serialize, ToSchema)]
pub(super) struct ListedAttempt {
    /// 1 for the first.
    number: u32,
    /// When it started, in Unix seconds.
    time: i64,
    /// The address of the connection, such as `203.0.113.7:443`.
    address: Option<String>,
    /// Time of the name look-up, in milliseconds.
    dns_ms: Option<u32>,
    /// Time to connect, TLS included, in milliseconds.
    connect_ms: Option<u32>,
    /// Time to the first byte of the response, in milliseconds.
    first_byte_ms: Option<u32>,
    /// Time of the whole exchange, in milliseconds.
    total_ms: u32,
    /// The status of the response, when there was one.
    http_status: Option<u16>,
    /// Why it failed; null when it was accepted.
    error: Option<String>,
    /// The response's status line and headers, at most 4 KiB.
    response_head: Option<String>,
    /// The start of the response's body, at most 4 KiB.
    response_body: Option<String>,
}

/// A callback with its body and its attempts.
#[derive(Serialize, ToSchema)]
pub(super) struct CallbackDetails {
    #[serde(flatten)]
    callback: ListedCallback,
    /// The text that is sent, the same on every attempt.
    body: String,
    /// The first attempt first.
    attempt_list: Vec<ListedAttempt>,
}

/// Filters of callbacks, and a page of their list.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(super) struct ListCallbacks {
    /// How many, 1 to 1000; unset: 20.
    #[serde(deserialize_with = "number")]
    count: Option<u32>,
    /// How many to skip.
    #[serde(deserialize_with = "number")]
    start_num: Option<u32>,
    /// Another word for `count`.
    #[serde(deserialize_with = "number")]
    limit: Option<u32>,
    /// Another word for `start_num`.
    #[serde(deserialize_with = "number")]
    skip: Option<u32>,
    /// Only those with this status.
    status: Option<CallbackStatus>,
    /// Only those of this storage.
    #[param(value_type = Option<String>)]
    storage_id: Option<StorageId>,
    /// Only those with the result of this task.
    #[param(value_type = Option<String>)]
    task_id: Option<TaskId>,
    /// Only those that became owed at this time or later, in Unix seconds or milliseconds.
    #[serde(deserialize_with = "number")]
    start_time: Option<i64>,
    /// Only those that became owed at this time or earlier, in Unix seconds or milliseconds.
    #[serde(deserialize_with = "number")]
    end_time: Option<i64>,
}

/// A page of the list of callbacks.
#[derive(Serialize, ToSchema)]
pub(super) struct CallbackList {
    /// How many there are on all pages.
    total: u64,
    /// How many are in `list`.
    num: usize,
    /// The newest first.
    list: Vec<ListedCallback>,
    /// The `start_num` of the next page; absent on the last. A page may have fewer callbacks than `count`: its
    /// bytes are bounded too.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_start_num: Option<u64>,
}

/// Lists callbacks.
#[utoipa::path(
    get, path = "/list_callback", tag = "callback",
    params(ListCallbacks),
    responses((status = 200, description = "a page of the list", body = Envelope<Answer<CallbackList>>), BadParam)
)]
pub(super) async fn list_callback(
    State(app): State<Arc<App>>,
    caller: Caller,
    _turn: LargeAnswer,
    Query(request, warnings): Query<ListCallbacks>,
) -> Reply<CallbackList> {
    let page = request.paging().page()?;
    let (total, found) = app.store.callbacks(&caller.tenant, &request.filter(), page).await?;
    let urls = notify_urls(&app, &caller.tenant).await?;
    let (mut list, mut url_bytes) = (Vec::with_capacity(found.len()), 0);
    for callback in found {
        let listed = ListedCallback::of(callback, &urls);
        url_bytes += listed.url.len();
        if url_bytes > MAX_LIST_BYTES {
            break;
        }
        list.push(listed);
    }
    let next_start_num = next_start_num(page, list.len(), total);
    Ok(Answer::new(CallbackList { total, num: list.len(), list, next_start_num }, warnings))
}

/// The callback that a call names.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ByCallback {
    /// The callback's id.
    callback_id: String,
}

/// Shows a callback with its body and every attempt.
#[utoipa::path(
    get, path = "/query_callback", tag = "callback",
    params(ByCallback),
    responses(
        (status = 200, description = "the callback", body = Envelope<Answer<CallbackDetails>>), BadParam, NotFound
    )
)]
pub(super) async fn query_callback(
    State(app): State<Arc<App>>,
    caller: Caller,
    _turn: LargeAnswer,
    Query(request, warnings): Query<ByCallback>,
) -> Reply<CallbackDetails> {
    let id = parse_id_or_not_found("callback", &request.callback_id)?;
    let (callback, attempts) = app.store.callback(&caller.tenant, &id).await?;
    let details = CallbackDetails {
        body: String::from_utf8_lossy(&callback.body).into_owned(),
        callback: ListedCallback::of(callback, &notify_urls(&app, &caller.tenant).await?),
        attempt_list: attempts.into_iter().map(ListedAttempt::of).collect(),
    };
    Ok(Answer::new(details, warnings))
}

/// Sends a callback again, delivered or not, under the same `webhook-id`. The numbers of its attempts go
/// on, and it has as many attempts again as its storage allows.
#[utoipa::path(
    post, path = "/redeliver_callback", tag = "callback",
    params(ByCallback),
    responses(
        (status = 200, description = "it is owed", body = Envelope<Answer<Nothing>>), BadParam, NotFound, Conflict
    )
)]
pub(super) async fn redeliver_callback(
    State(app): State<Arc<App>>,
    editor: Editor,
    Query(request, warnings): Query<ByCallback>,
) -> Reply<Nothing> {
    app.store
        .redeliver_callback(&editor.tenant, &parse_id_or_not_found("callback", &request.callback_id)?)
        .await?;
    tracing::info!(callback_id = request.callback_id, "the callback is owed again");
    Ok(Answer::nothing(warnings))
}

/// The callbacks to send again.
#[derive(Deserialize, ToSchema)]
pub(super) struct RecoverCallbacks {
    /// Only those of this storage.
    storage_id: String,
    /// Only those that became owed at this time or later, in Unix seconds or milliseconds.
    since: i64,
}

/// How many callbacks are sent again.
#[derive(Serialize, ToSchema)]
pub(super) struct RecoveredCallbacks {
    num: u64,
}

/// Sends again every callback of a storage that failed since a time: those whose attempts are
/// exhausted, and those that wait for another attempt.
#[utoipa::path(
    post, path = "/recover_callback", tag = "callback",
    request_body = RecoverCallbacks,
    responses(
        (status = 200, description = "they are owed", body = Envelope<Answer<RecoveredCallbacks>>),
        BadParam, NotFound, Conflict
    )
)]
pub(super) async fn recover_callback(
    State(app): State<Arc<App>>,
    editor: Editor,
    Body(request, warnings): Body<RecoverCallbacks>,
) -> Reply<RecoveredCallbacks> {
    let id = parse_id_or_not_found("storage", &request.storage_id)?;
    let since = Timestamp::from_client(request.since);
    let num = app.store.recover_callbacks(&editor.tenant, &id, since).await?;
    tracing::info!(storage_id = %id, num, "callbacks are owed again");
    Ok(Answer::new(RecoveredCallbacks { num }, warnings))
}

/// The `notify` of each storage.
async fn notify_urls(app: &App, tenant: &TenantId) -> Result<HashMap<StorageId, String>, ApiError> {
    let storages = app.store.storages(tenant).await?;
    Ok(storages.into_iter().map(|storage| (storage.id, storage.notify)).collect())
}

impl ListCallbacks {
    fn paging(&self) -> Paging {
        Paging { count: self.count, start_num: self.start_num, limit: self.limit, skip: self.skip }
    }

    fn filter(self) -> CallbackFilter {
        CallbackFilter {
            status: self.status,
            storage_id: self.storage_id,
            task_id: self.task_id,
            start: self.start_time.map(Timestamp::from_client),
            end: self.end_time.map(Timestamp::from_client),
        }
    }
}

impl ListedCallback {
    fn of(callback: Callback, urls: &HashMap<StorageId, String>) -> Self {
        let seconds = |time: Option<Timestamp>| time.map_or(0, Timestamp::as_secs);
        Self {
            url: urls.get(&callback.storage_id).cloned().unwrap_or_default(),
            callback_id: callback.id.to_string(),
            status: callback.status,
            storage_id: callback.storage_id.to_string(),
            task_ids: callback.task_ids.iter().map(ToString::to_string).collect(),
            attempts: callback.attempts,
            created_time: callback.created.as_secs(),
            next_attempt_time: seconds(callback.next_attempt),
            delivered_time: seconds(callback.delivered),
        }
    }
}

impl ListedAttempt {
    pub(super) fn of(attempt: Attempt) -> Self {
        Self {
            number: attempt.number,
            time: attempt.time.as_secs(),
            address: attempt.address,
            dns_ms: attempt.dns_ms,
            connect_ms: attempt.connect_ms,
            first_byte_ms: attempt.first_byte_ms,
            total_ms: attempt.total_ms,
            http_status: attempt.http_status,
            error: attempt.error,
            response_head: attempt.response_head,
            response_body: attempt.response_body,
        }
    }
}
