//! Whether a bucket can be used: everything that tasks do with one is tried with a small object.

use bytes::Bytes;
use rand::RngExt as _;

use crate::{Bucket, StorageError};

/// What is tried, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckStep {
    /// Lists objects below the prefix.
    List,
    /// Writes an object.
    Write,
    /// Reads it back.
    Read,
    /// Deletes it.
    Delete,
}

impl CheckStep {
    /// Its word: `list`, `write`, `read`, `delete`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Write => "write",
            Self::Read => "read",
            Self::Delete => "delete",
        }
    }
}

/// What came of a step; none: it was not tried, since an earlier one failed that it needs.
pub type Checked = (CheckStep, Option<Result<(), StorageError>>);

impl Bucket {
    /// Lists below `prefix`, which ends in a slash or is empty, and writes, reads back and deletes
    /// an object there. Each step is tried that can be, so that all missing permissions show.
    pub async fn check(&self, prefix: &str) -> Vec<Checked> {
        let key = format!("{prefix}borealis-check-{:016x}.txt", rand::rng().random::<u64>());
        let text = Bytes::from(format!("Borealis checks that it can write here: {key}\n"));
        let listed = self.list_some(&key, 1).await.map(|_| ());
        let written = self.put_bytes(&key, text.clone()).await;
        let (mut read, mut deleted) = (None, None);
        if written.is_ok() {
            read = Some(self.read(&key).await.and_then(|found| self.compare(&key, &found, &text)));
            deleted = Some(self.delete(&key).await);
        }
        vec![
            (CheckStep::List, Some(listed)),
            (CheckStep::Write, Some(written)),
            (CheckStep::Read, read),
            (CheckStep::Delete, deleted),
        ]
    }
}
