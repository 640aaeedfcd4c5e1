//! Callbacks.

use std::time::Duration;

use model::{
    Attempt, Callback, CallbackId, CallbackNext, CallbackStatus, Storage, StorageId, TaskId, TenantId,
    Timestamp, WorkerId,
};

use crate::{Page, Result, Store};

/// A due callback that a worker has, as long as its fence holds.
#[derive(Clone, Debug, PartialEq)]
pub struct CallbackClaim {
    /// What is owed.
    pub callback: Callback,
    /// Where it goes and how it is signed, as it is now.
    pub storage: Storage,
    /// Grows with each claim of the callback.
    pub fence: i64,
    /// Who has it.
    pub worker: WorkerId,
    /// `scheme://host:port` of the address, the one whose slots it takes.
    pub receiver: String,
}

/// Which callbacks are wanted; what is none is not asked about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallbackFilter {
    /// Of this status.
    pub status: Option<CallbackStatus>,
    /// Of this storage.
    pub storage_id: Option<StorageId>,
    /// That tell about this task.
    pub task_id: Option<TaskId>,
    /// Owed since this moment or later.
    pub start: Option<Timestamp>,
    /// Owed since this moment or earlier.
    pub end: Option<Timestamp>,
}

impl Store {
    /// Takes due callbacks.
    pub async fn claim_callbacks(
        &self,
        _worker: &WorkerId,
        _limit: u32,
        _lease: Duration,
        _busy_receivers: &[String],
    ) -> Result<Vec<CallbackClaim>> {
        todo!()
    }

    /// Keeps an attempt and what becomes of the callback.
    pub async fn record_attempt(
        &self,
        _claim: &CallbackClaim,
        _attempt: &Attempt,
        _next: CallbackNext,
    ) -> Result<()> {
        todo!()
    }

    /// When the next callback is due that nobody has.
    pub async fn next_due(&self) -> Result<Option<Timestamp>> {
        todo!()
    }

    /// A piece of a tenant's callbacks, newest first, and how many there are in all.
    pub async fn callbacks(
        &self,
        _tenant: &TenantId,
        _filter: &CallbackFilter,
        _page: Page,
    ) -> Result<(u64, Vec<Callback>)> {
        todo!()
    }

    /// One callback and its attempts, in order.
    pub async fn callback(&self, _tenant: &TenantId, _id: &CallbackId) -> Result<(Callback, Vec<Attempt>)> {
        todo!()
    }
}
