//! Batches: tasks that are created together or not at all, and have one callback together.

use std::{collections::HashSet, sync::Arc};

use axum::extract::State;
use model::{
    BatchId, FieldError, StorageId, Task,
    limits::{MAX_BATCH_BYTES, MAX_BATCH_TASKS},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::tasks::{CreateTask, new_task};
use crate::{
    api::{
        auth::Editor,
        envelope::{Answer, Envelope, Reply},
        error::{ApiError, BadParam, Conflict, NotFound},
        extract::Body,
        memory::LargeBatch,
    },
    app::App,
};

/// Tasks to create together.
#[derive(Deserialize, ToSchema)]
pub(super) struct CreateBatch {
    /// 1 to 1,000 tasks with one storage. Their results are in one callback, in this order, when the last
    /// has ended.
    tasks: Vec<CreateTask>,
}

/// The batch that was created.
#[derive(Serialize, ToSchema)]
pub(super) struct CreatedBatch {
    #[schema(example = "20220420111542664667cccc3d179880")]
    batch_id: String,
    /// In the order of the request.
    task_ids: Vec<String>,
}

/// Creates tasks whose results are in one callback: all of them, or none.
#[utoipa::path(
    post, path = "/create_batch", tag = "task",
    params(("Idempotency-Key" = Option<String>, Header, description = "makes the call once, however often it is sent")),
    request_body = CreateBatch,
    responses(
        (status = 200, description = "created", body = Envelope<Answer<CreatedBatch>>), BadParam, NotFound, Conflict
    )
)]
pub(super) async fn create_batch(
    State(app): State<Arc<App>>,
    editor: Editor,
    _turn: LargeBatch,
    Body(request, warnings): Body<CreateBatch>,
) -> Reply<CreatedBatch> {
    let count = request.tasks.len();
    if !(1..=MAX_BATCH_TASKS).contains(&count) {
        return Err(ApiError::field("tasks", format!("has {count} tasks; give 1 to {MAX_BATCH_TASKS}")));
    }
    let mut tasks = Vec::with_capacity(count);
    let mut bytes = 0;
    for (index, task) in request.tasks.into_iter().enumerate() {
        let task = new_task(&app, &editor.tenant, task).await;
        let task = task.map_err(|error| error.within(&format!("tasks[{index}]")))?;
        bytes += stored_bytes(&task)?;
        if bytes > MAX_BATCH_BYTES {
            let problem = format!(
                "have more than {MAX_BATCH_BYTES} bytes with their templates; make a second batch of them"
            );
            return Err(ApiError::field("tasks", problem));
        }
        tasks.push(task);
    }
    check_common(&tasks)?;
    let id = assign_batch(&app, &mut tasks);
    let task_ids = tasks.iter().map(|task| task.id.to_string()).collect();
    let answer = Answer::new(CreatedBatch { batch_id: id.to_string(), task_ids }, warnings);
    editor.store_keeping(&app, &answer)?.create_batch(&id, &tasks).await?;
    tracing::info!(batch_id = %id, tasks = count, "batch created");
    Ok(answer)
}

/// How much a task takes that is stored: the template is copied into each.
fn stored_bytes(task: &Task) -> Result<usize, ApiError> {
    let spec = serde_json::to_vec(&task.spec).map_err(ApiError::internal)?;
    Ok(spec.len() + task.output_uri.len())
}

/// Checks the tasks against each other: they have one storage, and each an output of its own.
fn check_common(tasks: &[Task]) -> Result<(), FieldError> {
    let mut outputs = HashSet::new();
    let storage: Option<&StorageId> = tasks.first().map(|task| &task.spec.storage_id);
    for (index, task) in tasks.iter().enumerate() {
        if Some(&task.spec.storage_id) != storage {
            let problem = format!("`{}` is another than that of the first task", task.spec.storage_id);
            return Err(FieldError::new(format!("tasks[{index}].storage_id"), problem));
        }
        if !outputs.insert(task.spec.output.key()) {
            let problem = format!("`{}` is the output of another task of the batch", task.output_uri);
            return Err(FieldError::new(format!("tasks[{index}].output"), problem));
        }
    }
    Ok(())
}

/// Gives the tasks a new batch, and deals their ids again so that these sort in the order of the tasks: ids
/// of one millisecond do not.
fn assign_batch(app: &App, tasks: &mut [Task]) -> BatchId {
    let id = app.new_batch_id();
    let mut ids: Vec<_> = tasks.iter().map(|task| task.id.clone()).collect();
    ids.sort();
    for (task, task_id) in tasks.iter_mut().zip(ids) {
        task.id = task_id;
        task.batch_id = Some(id.clone());
    }
    id
}
