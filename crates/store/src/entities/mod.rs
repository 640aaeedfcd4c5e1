//! The rows of tables, one file for each table. Times are milliseconds since the epoch.

#![expect(unreachable_pub, reason = "the derive macros make public items and ask for public rows")]

pub(crate) mod access_key;
pub(crate) mod answer;
pub(crate) mod attempt;
pub(crate) mod batch;
pub(crate) mod callback;
pub(crate) mod callback_task;
pub(crate) mod draft;
pub(crate) mod folder;
pub(crate) mod job;
pub(crate) mod storage;
pub(crate) mod task;
pub(crate) mod task_change;
pub(crate) mod template;
pub(crate) mod tenant;
pub(crate) mod upload;
pub(crate) mod worker;
