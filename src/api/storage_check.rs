//! Whether a storage can be used: tried for real, step by step.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use storage::Checked;
use utoipa::ToSchema;

use super::{
    auth::Editor,
    envelope::{Answer, Envelope, Reply},
    error::{BadParam, NotFound},
    extract::Query,
    ids::wanted,
    storages::{ByStorage, unusable},
};
use crate::app::App;

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
    let bucket = app.storages.impatient().open(&storage).map_err(unusable)?;
    let prefix = if storage.prefix.is_empty() { String::new() } else { format!("{}/", storage.prefix) };
    let steps: Vec<_> = bucket.check(&prefix).await.into_iter().map(CheckedStep::of).collect();
    Ok(Answer::new(CheckedStorage { ok: steps.iter().all(|step| step.ok), steps }, warnings))
}

impl CheckedStep {
    fn of((step, result): Checked) -> Self {
        let (code, message) = match &result {
            Some(Ok(())) => (0, String::new()),
            Some(Err(error)) => (error.code.number(), error.to_string()),
            None => (0, "not tried: it needs an earlier step".to_owned()),
        };
        Self { step: step.word(), ok: matches!(result, Some(Ok(()))), code, message }
    }
}
