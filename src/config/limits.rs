//! `[limits]`: how much each key may do; 0 is without limit.

use serde::{Deserialize, Serialize};
use store::Quota;

use super::value;

/// How much each key may do.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct LimitSettings {
    /// Requests a second, counted by each process.
    #[serde(deserialize_with = "value::number")]
    pub requests_per_second: u32,
    /// Tasks that a worker has.
    #[serde(deserialize_with = "value::number")]
    pub running_tasks: u64,
    /// Tasks that wait.
    #[serde(deserialize_with = "value::number")]
    pub queued_tasks: u64,
    /// Bytes of the uploads of a tenant, which makes its keys itself.
    #[serde(with = "value::size")]
    pub upload_bytes: u64,
}

impl LimitSettings {
    /// How many bytes the uploads of a tenant may have together; none: without limit.
    pub(crate) fn upload_quota(&self) -> Option<u64> {
        (self.upload_bytes > 0).then_some(self.upload_bytes)
    }

    /// How many tasks a key may have.
    pub(crate) fn quota(&self) -> Quota {
        let limit = |number: u64| (number > 0).then_some(number);
        Quota { running: limit(self.running_tasks), queued: limit(self.queued_tasks) }
    }
}
