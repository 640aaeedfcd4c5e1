//! What is in a storage, and whether tasks can use it: found out by trying.

use std::sync::Arc;

use axum::extract::State;
use model::{
    Storage,
    limits::{MAX_LIST_BYTES, MAX_PAGE_SIZE},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::storages::ByStorage;
use crate::{
    api::{
        auth::{Caller, Editor},
        envelope::{Answer, Envelope, Reply},
        error::{ApiError, BadParam, Conflict, NotFound},
        extract::Query,
        ids::parse_id_or_not_found,
        memory::Listing,
        paging,
        request::number,
    },
    app::App,
};

/// The result of a check.
#[derive(Serialize, ToSchema)]
pub(super) struct CheckedStorage {
    /// Whether tasks can use the storage: every step succeeded.
    ok: bool,
    /// The steps, in their order.
    steps: Vec<CheckedStep>,
}

/// The result of one step.
#[derive(Serialize, ToSchema)]
pub(super) struct CheckedStep {
    /// `list`, `write`, `read` or `delete`.
    #[schema(example = "write")]
    step: &'static str,
    /// Whether it succeeded; `false` too when it was not tried because an earlier one failed.
    ok: bool,
    /// The code that a task would fail with; 0 when there is nothing wrong.
    code: u32,
    /// What went wrong, with the object store's own code and request id.
    message: String,
}

/// Tries whether a storage can be used: lists objects, and writes, reads and deletes a small one. The
/// result shows which permission is missing.
#[utoipa::path(
    post, path = "/check_storage", tag = "storage",
    params(ByStorage),
    responses(
        (status = 200, description = "the result of each step", body = Envelope<Answer<CheckedStorage>>),
        BadParam, NotFound
    )
)]
pub(super) async fn check_storage(
    State(app): State<Arc<App>>,
    editor: Editor,
    Query(request, warnings): Query<ByStorage>,
) -> Reply<CheckedStorage> {
    let storage =
        app.store.storage(&editor.tenant, &parse_id_or_not_found("storage", &request.storage_id)?).await?;
    let bucket = app.storages.interactive().open(&storage)?;
    let steps: Vec<_> = bucket.check(&key_prefix(&storage)).await.into_iter().map(CheckedStep::of).collect();
    Ok(Answer::new(CheckedStorage { ok: steps.iter().all(|step| step.ok), steps }, warnings))
}

/// The objects to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListObjects {
    /// The storage's id.
    storage_id: String,
    /// Only objects whose path below the storage's prefix begins with this; unset: all.
    #[serde(default)]
    prefix: String,
    /// How many at most, 1 to 1000; unset: 1000.
    #[serde(default, deserialize_with = "number")]
    count: Option<u32>,
}

/// Objects of a storage.
#[derive(Serialize, ToSchema)]
pub(super) struct ObjectList {
    /// How many are in `list`.
    num: usize,
    /// Their full URIs, sorted.
    #[schema(example = json!(["s3://bucket/videos/cat.mp4"]))]
    list: Vec<String>,
}

/// Lists objects of a storage, below its prefix.
#[utoipa::path(
    get, path = "/list_object", tag = "storage",
    params(ListObjects),
    responses(
        (status = 200, description = "the first objects", body = Envelope<Answer<ObjectList>>),
        BadParam, NotFound, Conflict
    )
)]
pub(super) async fn list_object(
    State(app): State<Arc<App>>,
    caller: Caller,
    _turn: Listing,
    Query(request, warnings): Query<ListObjects>,
) -> Reply<ObjectList> {
    let storage =
        app.store.storage(&caller.tenant, &parse_id_or_not_found("storage", &request.storage_id)?).await?;
    let count = paging::check_page_size("count", request.count)?.unwrap_or(MAX_PAGE_SIZE as u32);
    let bucket = app.storages.interactive().open(&storage)?;
    let prefix = format!("{}{}", key_prefix(&storage), request.prefix);
    storage::check_prefix(&prefix).map_err(|problem| ApiError::field("prefix", problem))?;
    let keys = bucket.list_first(&prefix, count as usize).await?;
    let mut bytes = 0;
    let has_room = |uri: &String| {
        bytes += uri.len();
        bytes <= MAX_LIST_BYTES
    };
    let list: Vec<_> = keys.iter().map(|key| storage.uri(key)).take_while(has_room).collect();
    Ok(Answer::new(ObjectList { num: list.len(), list }, warnings))
}

/// What the key of every output in a storage begins with.
fn key_prefix(storage: &Storage) -> String {
    if storage.prefix.is_empty() { String::new() } else { format!("{}/", storage.prefix) }
}

impl CheckedStep {
    fn of(storage::StepOutcome { step, result }: storage::StepOutcome) -> Self {
        let (code, message) = match &result {
            Some(Ok(())) => (0, String::new()),
            Some(Err(error)) => (error.code.number(), error.to_string()),
            None => (0, "not tried: it needs an earlier step".to_owned()),
        };
        Self { step: step.word(), ok: matches!(result, Some(Ok(()))), code, message }
    }
}
