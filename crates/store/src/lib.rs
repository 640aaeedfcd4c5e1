//! The database: what is kept, and what happens together.
//!
//! Cast: a task has a job while it is unfinished; a worker claims the job with a lease and a fence;
//! the task's end deletes the job and leaves a callback that is owed; every attempt to deliver the
//! callback is kept. What always holds:
//! - a change and what must follow from it are one transaction, and a decision is read inside the
//!   transaction that acts on it;
//! - whoever lost the fence writes nothing more: each write of a claim's holder checks it;
//! - everything belongs to a tenant, and another tenant's id is [`StoreError::NotFound`].

mod batches;
mod begin;
mod behalf;
mod callbacks;
mod cipher;
mod column;
mod counts;
mod deliveries;
mod drafts;
mod entities;
mod error;
mod fair_share;
mod jobs;
mod keys;
mod lists;
mod migrations;
mod open;
mod receiver;
mod replay;
mod retention;
mod storages;
mod tasks;
mod templates;
#[cfg(feature = "testing")]
pub mod testing;
mod uploads;
mod wakeups;
mod workers;

pub use behalf::{Behalf, Once, Quota};
pub use callbacks::CallbackFilter;
pub use cipher::{Cipher, CipherError};
pub use deliveries::{CallbackClaim, Ready, Record, Want};
pub use drafts::{Draft, Reserved};
pub use error::{Result, StoreError};
pub use jobs::{Claim, QueueDepth};
pub use keys::{hash_secret, secret_matches};
pub use lists::{TaskFilter, TaskPage};
pub use open::{Compose, Store, StoreOptions};
pub use templates::StoredTemplate;
pub use wakeups::TaskChanges;

/// The piece of a list that is wanted, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many to skip.
    pub offset: u64,
    /// How many to give at most.
    pub limit: u64,
}
