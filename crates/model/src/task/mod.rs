//! A task: one input to be transcoded to one output.

use serde::{Deserialize, Serialize};

use crate::{BatchId, Input, OutputPath, StorageId, TaskId, Template, TenantId, Timestamp};

mod facts;
mod options;
mod state;

pub use facts::{GroupFormat, OutputFacts, OutputGroup, SourceFacts};
pub use options::{ExtraOptions, Priority};
pub use state::{Stage, TaskEnd, TaskState, TaskStatus, WrongState};

/// What a task is asked to do. The template is a copy: later changes do not touch the task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// How to transcode.
    pub template: Template,
    /// The storage that the output goes to.
    pub storage_id: StorageId,
    /// Where the input comes from.
    pub input: Input,
    /// The key of the output's main object.
    pub output: OutputPath,
    /// Free text of the customer's, in every callback.
    #[serde(default)]
    pub custom_info: String,
    /// Options beyond the template.
    #[serde(default)]
    pub extra_options: ExtraOptions,
    /// Which tasks go first.
    #[serde(default)]
    pub priority: Priority,
}

/// A task as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Whom it belongs to.
    pub tenant: TenantId,
    /// The batch it was created with.
    pub batch_id: Option<BatchId>,
    /// What it is asked to do.
    pub spec: TaskSpec,
    /// The URI of the output's main object.
    pub output_uri: String,
    /// The region of its storage.
    pub region: String,
    /// When it was created.
    pub created: Timestamp,
    /// Its state.
    pub state: TaskState,
    /// What the probe found in the input, once it was probed.
    pub source: Option<SourceFacts>,
}

impl Task {
    /// Seconds from the start of the last run to its end: the time in the queue does not count.
    pub fn spend_time(&self) -> Option<f64> {
        let (finished, _) = self.state.ended()?;
        Some(finished.since(self.state.started()?).as_secs_f64())
    }
}
