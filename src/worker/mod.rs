//! The worker: claims jobs, keeps their leases, and says what became of them.
//!
//! A claim has a lease and a fence. While the job runs the lease is renewed; whoever loses the fence
//! kills what it runs and writes nothing more. No transaction is open while work runs.

mod capacity;
mod presence;
mod runner;

pub(crate) use presence::Presence;
pub(crate) use runner::Runner;
