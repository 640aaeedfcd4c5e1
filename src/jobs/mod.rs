//! One file or folder for each job: a list of steps, each a call into a library.

pub(crate) mod context;
pub(crate) mod deliver_callback;
pub(crate) mod drafts;
pub(crate) mod lease;
pub(crate) mod periodic;
pub(crate) mod slot;
pub(crate) mod sweep;
pub(crate) mod transcode;
