//! One file for each job: a list of steps, each a call into a library.

pub(crate) mod deliver_callback;
pub(crate) mod drafts;
mod incoming;
mod outgoing;
mod put;
pub(crate) mod sweep;
pub(crate) mod transcode;
mod uploaded;
