//! Tasks: created together with their job, ended together with the callback that becomes owed. Lists of
//! them are in `task_lists`.
//!
//! An unfinished task has exactly one job, an ended one none. Where both rows are locked, the job's comes
//! before the task's, so that no two transactions wait for each other.

use model::{
    BatchId, Failure, FieldError, InputLocation, Task, TaskEnd, TaskId, TaskSpec, TaskState, TaskStatus,
    TenantId, Timestamp, UploadId,
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _, QuerySelect as _, SqlErr, sea_query::LockType,
};

use crate::{
    convert,
    entities::{job, storage, task},
    error::{Result, StoreError},
    storages,
    store::Store,
    transaction::WriteTransaction,
    uploads::upload_of,
};

impl Store {
    /// Creates a pending task and its job.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when its storage is not the tenant's, [`StoreError::OverQuota`] when
    /// the caller may have no more tasks, [`StoreError::Conflict`] when another unfinished task writes to
    /// the same output, [`StoreError::Field`] when an unfinished task has the output as its input.
    pub async fn create_task(&self, task: &Task) -> Result<()> {
        let mut tx = self.transaction().await?;
        // locked, shared, so that the storage is not deleted before the task is there
        let storage =
            storages::find(&tx.db, &task.tenant, &task.spec.storage_id, Some(LockType::Share)).await?;
        self.check_quota(&tx, 1).await?;
        self.insert_tasks(&mut tx, &storage, std::slice::from_ref(task)).await?;
        check_inputs_are_kept(&tx, std::slice::from_ref(task), None).await?;
        tx.commit().await
    }

    /// Inserts tasks of one storage, and their jobs.
    pub(crate) async fn insert_tasks(
        &self,
        tx: &mut WriteTransaction<'_>,
        storage: &storage::Model,
        tasks: &[Task],
    ) -> Result<()> {
        let service_id = storages::service_id(storage, self.cipher())?;
        let place = storages::read(storage.clone(), self.cipher())?;
        if tasks.iter().any(|task| place.uri(task.spec.output.key()) != task.output_uri) {
            let problem =
                format!("the storage `{}` became another place at this moment; try again", place.id);
            return Err(StoreError::Conflict(problem));
        }
        self.touch_uploads(tx, tasks).await?;
        let caller = self.caller_access_key();
        let mut rows = Vec::with_capacity(tasks.len());
        for task in tasks {
            rows.push(task::ActiveModel { access_key: Set(caller.clone()), ..task_row(task, &service_id)? });
        }
        let inserted = task::Entity::insert_many(rows).exec_without_returning(&tx.db).await;
        inserted.map_err(|error| insert_or_update_error(error, tasks))?;
        self.enqueue(tx, tasks).await
    }

    /// One task.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has none with this id.
    pub async fn task(&self, tenant: &TenantId, id: &TaskId) -> Result<Task> {
        let row = task::Entity::find_by_id(id.as_str())
            .filter(task::Column::TenantId.eq(tenant.as_str()))
            .one(self.database())
            .await?;
        read(row.ok_or_else(|| not_found(id))?)
    }

    /// Ends an unfinished task as cancelled, at once: its job is deleted, its callback owed, and a worker
    /// that has claimed it is fenced at its next write.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has none with this id, [`StoreError::WrongState`]
    /// when it has ended.
    pub async fn cancel_task(&self, tenant: &TenantId, id: &TaskId) -> Result<Task> {
        let mut tx = self.transaction().await?;
        // the job's row is locked before the task's, as everywhere
        let job = job::Entity::find()
            .filter(job::Column::TaskId.eq(id.as_str()))
            .lock_exclusive()
            .one(&tx.db)
            .await?;
        let task = lock_task(&tx.db, tenant, id).await?;
        let ended = self.end_task(&mut tx, task, TaskEnd::Cancelled, job.as_ref()).await?;
        tx.commit().await?;
        Ok(ended)
    }

    /// Makes an ended task run again, as if it were new.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has none with this id or its storage is gone,
    /// [`StoreError::WrongState`] when it has not ended, [`StoreError::OverQuota`] when the caller may
    /// have no more tasks, [`StoreError::Conflict`] when another unfinished task writes to the same output
    /// by now, or the storage is another place than it was, [`StoreError::Field`] when another unfinished
    /// task has the output as its input.
    pub async fn retry_task(&self, tenant: &TenantId, id: &TaskId) -> Result<Task> {
        let mut tx = self.transaction().await?;
        let mut task = lock_task(&tx.db, tenant, id).await?;
        task.state = task.state.retry()?;
        task.source = None;
        let storage = storages::find(&tx.db, tenant, &task.spec.storage_id, Some(LockType::Share)).await?;
        self.check_is_same_place(&tx, &task, storage).await?;
        self.check_quota(&tx, 1).await?;
        self.touch_uploads(&tx, std::slice::from_ref(&task)).await?;
        update(&mut tx, &task).await?;
        if let Some(key) = self.caller_access_key() {
            // it counts against the quota of whoever retries it
            let changes = task::ActiveModel { access_key: Set(Some(key)), ..Default::default() };
            task::Entity::update_many()
                .set(changes)
                .filter(task::Column::Id.eq(id.as_str()))
                .exec(&tx.db)
                .await?;
        }
        if let Some(batch) = &task.batch_id {
            self.count_retry_in_batch(&tx, batch).await?;
        }
        self.enqueue(&mut tx, std::slice::from_ref(&task)).await?;
        check_inputs_are_kept(&tx, std::slice::from_ref(&task), None).await?;
        tx.commit().await?;
        Ok(task)
    }

    /// Checks that the output of a task that runs again would go where it went.
    async fn check_is_same_place(
        &self,
        tx: &WriteTransaction<'_>,
        task: &Task,
        storage: storage::Model,
    ) -> Result<()> {
        let service_id = storages::service_id(&storage, self.cipher())?;
        let uri = storages::read(storage, self.cipher())?.uri(task.spec.output.key());
        let is_same = task::Entity::find_by_id(task.id.as_str())
            .filter(task::Column::OutputPlace.eq(output_place(&service_id, &uri)))
            .count(&tx.db)
            .await?;
        if is_same == 0 {
            let problem = format!(
                "the storage `{}` is another place since: the output would not go to `{}`; create a new task",
                task.spec.storage_id, task.output_uri
            );
            return Err(StoreError::Conflict(problem));
        }
        Ok(())
    }

    /// Deletes an ended task; the callbacks about it stay.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has none with this id, [`StoreError::WrongState`]
    /// when it has not ended, [`StoreError::Conflict`] while others of its batch are unfinished: the
    /// callback of the batch will be about it too.
    pub async fn delete_task(&self, tenant: &TenantId, id: &TaskId) -> Result<()> {
        let tx = self.transaction().await?;
        let task = lock_task(&tx.db, tenant, id).await?;
        task.state.check_deletable()?;
        if let Some(batch) = &task.batch_id
            && self.is_batch_unfinished(&tx, batch).await?
        {
            let problem =
                format!("the batch `{batch}` has unfinished tasks; its callback will be about this one too");
            return Err(StoreError::Conflict(problem));
        }
        task::Entity::delete_by_id(id.as_str()).exec(&tx.db).await?;
        tx.commit().await
    }

    /// Ends a task, whose row is locked, with all that follows: its job is deleted, its draft becomes an
    /// output or is abandoned, and its callback is owed where its storage has a notify.
    ///
    /// `unaware_job` is the task's job when its worker, if it has one, does not know of this end yet and
    /// may still be writing the output.
    pub(crate) async fn end_task(
        &self,
        tx: &mut WriteTransaction<'_>,
        mut task: Task,
        end: TaskEnd,
        unaware_job: Option<&job::Model>,
    ) -> Result<Task> {
        self.end_draft(tx, &task, &end, unaware_job).await?;
        task.state = task.state.end(end, self.now())?;
        update(tx, &task).await?;
        job::Entity::delete_many().filter(job::Column::TaskId.eq(task.id.as_str())).exec(&tx.db).await?;
        let storage = storages::find(&tx.db, &task.tenant, &task.spec.storage_id, None).await?;
        let storage = storages::read(storage, self.cipher())?;
        self.owe_callback_of_end(tx, &storage, &task).await?;
        // an upload is kept for a while after the end, for a retry
        self.touch_uploads(tx, std::slice::from_ref(&task)).await?;
        Ok(task)
    }
}

fn not_found(id: &TaskId) -> StoreError {
    StoreError::NotFound(format!("there is no task `{id}`"))
}

/// A tenant's task, its row locked for the rest of the transaction.
async fn lock_task(database: &impl ConnectionTrait, tenant: &TenantId, id: &TaskId) -> Result<Task> {
    let row = task::Entity::find_by_id(id.as_str())
        .filter(task::Column::TenantId.eq(tenant.as_str()))
        .lock_exclusive()
        .one(database)
        .await?;
    read(row.ok_or_else(|| not_found(id))?)
}

/// The task that a job is for, its row locked for the rest of the transaction.
pub(crate) async fn lock_task_of(database: &impl ConnectionTrait, job: &job::Model) -> Result<Task> {
    let row = task::Entity::find_by_id(&job.task_id).lock_exclusive().one(database).await?;
    read(row.ok_or_else(|| StoreError::Corrupt(format!("job {} has no task", job.id)))?)
}

/// Writes a task's state and what is known of its source: all that changes while it is worked on.
pub(crate) async fn update(tx: &mut WriteTransaction<'_>, task: &Task) -> Result<()> {
    let changes = task::ActiveModel { source: Set(source_json(task)?), ..state_row(&task.state)? };
    let updated = task::Entity::update_many()
        .set(changes)
        .filter(task::Column::Id.eq(task.id.as_str()))
        .exec(&tx.db)
        .await;
    tx.task_changed(&task.id);
    updated.map_err(|error| insert_or_update_error(error, std::slice::from_ref(task)))?;
    Ok(())
}

/// The error when an insert or an update of these tasks failed. Unique are the ids, and the output places
/// of a tenant's unfinished tasks.
fn insert_or_update_error(error: sea_orm::DbErr, tasks: &[Task]) -> StoreError {
    match error.sql_err() {
        // SQLite's message names the columns, PostgreSQL's the index
        Some(SqlErr::UniqueConstraintViolation(message))
            if message.contains("output_place") || message.contains("task_output") =>
        {
            StoreError::Conflict(match tasks {
                [task] => format!("another unfinished task writes to `{}`", task.output_uri),
                tasks => format!("another unfinished task writes to one of these {} outputs", tasks.len()),
            })
        }
        Some(SqlErr::UniqueConstraintViolation(_)) => {
            StoreError::Conflict("there is a task with this id already".to_owned())
        }
        _ => error.into(),
    }
}

fn task_row(task: &Task, service_id: &str) -> Result<task::ActiveModel> {
    let spec = &task.spec;
    Ok(task::ActiveModel {
        id: Set(task.id.to_string()),
        tenant_id: Set(task.tenant.to_string()),
        batch_id: Set(task.batch_id.as_ref().map(BatchId::to_string)),
        storage_id: Set(spec.storage_id.to_string()),
        template_name: Set(spec.template.template_name.to_string()),
        output_place: Set(output_place(service_id, &task.output_uri)),
        custom_info: Set(convert::without_nul(&spec.custom_info)),
        spec: Set(convert::to_json("task.spec", spec)?),
        output_uri: Set(convert::without_nul(&task.output_uri)),
        region: Set(convert::without_nul(&task.region)),
        created: Set(task.created.as_millis()),
        source: Set(source_json(task)?),
        upload_id: Set(upload_of(task).map(UploadId::to_string)),
        input_object: Set(input_object(task)),
        ..state_row(&task.state)?
    })
}

/// The URI of a task's input, if that is an object of a storage.
fn input_object(task: &Task) -> Option<String> {
    match task.spec.input.location() {
        InputLocation::Object { .. } => Some(convert::without_nul(task.spec.input.as_str())),
        InputLocation::Url(_) | InputLocation::Upload(_) => None,
    }
}

/// Fails if an output of these tasks would take the place of an input of an unfinished task of the tenant; with
/// `before`, of one that was created before that task. A task may read what an earlier one will have written.
pub(crate) async fn check_inputs_are_kept(
    tx: &WriteTransaction<'_>,
    tasks: &[Task],
    before: Option<&TaskId>,
) -> Result<()> {
    let Some(first) = tasks.first() else { return Ok(()) };
    let outputs = tasks.iter().map(|task| convert::without_nul(&task.output_uri));
    let mut readers = task::Entity::find()
        .filter(task::Column::TenantId.eq(first.tenant.as_str()))
        .filter(task::Column::Finished.is_null())
        .filter(task::Column::InputObject.is_in(outputs));
    if let Some(before) = before {
        readers = readers.filter(task::Column::Id.lt(before.as_str()));
    }
    match readers.one(&tx.db).await? {
        Some(reader) => {
            let input = reader.input_object.unwrap_or_default();
            let problem =
                format!("`{input}` is the input of the unfinished task `{}`; give another", reader.id);
            Err(FieldError::new("output", problem).into())
        }
        None => Ok(()),
    }
}

/// Where an output goes: the service that its bucket is in, and its URI.
pub(crate) fn output_place(service_id: &str, output_uri: &str) -> String {
    convert::without_nul(&format!("{service_id} {output_uri}"))
}

fn source_json(task: &Task) -> Result<Option<String>> {
    task.source.as_ref().map(|facts| convert::to_json("task.source", facts)).transpose()
}

/// The columns of a task's state. `outcome` holds by state: the facts of the output, the failure, or what
/// it waits for.
fn state_row(state: &TaskState) -> Result<task::ActiveModel> {
    let ended = state.ended();
    let outcome = match ended.map(|(_, end)| end) {
        Some(TaskEnd::Succeeded(facts)) => Some(convert::to_json("task.outcome", facts)?),
        Some(TaskEnd::Failed(failure)) => Some(convert::to_json("task.outcome", failure)?),
        None if !state.waiting().is_empty() => Some(convert::to_json("task.outcome", &state.waiting())?),
        Some(TaskEnd::Cancelled) | None => None,
    };
    Ok(task::ActiveModel {
        status: Set(state.status().to_string()),
        progress: Set(state.progress().into()),
        started: Set(state.started().map(Timestamp::as_millis)),
        finished: Set(ended.map(|(finished, _)| finished.as_millis())),
        outcome: Set(outcome),
        ..Default::default()
    })
}

pub(crate) fn read(row: task::Model) -> Result<Task> {
    let spec: TaskSpec = convert::from_json("task.spec", &row.spec)?;
    let source = row.source.as_deref().map(|json| convert::from_json("task.source", json)).transpose()?;
    Ok(Task {
        id: convert::parse("task.id", &row.id)?,
        tenant: convert::parse("task.tenant_id", &row.tenant_id)?,
        batch_id: row.batch_id.as_deref().map(|id| convert::parse("task.batch_id", id)).transpose()?,
        spec,
        output_uri: row.output_uri.clone(),
        region: row.region.clone(),
        created: Timestamp::from_millis(row.created),
        state: read_state(row)?,
        source,
    })
}

fn read_state(row: task::Model) -> Result<TaskState> {
    let missing = |column: &str| StoreError::Corrupt(format!("task.{column} of `{}` is missing", row.id));
    let started = convert::timestamp(row.started);
    let ended = |end| {
        let finished = convert::timestamp(row.finished).ok_or_else(|| missing("finished"))?;
        Ok(TaskState::Ended { started, finished, end })
    };
    let waiting = || match row.outcome.as_deref() {
        Some(json) => convert::from_json("task.outcome", json),
        None => Ok(String::new()),
    };
    let working = |stage| {
        let progress = convert::number("task.progress", row.progress)?;
        let started = started.ok_or_else(|| missing("started"))?;
        Ok(TaskState::Working { stage, progress, started, waiting: waiting()? })
    };
    let outcome = || row.outcome.as_deref().ok_or_else(|| missing("outcome"));
    match convert::parse("task.status", &row.status)? {
        TaskStatus::Pending => Ok(TaskState::Pending { waiting: waiting()? }),
        TaskStatus::Downloading => working(model::Stage::Downloading),
        TaskStatus::Running => working(model::Stage::Running),
        TaskStatus::Uploading => working(model::Stage::Uploading),
        TaskStatus::Succeeded => {
            let facts = convert::from_json("task.outcome", outcome()?)?;
            ended(TaskEnd::Succeeded(Box::new(facts)))
        }
        TaskStatus::Failed => {
            let failure: Failure = convert::from_json("task.outcome", outcome()?)?;
            ended(TaskEnd::Failed(failure))
        }
        TaskStatus::Cancelled => ended(TaskEnd::Cancelled),
    }
}
