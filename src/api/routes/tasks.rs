//! Tasks: one input to be made into one output.

use std::sync::Arc;

use axum::extract::State;
use model::{
    BatchId, ExtraOptions, Input, OutputPath, Priority, StorageId, Task, TaskReport, TaskSpec, TaskState,
    TaskStatus, TemplateName, TenantId, Timestamp,
};
use serde::{Deserialize, Serialize};
use store::TaskFilter;
use utoipa::{IntoParams, ToSchema};

use super::templates;
use crate::{
    api::{
        auth::{Caller, Editor},
        envelope::{Answer, Envelope, Nothing, Reply},
        error::{ApiError, BadParam, Conflict, NotFound},
        extract::{Body, Query},
        ids::wanted,
        paging::Paging,
        request::number,
        validate_url,
    },
    app::App,
};

/// A task to create.
#[derive(Deserialize, ToSchema)]
pub(super) struct CreateTask {
    /// A template of one's own, or a predefined one.
    #[schema(example = "mp4-720p")]
    template_name: String,
    /// Where the output goes and who is told.
    storage_id: String,
    /// The URL of the input, `http` or `https`; or an object in a bucket of a storage of yours, such
    /// as `s3://bucket/key`, whose key is taken as it is; or what `upload` answered.
    #[schema(value_type = String, example = "https://example.com/cat.mov")]
    input: Input,
    /// A path below the storage's prefix or a full URI in its bucket; for `hls` and `dash` the
    /// playlist or manifest, or a folder. A missing extension is added.
    #[schema(example = "videos/cat.mp4")]
    output: String,
    /// Handed back in every callback.
    #[serde(default)]
    custom_info: String,
    /// Wishes beyond the template.
    #[serde(default)]
    extra_options: ExtraOptions,
    /// 1 to 9, higher goes first; unset: 5.
    #[serde(default)]
    priority: u32,
}

/// The task that was created.
#[derive(Serialize, ToSchema)]
pub(super) struct CreatedTask {
    #[schema(example = "20220420111542664667cccc3d179880")]
    task_id: String,
}

/// Creates a task. It runs as soon as a worker is free.
#[utoipa::path(
    post, path = "/create_task", tag = "task",
    params(("Idempotency-Key" = Option<String>, Header, description = "makes the call once, however often it is sent")),
    request_body = CreateTask,
    responses(
        (status = 200, description = "created", body = Envelope<Answer<CreatedTask>>), BadParam, NotFound, Conflict
    )
)]
pub(super) async fn create_task(
    State(app): State<Arc<App>>,
    editor: Editor,
    Body(request, warnings): Body<CreateTask>,
) -> Reply<CreatedTask> {
    let task = new_task(&app, &editor.tenant, request).await?;
    let answer = Answer::new(CreatedTask { task_id: task.id.to_string() }, warnings);
    editor.store_keeping(&app, &answer)?.create_task(&task).await?;
    tracing::info!(task_id = %task.id, input = %task.spec.input.redacted(), output = %task.output_uri, "task created");
    Ok(answer)
}

/// The task that is asked for, checked; it is not kept yet.
pub(super) async fn new_task(app: &App, tenant: &TenantId, request: CreateTask) -> Result<Task, ApiError> {
    let priority = Priority::new(request.priority)?;
    let name = wanted("template", &request.template_name)?;
    let template = templates::resolve(app, tenant, &name).await?.into_template();
    request.extra_options.check(&template)?;
    let storage = app.store.storage(tenant, &wanted("storage", &request.storage_id)?).await?;
    let output = OutputPath::resolve(&request.output, &storage, template.format)?;
    validate_url::check_input(app, &storage, "input", &request.input).await?;
    if let Some(logo) = &template.logo_path {
        validate_url::check_input(app, &storage, "logo_path", logo).await?;
    }
    Ok(Task {
        id: app.new_task_id(),
        tenant: tenant.clone(),
        batch_id: None,
        output_uri: storage.uri(output.key()),
        region: storage.region,
        created: app.clock.now(),
        state: TaskState::Pending,
        source: None,
        spec: TaskSpec {
            template,
            storage_id: storage.id,
            input: request.input,
            output,
            custom_info: request.custom_info,
            extra_options: request.extra_options,
            priority,
        },
    })
}

/// Which task.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ByTask {
    /// The task's id.
    pub(super) task_id: String,
}

/// Tells how far a task has come, and what became of it.
#[utoipa::path(
    get, path = "/query_task", tag = "task",
    params(ByTask),
    responses((status = 200, description = "the task", body = Envelope<Answer<TaskReport>>), BadParam, NotFound)
)]
pub(super) async fn query_task(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(request, warnings): Query<ByTask>,
) -> Reply<TaskReport> {
    let task = app.store.task(&caller.tenant, &wanted("task", &request.task_id)?).await?;
    Ok(Answer::new(TaskReport::of(&task), warnings))
}

/// Which tasks, and which piece of their list.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(super) struct ListTasks {
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
    /// Created at this time or later, in Unix seconds or milliseconds.
    #[serde(deserialize_with = "number")]
    start_time: Option<i64>,
    /// Created at this time or earlier, in Unix seconds or milliseconds.
    #[serde(deserialize_with = "number")]
    end_time: Option<i64>,
    /// Of this status.
    status: Option<TaskStatus>,
    /// Of this storage.
    #[param(value_type = Option<String>)]
    storage_id: Option<StorageId>,
    /// Made with this template.
    #[param(value_type = Option<String>)]
    template_name: Option<TemplateName>,
    /// Of this batch.
    #[param(value_type = Option<String>)]
    batch_id: Option<BatchId>,
    /// With just this text.
    custom_info: Option<String>,
}

/// A piece of the list of tasks.
#[derive(Serialize, ToSchema)]
pub(super) struct TaskList {
    /// How many there are in all.
    total: u64,
    /// How many are here.
    num: usize,
    /// The newest first.
    list: Vec<TaskReport>,
}

/// Lists tasks.
#[utoipa::path(
    get, path = "/list_task", tag = "task",
    params(ListTasks),
    responses((status = 200, description = "a piece of the list", body = Envelope<Answer<TaskList>>), BadParam)
)]
pub(super) async fn list_task(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(request, warnings): Query<ListTasks>,
) -> Reply<TaskList> {
    let page = request.paging().page()?;
    let found = app.store.list_tasks(&caller.tenant, &request.filter(), page).await?;
    let list: Vec<_> = found.tasks.iter().map(TaskReport::of).collect();
    Ok(Answer::new(TaskList { total: found.total, num: list.len(), list }, warnings))
}

/// Cancels an unfinished task, at once; its callback is owed as for a failure.
#[utoipa::path(
    post, path = "/cancel_task", tag = "task",
    params(ByTask),
    responses(
        (status = 200, description = "cancelled", body = Envelope<Answer<Nothing>>), BadParam, NotFound, Conflict
    )
)]
pub(super) async fn cancel_task(
    State(app): State<Arc<App>>,
    editor: Editor,
    Query(request, warnings): Query<ByTask>,
) -> Reply<Nothing> {
    app.store.cancel_task(&editor.tenant, &wanted("task", &request.task_id)?).await?;
    tracing::info!(task_id = request.task_id, "task cancelled");
    Ok(Answer::nothing(warnings))
}

/// Lets an ended task run again, under the same id; a new callback will be owed.
#[utoipa::path(
    post, path = "/retry_task", tag = "task",
    params(ByTask),
    responses(
        (status = 200, description = "it waits for a worker", body = Envelope<Answer<Nothing>>),
        BadParam, NotFound, Conflict
    )
)]
pub(super) async fn retry_task(
    State(app): State<Arc<App>>,
    editor: Editor,
    Query(request, warnings): Query<ByTask>,
) -> Reply<Nothing> {
    editor.store(&app).retry_task(&editor.tenant, &wanted("task", &request.task_id)?).await?;
    tracing::info!(task_id = request.task_id, "task to run again");
    Ok(Answer::nothing(warnings))
}

/// Deletes the record of an ended task. Its objects and its callbacks stay.
#[utoipa::path(
    delete, path = "/del_task", tag = "task",
    params(ByTask),
    responses(
        (status = 200, description = "deleted", body = Envelope<Answer<Nothing>>), BadParam, NotFound, Conflict
    )
)]
pub(super) async fn del_task(
    State(app): State<Arc<App>>,
    editor: Editor,
    Query(request, warnings): Query<ByTask>,
) -> Reply<Nothing> {
    app.store.delete_task(&editor.tenant, &wanted("task", &request.task_id)?).await?;
    tracing::info!(task_id = request.task_id, "task deleted");
    Ok(Answer::nothing(warnings))
}

impl ListTasks {
    fn paging(&self) -> Paging {
        Paging { count: self.count, start_num: self.start_num, limit: self.limit, skip: self.skip }
    }

    fn filter(self) -> TaskFilter {
        TaskFilter {
            status: self.status,
            start: self.start_time.map(Timestamp::from_client),
            end: self.end_time.map(Timestamp::from_client),
            storage_id: self.storage_id,
            template_name: self.template_name,
            batch_id: self.batch_id,
            custom_info: self.custom_info,
        }
    }
}
