//! Whether a bucket can be used: everything that tasks do with one is tried with a small object.

use bytes::Bytes;
use model::ErrorCode;
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

/// A step, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepOutcome {
    /// The step.
    pub step: CheckStep,
    /// None: it was not tried, since it needs an earlier step that failed.
    pub result: Option<Result<(), StorageError>>,
}

impl Bucket {
    /// Lists below `prefix`, which ends in a slash or is empty, and writes, reads back and deletes an object
    /// there. Each step is tried that can be, so that all missing permissions show.
    pub async fn check(&self, prefix: &str) -> Vec<StepOutcome> {
        let key = format!("{prefix}borealis-check-{:016x}.txt", rand::rng().random::<u64>());
        let text = Bytes::from(format!("Borealis checks that it can write here: {key}\n"));
        let listed = self.list_first(&key, 1).await.map(|_| ());
        let written = self.put_bytes(&key, text.clone()).await;
        let (mut read, mut deleted) = (None, None);
        if written.is_ok() {
            read = Some(self.read_back(&key, &text).await);
            deleted = Some(self.delete(&key).await);
        }
        vec![
            StepOutcome { step: CheckStep::List, result: Some(listed) },
            StepOutcome { step: CheckStep::Write, result: Some(written) },
            StepOutcome { step: CheckStep::Read, result: read },
            StepOutcome { step: CheckStep::Delete, result: deleted },
        ]
    }

    async fn read_back(&self, key: &str, written: &[u8]) -> Result<(), StorageError> {
        if self.read(key).await? == written {
            return Ok(());
        }
        let detail = format!("{}: holds something else than was just written", self.uri(key));
        Err(StorageError::permanent(ErrorCode::OutputRefused, detail))
    }
}
