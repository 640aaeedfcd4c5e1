//! Tasks.

use model::{BatchId, StorageId, Task, TaskId, TaskStatus, TemplateName, TenantId, Timestamp};

use crate::{Page, Result, Store};

/// Which tasks are wanted; what is none is not asked about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskFilter {
    /// Of this status.
    pub status: Option<TaskStatus>,
    /// Created at this moment or later.
    pub start: Option<Timestamp>,
    /// Created at this moment or earlier.
    pub end: Option<Timestamp>,
    /// Of this storage.
    pub storage_id: Option<StorageId>,
    /// Made with this template.
    pub template_name: Option<TemplateName>,
    /// Of this batch.
    pub batch_id: Option<BatchId>,
    /// With just this text.
    pub custom_info: Option<String>,
}

/// A piece of a list of tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskPage {
    /// How many there are in all.
    pub total: u64,
    /// The piece, newest first.
    pub tasks: Vec<Task>,
}

impl Store {
    /// Creates a pending task and its job.
    pub async fn create_task(&self, _task: &Task) -> Result<()> {
        todo!()
    }

    /// One task.
    pub async fn task(&self, _tenant: &TenantId, _id: &TaskId) -> Result<Task> {
        todo!()
    }

    /// A piece of a tenant's tasks, newest first.
    pub async fn list_tasks(
        &self,
        _tenant: &TenantId,
        _filter: &TaskFilter,
        _page: Page,
    ) -> Result<TaskPage> {
        todo!()
    }

    /// Ends an unfinished task as cancelled, at once.
    pub async fn cancel_task(&self, _tenant: &TenantId, _id: &TaskId) -> Result<Task> {
        todo!()
    }

    /// Lets an ended task run again.
    pub async fn retry_task(&self, _tenant: &TenantId, _id: &TaskId) -> Result<Task> {
        todo!()
    }
}
