//! What is in a storage, and whether it can be used: tried for real, step by step.

use std::sync::Arc;

use axum::extract::State;
use model::Storage;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::storages::{ByStorage, unusable};
use crate::{
    api::{
        auth::{Caller, Editor},
        envelope::{Answer, Envelope, Reply},
        error::{ApiError, BadParam, Conflict, NotFound},
        extract::Query,
        ids::wanted,
        request::number,
    },
    app::App,
};

/// Objects in a list at most.
const MOST: usize = 1000;

/// What came of the check.
#[derive(Serialize, ToSchema)]
pub(super) struct CheckedStorage {
    /// Whether tasks can use the storage: every step succeeded.
    ok: bool,
    /// The steps, in their order.
    steps: Vec<CheckedStep>,
}

/// What came of one step.
#[derive(Serialize, ToSchema)]
pub(super) struct CheckedStep {
    /// `list`, `write`, `read` or `delete`.
    #[schema(example = "write")]
    step: &'static str,
    /// Whether it succeeded; `false` too when it was not tried because an earlier one failed.
    ok: bool,
    /// The code that a task would fail with; 0 when there is nothing wrong.
    code: u32,
    /// What went wrong, with the store's own code and request id.
    message: String,
}

/// Lists, writes, reads back and deletes a small object, and says which permission is missing.
#[utoipa::path(
    post, path = "/check_storage", tag = "storage",
    params(ByStorage),
    responses(
        (status = 200, description = "what came of it", body = Envelope<Answer<CheckedStorage>>),
        BadParam, NotFound
    )
)]
pub(super) async fn check_storage(
    State(app): State<Arc<App>>,
    editor: Editor,
    Query(request, warnings): Query<ByStorage>,
) -> Reply<CheckedStorage> {
    let storage = app.store.storage(&editor.tenant, &wanted("storage", &request.storage_id)?).await?;
    let bucket = app.storages.interactive().open(&storage).map_err(unusable)?;
    let steps: Vec<_> = bucket.check(&below(&storage)).await.into_iter().map(CheckedStep::of).collect();
    Ok(Answer::new(CheckedStorage { ok: steps.iter().all(|step| step.ok), steps }, warnings))
}

/// Which objects.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListObjects {
    /// The storage's id.
    storage_id: String,
    /// What their paths below the storage's prefix begin with; unset: all.
    #[serde(default)]
    prefix: String,
    /// How many at most, 1 to 1000; unset: 1000.
    #[serde(default, deserialize_with = "number")]
    count: Option<u32>,
}

/// Objects of a storage.
#[derive(Serialize, ToSchema)]
pub(super) struct ObjectList {
    /// How many are here.
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
        (status = 200, description = "the first of them", body = Envelope<Answer<ObjectList>>),
        BadParam, NotFound, Conflict
    )
)]
pub(super) async fn list_object(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(request, warnings): Query<ListObjects>,
) -> Reply<ObjectList> {
    let storage = app.store.storage(&caller.tenant, &wanted("storage", &request.storage_id)?).await?;
    let count = match request.count {
        None | Some(0) => MOST,
        Some(count) if count as usize <= MOST => count as usize,
        Some(count) => {
            return Err(ApiError::field("count", format!("{count} is out of range; give 1 to {MOST}")));
        }
    };
    let bucket = app.storages.interactive().open(&storage).map_err(unusable)?;
    let prefix = format!("{}{}", below(&storage), request.prefix);
    storage::check_prefix(&prefix).map_err(|problem| ApiError::field("prefix", problem))?;
    let keys = bucket.list_first(&prefix, count).await.map_err(unusable)?;
    let list: Vec<_> = keys.iter().map(|key| storage.uri(key)).collect();
    Ok(Answer::new(ObjectList { num: list.len(), list }, warnings))
}

/// What every key of a storage begins with.
fn below(storage: &Storage) -> String {
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
