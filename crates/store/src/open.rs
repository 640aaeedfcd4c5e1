//! Opening the database.

use std::sync::Arc;

use model::{Clock, Storage, Task};
use tokio::sync::Notify;

use crate::{Cipher, Result};

/// Writes a callback's body from its storage and its tasks as they ended. The store keeps the
/// bytes and knows nothing of what is in them.
pub type Compose = fn(&Storage, &[Task]) -> Vec<u8>;

/// What a store needs.
pub struct StoreOptions {
    /// `sqlite://path?mode=rwc` or `postgres://…`.
    pub url: String,
    /// Seals the secrets at rest.
    pub cipher: Cipher,
    /// Where "now" comes from.
    pub clock: Arc<dyn Clock>,
    /// Writes the body of a callback.
    pub compose: Compose,
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store {}

impl Store {
    /// Connects, brings the schema up to date and, on PostgreSQL, listens for wake-ups.
    pub async fn open(_options: StoreOptions) -> Result<Self> {
        todo!()
    }

    /// Asks the database for a sign of life.
    pub async fn ping(&self) -> Result<()> {
        todo!()
    }

    /// Woken when a job becomes claimable.
    pub fn jobs_ready(&self) -> &Notify {
        todo!()
    }

    /// Woken when a callback becomes due.
    pub fn callbacks_due(&self) -> &Notify {
        todo!()
    }
}
