//! Tasks: one input, transcoded into one output.

use std::sync::Arc;

use axum::extract::State;
use model::{
    BatchId, ExtraOptions, Input, OutputPath, Priority, StorageId, Task, TaskReport, TaskSpec, TaskState,
    TaskStatus, TemplateName, TenantId, Timestamp, check_text, limits::MAX_CUSTOM_INFO_BYTES,
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
        ids::parse_id_or_not_found,
        memory::LargeAnswer,
        output_place::OutputPlace,
        paging::{Paging, next_start_num},
        request::number,
        validate_url, waiting,
    },
    app::App,
};

/// A task to create.
#[derive(Deserialize, ToSchema)]
pub(super) struct CreateTask {
    /// A template of your own, or a predefined one.
    #[schema(example = "mp4-720p")]
    template_name: String,
    /// The storage that the output goes to, whose receiver gets the callback.
    storage_id: String,
    /// The URL of the input, `http` or `https`; or an object in the bucket of a storage of yours, such as
    /// `s3://bucket/key`, whose key is not percent-decoded; or the `input` that `upload` answered.
    #[schema(value_type = String, example = "https://example.com/cat.mov")]
    input: Input,
    /// A path below the storage's prefix or a full URI in its bucket; for `hls` and `dash` the
    /// playlist or manifest, or a folder. A missing extension is added.
    #[schema(example = "videos/cat.mp4")]
    output: String,
    /// Free text, returned in the callback.
    #[serde(default)]
    custom_info: String,
    /// Options beside the template.
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

/// Checks a request and makes a task of it, which is not stored yet.
pub(super) async fn new_task(app: &App, tenant: &TenantId, request: CreateTask) -> Result<Task, ApiError> {
    let priority = Priority::new(request.priority)?;
    check_text("custom_info", &request.custom_info, MAX_CUSTOM_INFO_BYTES)?;
    let name = parse_id_or_not_found("template", &request.template_name)?;
    let template = templates::resolve(app, tenant, &name).await?.into_template();
    request.extra_options.check(&template)?;
    let storage = app.store.storage(tenant, &parse_id_or_not_found("storage", &request.storage_id)?).await?;
    let output = OutputPath::resolve(&request.output, &storage, template.format)?;
    let place = OutputPlace { app, storage: &storage, output: &output, format: template.format };
    place.check_name()?;
    for (field, input) in [("input", Some(&request.input)), ("logo_path", template.logo_path.as_ref())] {
        if let Some(input) = input
            && let Some(read_with) = validate_url::check_input(app, &storage, field, input).await?
        {
            place.check_keeps(field, input, &read_with).await?;
        }
    }
    Ok(Task {
        id: app.new_task_id(),
        tenant: tenant.clone(),
        batch_id: None,
        output_uri: storage.uri(output.key()),
        region: storage.region,
        created: app.clock.now(),
        state: TaskState::pending(),
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

/// The task that a call names.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ByTask {
    /// The task's id.
    pub(super) task_id: String,
}

/// Shows the progress and the result of a task.
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
    let task = app.store.task(&caller.tenant, &parse_id_or_not_found("task", &request.task_id)?).await?;
    Ok(Answer::new(waiting::report(&app, &task).await?, warnings))
}

/// Filters of tasks, and a page of their list.
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
    /// Only those created at this time or later, in Unix seconds or milliseconds.
    #[serde(deserialize_with = "number")]
    start_time: Option<i64>,
    /// Only those created at this time or earlier, in Unix seconds or milliseconds.
    #[serde(deserialize_with = "number")]
    end_time: Option<i64>,
    /// Only those with this status.
    status: Option<TaskStatus>,
    /// Only those of this storage.
    #[param(value_type = Option<String>)]
    storage_id: Option<StorageId>,
    /// Only those with this template.
    #[param(value_type = Option<String>)]
    template_name: Option<TemplateName>,
    /// Only those of this batch.
    #[param(value_type = Option<String>)]
    batch_id: Option<BatchId>,
    /// Only those whose `custom_info` is exactly this.
    custom_info: Option<String>,
}

/// A page of the list of tasks.
#[derive(Serialize, ToSchema)]
pub(super) struct TaskList {
    /// How many there are on all pages.
    total: u64,
    /// How many are in `list`.
    num: usize,
    /// The newest first.
    list: Vec<TaskReport>,
    /// The `start_num` of the next page; absent on the last. A page may have fewer tasks than `count`: its
    /// bytes are bounded too.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_start_num: Option<u64>,
}

/// Lists tasks.
#[utoipa::path(
    get, path = "/list_task", tag = "task",
    params(ListTasks),
    responses((status = 200, description = "a page of the list", body = Envelope<Answer<TaskList>>), BadParam)
)]
pub(super) async fn list_task(
    State(app): State<Arc<App>>,
    caller: Caller,
    _turn: LargeAnswer,
    Query(request, warnings): Query<ListTasks>,
) -> Reply<TaskList> {
    let page = request.paging().page()?;
    let found = app.store.list_tasks(&caller.tenant, &request.filter(), page).await?;
    let list = waiting::reports(&app, &found.tasks).await?;
    let next_start_num = next_start_num(page, list.len(), found.total);
    Ok(Answer::new(TaskList { total: found.total, num: list.len(), list, next_start_num }, warnings))
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
    app.store.cancel_task(&editor.tenant, &parse_id_or_not_found("task", &request.task_id)?).await?;
    tracing::info!(task_id = request.task_id, "task cancelled");
    Ok(Answer::nothing(warnings))
}

/// Runs an ended task again, under the same id; it will have a new callback.
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
    editor.store(&app).retry_task(&editor.tenant, &parse_id_or_not_found("task", &request.task_id)?).await?;
    tracing::info!(task_id = request.task_id, "the task runs again");
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
    app.store.delete_task(&editor.tenant, &parse_id_or_not_found("task", &request.task_id)?).await?;
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
