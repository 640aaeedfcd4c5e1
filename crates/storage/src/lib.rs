//! Objects: what a task reads and what it leaves in the customer's bucket.
//!
//! A [`Bucket`] is opened from a [`model::Storage`] and puts, reads, lists and deletes by key. What differs
//! between kinds of object store lies in `backend/<one>.rs`; everything else is written once, and one
//! contract test runs over all of them. An object is there whole or not at all, and bytes are streamed:
//! memory does not grow with size.

mod backend;
mod backoff;
mod bucket;
mod check;
mod error;
pub mod fetch;
mod key;
mod storages;
#[cfg(feature = "testing")]
pub mod testing;
mod transport;

pub use bucket::{Bucket, ObjectVersion};
pub use check::{CheckStep, StepOutcome};
pub use error::StorageError;
pub use key::{cache_control, check_folder_name, check_prefix, content_type};
pub use storages::Storages;
pub use transport::{RetryBudget, WaitReporter, WriteGuard};
