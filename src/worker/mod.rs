//! The worker: claims jobs, keeps their leases, and records what became of them.
//!
//! A claim has a lease and a fence. While the job runs the lease is renewed; whoever loses the fence
//! kills what it runs and writes nothing more. No transaction is open while work runs. The worker
//! imports jobs, never the reverse.

pub(crate) mod capacity;
mod presence;
pub(crate) mod reaper;
mod runner;

pub(crate) use presence::Presence;
pub(crate) use runner::Runner;
