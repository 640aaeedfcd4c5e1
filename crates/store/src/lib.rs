//! The database, SQLite or PostgreSQL: what is stored, and what happens in one transaction.
//!
//! Cast: a task has a job while it is unfinished; a worker claims the job with a lease and a fence;
//! the task's end deletes the job and leaves a callback that is owed; every attempt to deliver the
//! callback is stored. What always holds:
//! - a change and what must follow from it are one transaction, and what a decision depends on is read
//!   inside the transaction that acts on it;
//! - whoever lost the fence writes nothing more: each write of a claim's holder checks it;
//! - everything belongs to a tenant, and another tenant's id is [`StoreError::NotFound`].

mod access_keys;
mod batches;
mod callbacks;
mod caller;
mod cipher;
mod clock;
mod connections;
mod convert;
mod drafts;
mod entities;
mod error;
mod fair_share;
mod idempotency;
mod jobs;
mod migrations;
mod page;
mod quota;
mod storages;
mod store;
mod task_counts;
mod task_lists;
mod task_retention;
mod tasks;
mod templates;
#[cfg(feature = "testing")]
pub mod testing;
mod transaction;
mod uploads;
mod wakeups;
mod workers;

pub use access_keys::{hash_secret, secret_matches};
pub use callbacks::{
    claim::{CallbackClaim, ClaimRequest},
    due::DueQueue,
    list::CallbackFilter,
    record::AttemptRecord,
};
pub use caller::CallerContext;
pub use cipher::{Cipher, CipherError};
pub use drafts::{Draft, DraftObjects, DraftReservation, MainObjectPut};
pub use error::{Result, StoreError};
pub use idempotency::IdempotentAnswer;
pub use jobs::{Claim, QueueDepth};
pub use page::Page;
pub use quota::Quota;
pub use store::{Compose, Store, StoreOptions};
pub use task_lists::{TaskFilter, TaskPage};
pub use templates::StoredTemplate;
pub use wakeups::{TaskChanges, WokenQueues};
pub use workers::IdleReason;
