//! Callbacks: what receivers are owed, from the end of a task until they have it.
//!
//! A callback is owed exactly while `next_attempt` is set; its bytes never change; each attempt is
//! recorded. A sender claims due callbacks with a lease and a fence, as a worker claims a job, and records
//! their attempts, many in one transaction; whoever lost the fence writes nothing more.
//!
//! A claim does not wait for the disk: after a power cut it is as if it had not been made, and what
//! it sent may be sent again, as with any attempt in flight. Records do wait.

pub(crate) mod claim;
pub(crate) mod due;
mod json_rows;
pub(crate) mod list;
mod owe;
pub(crate) mod queue;
pub(crate) mod record;
mod redeliver;
pub(crate) mod release;
mod retention;
