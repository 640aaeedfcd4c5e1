//! Access keys.

use model::{AccessKey, Secret};

use crate::{Result, Store};

/// The Argon2id hash of a secret, in PHC form. Takes tens of milliseconds of CPU.
pub fn hash_secret(_secret: &Secret) -> String {
    todo!()
}

/// Whether a secret is the one of this hash. Takes tens of milliseconds of CPU.
pub fn secret_matches(_secret: &Secret, _hash: &str) -> bool {
    todo!()
}

impl Store {
    /// Adds a key.
    pub async fn add_key(&self, _key: &AccessKey) -> Result<()> {
        todo!()
    }

    /// The key with this public half.
    pub async fn find_key(&self, _access_key: &str) -> Result<Option<AccessKey>> {
        todo!()
    }

    /// How many keys there are, of all tenants.
    pub async fn count_keys(&self) -> Result<u64> {
        todo!()
    }
}
