//! Checks secret keys against their Argon2id hashes, and caches which checks succeeded.
//!
//! Argon2id is costly on purpose, so a success is good for a minute. The cache holds no secret: its key is
//! an HMAC over access key, secret and stored hash. The key itself is read from the database on every call,
//! so a deleted one is refused at once.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use hmac::{Hmac, Mac as _};
use model::{AccessKey, Secret};
use sha2::Sha256;
use store::Store;
use tokio::sync::Semaphore;

use super::error::ApiError;

/// For how long a check that succeeded is good.
const CACHE_TTL: Duration = Duration::from_secs(60);

/// Checks in the cache at most.
const MAX_CACHED_CHECKS: usize = 4096;

/// Argon2id checks that run at once: each takes tens of milliseconds of a core, and 19 MiB.
const MAX_CONCURRENT_CHECKS: usize = 2;

/// Checked in place of an unknown key's hash: otherwise the time of the answer would say which keys there
/// are.
static DECOY_HASH: LazyLock<String> = LazyLock::new(|| store::hash_secret(&Secret::new("of nobody")));

type CacheKey = [u8; 32];

/// The checks of this process.
pub(super) struct CredentialCache {
    /// Random, so that what is in the memory of one process says nothing to anyone else.
    hmac_key: [u8; 32],
    /// When each check succeeded.
    checked: Mutex<HashMap<CacheKey, Instant>>,
    slots: Semaphore,
}

impl CredentialCache {
    /// Without any check yet.
    pub(super) fn new() -> Self {
        Self {
            hmac_key: rand::random(),
            checked: Mutex::default(),
            slots: Semaphore::new(MAX_CONCURRENT_CHECKS),
        }
    }

    /// The access key; none when it is unknown or the secret is not its own.
    pub(super) async fn check(
        &self,
        store: &Store,
        access_key: &str,
        secret: Secret,
    ) -> Result<Option<AccessKey>, ApiError> {
        let Some(key) = store.find_key(access_key).await? else {
            self.verify(secret, None).await?;
            return Ok(None);
        };
        let cache_key = self.cache_key(&key, &secret);
        if self.is_cached(&cache_key) {
            return Ok(Some(key));
        }
        if !self.verify(secret, Some(key.secret_hash.clone())).await? {
            return Ok(None);
        }
        self.insert(cache_key);
        Ok(Some(key))
    }

    /// The hash is part of it: after the secret was changed, no earlier check is found.
    fn cache_key(&self, key: &AccessKey, secret: &Secret) -> CacheKey {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.hmac_key).expect("HMAC takes keys of any length");
        for part in [key.access_key.as_str(), secret.expose(), key.secret_hash.as_str()] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }

    /// Whether the secret is the one that was hashed; never without a hash.
    async fn verify(&self, secret: Secret, hash: Option<String>) -> Result<bool, ApiError> {
        let _slot = self.slots.acquire().await.map_err(ApiError::internal)?;
        tokio::task::spawn_blocking(move || {
            store::secret_matches(&secret, hash.as_deref().unwrap_or(&DECOY_HASH))
        })
        .await
        .map_err(ApiError::internal)
    }

    fn is_cached(&self, cache_key: &CacheKey) -> bool {
        let checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        checked.get(cache_key).is_some_and(|since| since.elapsed() < CACHE_TTL)
    }

    fn insert(&self, cache_key: CacheKey) {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if checked.len() >= MAX_CACHED_CHECKS {
            checked.retain(|_, since| since.elapsed() < CACHE_TTL);
            if checked.len() >= MAX_CACHED_CHECKS {
                checked.clear();
            }
        }
        checked.insert(cache_key, Instant::now());
    }
}
