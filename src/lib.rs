//! Borealis: self-hosted video-on-demand transcoding that speaks the AuroraCloud VOD API.
//!
//! # How a task flows
//!
//! 1. `POST create_task` arrives in [`api`]: the body becomes a `model::TaskSpec`, and
//!    `Store::create_task` writes the task and its job in one transaction. The answer is the
//!    envelope with the `task_id`.
//! 2. `worker::Runner` claims the job with a lease and a fence, and runs `jobs::transcode`, which
//!    reads as a list of steps: fetch, probe, plan, run, verify, publish. Beside it a heartbeat renews
//!    the lease and writes progress; a worker that lost the fence writes nothing more.
//! 3. `Store::finish_task` writes the end of the task **and** the callback that is now owed, in one
//!    transaction, only if the fence still holds.
//! 4. `jobs::deliver_callback` claims what is due, sends it, records the attempt, and says when the
//!    next one is due.
//!
//! Whatever is killed when, one of these rows says what is still to be done: an unfinished task has
//! a job, an ended one has told its receiver or has a callback that is owed.

mod access_keys;
pub mod api;
pub mod app;
pub mod cli;
pub mod config;
mod data_folder;
mod input_storage;
mod jobs;
mod signed_links;
pub mod telemetry;
mod uploads;
mod worker;
