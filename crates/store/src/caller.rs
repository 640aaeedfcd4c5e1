//! The caller that a write is made for: whose quota its tasks count against, and the answer that is
//! stored with the write for when the call is repeated.

use std::sync::Arc;

use crate::{idempotency::IdempotentAnswer, quota::Quota, store::Store};

/// The caller, as far as it matters to what is written.
#[derive(Clone, Debug)]
pub struct CallerContext {
    /// The access key that new tasks count against.
    pub access_key: String,
    /// How many unfinished tasks that key may have.
    pub quota: Quota,
    /// The answer to store with the write, when the call has an idempotency key.
    pub idempotent_answer: Option<IdempotentAnswer>,
}

impl Store {
    /// The same store, writing for this caller.
    #[must_use]
    pub fn for_caller(&self, caller: CallerContext) -> Self {
        let mut store = self.clone();
        store.caller = Some(Arc::new(caller));
        store
    }

    /// The access key that new tasks count against; none when nobody called.
    pub(crate) fn caller_access_key(&self) -> Option<String> {
        self.caller.as_ref().map(|caller| caller.access_key.clone())
    }
}
