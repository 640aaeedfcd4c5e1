//! The store on both databases.

mod batches;
mod callbacks;
mod customers;
mod jobs;
mod protocol;
mod tasks;
mod wakeups;
mod world;
