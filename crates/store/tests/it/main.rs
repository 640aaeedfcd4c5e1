//! The store on both databases.

mod batches;
mod callbacks;
mod customers;
mod jobs;
mod lists;
mod protocol;
mod tasks;
mod undone;
mod wakeups;
mod world;
