//! The store on both databases.

mod batches;
mod callbacks;
mod customers;
mod drafts;
mod idempotency;
mod jobs;
mod lists;
mod protocol;
mod tasks;
mod undone;
mod uploads;
mod wakeups;
mod world;
