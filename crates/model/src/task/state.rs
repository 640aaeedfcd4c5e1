//! What becomes of a task: its states, and the transitions between them.
//!
//! The state is an enum that carries its data; a transition takes a state and gives the next, or says why
//! it cannot. The API's status words are given by [`TaskState::status`] alone.

use super::OutputFacts;
use crate::{ErrorCode, Failure, Timestamp, field::word_enum};

word_enum! {
    /// The status of a task, as it is answered.
    TaskStatus {
        /// it waits for a worker
        Pending = "pending",
        /// the input is being fetched
        Downloading = "downloading",
        /// it is being encoded
        Running = "running",
        /// the output is being stored
        Uploading = "uploading",
        /// the output is there and was checked
        Succeeded = "succeeded",
        /// it failed; `code` and `message` say why
        Failed = "failed",
        /// it was cancelled
        Cancelled = "cancelled",
    }
}

word_enum! {
    /// What a worker is doing for a task.
    Stage {
        /// the input is being fetched
        Downloading = "downloading",
        /// it is being encoded
        Running = "running",
        /// the output is being stored
        Uploading = "uploading",
    }
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskEnd {
    /// The output is there and was checked.
    Succeeded(Box<OutputFacts>),
    /// It failed.
    Failed(Failure),
    /// It was cancelled.
    Cancelled,
}

impl TaskEnd {
    /// Why there is no output; none when there is one.
    pub fn failure(&self) -> Option<Failure> {
        match self {
            Self::Succeeded(_) => None,
            Self::Failed(failure) => Some(failure.clone()),
            Self::Cancelled => Some(Failure::new(ErrorCode::Cancelled, "")),
        }
    }
}

/// The state of a task.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskState {
    /// It waits for a worker.
    Pending {
        /// What became of its last run and when it is tried again, in a sentence; empty of one that never ran.
        waiting: String,
    },
    /// A worker has it.
    Working {
        /// What the worker is doing.
        stage: Stage,
        /// 0 to 100, never less than before.
        progress: u8,
        /// When this run started.
        started: Timestamp,
        /// What it waits for and why, in a sentence; empty when it does not wait.
        waiting: String,
    },
    /// It has ended.
    Ended {
        /// When the last run started; none when it never ran.
        started: Option<Timestamp>,
        /// When it ended.
        finished: Timestamp,
        /// How it ended.
        end: TaskEnd,
    },
}

/// A transition that the state of a task does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the task is {status}; {problem}")]
pub struct WrongState {
    status: TaskStatus,
    problem: &'static str,
}

impl TaskState {
    /// It waits for a worker for the first time.
    pub const fn pending() -> Self {
        Self::Pending { waiting: String::new() }
    }

    /// The status that the API answers.
    pub fn status(&self) -> TaskStatus {
        match self {
            Self::Pending { .. } => TaskStatus::Pending,
            Self::Working { stage: Stage::Downloading, .. } => TaskStatus::Downloading,
            Self::Working { stage: Stage::Running, .. } => TaskStatus::Running,
            Self::Working { stage: Stage::Uploading, .. } => TaskStatus::Uploading,
            Self::Ended { end: TaskEnd::Succeeded(_), .. } => TaskStatus::Succeeded,
            Self::Ended { end: TaskEnd::Failed(_), .. } => TaskStatus::Failed,
            Self::Ended { end: TaskEnd::Cancelled, .. } => TaskStatus::Cancelled,
        }
    }

    /// 0 to 100.
    pub fn progress(&self) -> u8 {
        match self {
            Self::Pending { .. } => 0,
            Self::Working { progress, .. } => *progress,
            Self::Ended { end: TaskEnd::Succeeded(_), .. } => 100,
            Self::Ended { .. } => 0,
        }
    }

    /// What it or its worker waits for and why; empty when there is nothing to say.
    pub fn waiting(&self) -> &str {
        match self {
            Self::Pending { waiting } | Self::Working { waiting, .. } => waiting,
            Self::Ended { .. } => "",
        }
    }

    /// When the last run started.
    pub fn started(&self) -> Option<Timestamp> {
        match self {
            Self::Pending { .. } => None,
            Self::Working { started, .. } => Some(*started),
            Self::Ended { started, .. } => *started,
        }
    }

    /// When and how it ended.
    pub fn ended(&self) -> Option<(Timestamp, &TaskEnd)> {
        match self {
            Self::Ended { finished, end, .. } => Some((*finished, end)),
            _ => None,
        }
    }

    /// A worker starts it, for the first time, or again after its worker was lost.
    ///
    /// # Errors
    /// When it has ended.
    pub fn start(self, now: Timestamp) -> Result<Self, WrongState> {
        match self {
            Self::Pending { .. } | Self::Working { .. } => Ok(Self::Working {
                stage: Stage::Downloading,
                progress: 0,
                started: now,
                waiting: String::new(),
            }),
            ended @ Self::Ended { .. } => Err(ended.wrong("only an unfinished one can be started")),
        }
    }

    /// It ends.
    ///
    /// # Errors
    /// When it had ended before.
    pub fn end(self, end: TaskEnd, now: Timestamp) -> Result<Self, WrongState> {
        match self {
            Self::Pending { .. } | Self::Working { .. } => {
                Ok(Self::Ended { started: self.started(), finished: now, end })
            }
            ended @ Self::Ended { .. } => Err(ended.wrong("it has ended already")),
        }
    }

    /// It waits for a worker again: after a transient failure, or because its worker stops; `why` says it.
    ///
    /// # Errors
    /// When no worker has it.
    pub fn give_back(self, why: &str) -> Result<Self, WrongState> {
        match self {
            Self::Working { .. } => Ok(Self::Pending { waiting: why.to_owned() }),
            other => Err(other.wrong("only a running one can be given back")),
        }
    }

    /// It waits for a worker again after it ended, because a customer asked for it.
    ///
    /// # Errors
    /// When it has not ended.
    pub fn retry(self) -> Result<Self, WrongState> {
        match self {
            Self::Ended { .. } => Ok(Self::pending()),
            other => Err(other.wrong("only an ended one can be retried")),
        }
    }

    /// Whether it may be deleted.
    ///
    /// # Errors
    /// When it has not ended.
    pub fn check_deletable(&self) -> Result<(), WrongState> {
        match self {
            Self::Ended { .. } => Ok(()),
            other => Err(other.wrong("only an ended one can be deleted")),
        }
    }

    fn wrong(&self, problem: &'static str) -> WrongState {
        WrongState { status: self.status(), problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1000);

    #[test]
    fn a_task_ends_once() {
        let working = TaskState::pending().start(NOW).expect("pending");
        let ended = working.end(TaskEnd::Cancelled, NOW).expect("working");
        assert_eq!(ended.status(), TaskStatus::Cancelled);
        let again = ended.clone().end(TaskEnd::Cancelled, NOW).expect_err("ended");
        assert_eq!(again.to_string(), "the task is cancelled; it has ended already");
        assert!(ended.clone().start(NOW).is_err());
        assert_eq!(ended.retry(), Ok(TaskState::pending()));
    }
}
