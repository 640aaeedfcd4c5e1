//! The store on both databases.

mod access_keys;
mod batches;
mod callbacks;
mod claimed_bytes;
mod clock;
mod drafts;
mod idempotency;
mod jobs;
mod lists;
mod opening;
mod protocol;
mod quota;
mod rollback;
mod shown_attempts;
mod storages;
mod tasks;
mod templates;
mod uploads;
mod wakeups;
mod workers;
mod world;
