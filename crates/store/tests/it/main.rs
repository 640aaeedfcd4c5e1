//! The store on both databases.

mod callbacks;
mod customers;
mod jobs;
mod protocol;
mod tasks;
mod wakeups;
mod world;
