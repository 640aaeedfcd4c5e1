//! Deliveries: due callbacks are claimed, and their attempts recorded, with a lease and a fence like
//! a job's, many in one transaction. Who lost the fence writes nothing more.
//!
//! A claim does not wait for the disk: after a power cut it is as if it had not been made, and what
//! it sent may be sent again, as with any attempt in flight. Records do wait.

mod claim;
mod ready;
mod record;
mod rows;

pub use claim::{CallbackClaim, Want};
pub use ready::Ready;
pub use record::Record;
