//! Checks secret keys against their Argon2id hashes, and remembers which checks succeeded.
//!
//! Argon2id is costly on purpose, so a success is remembered while it is used. The cache holds no secret: its
//! key is an HMAC over access key, secret and stored hash. The key itself is read from the database on every
//! call, so a deleted one is refused at once.
//!
//! Whoever guesses holds up nobody else: wrong sign-ins are limited by address, names that no key has are
//! checked apart from those of keys, and keys take turns.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hmac::{Hmac, Mac as _};
use model::{AccessKey, ErrorCode, Secret};
use sha2::Sha256;
use store::Store;

use super::{error::ApiError, shares::Shares, sign_in_failures::SignInFailures, turns::Turns};

/// For how long a check that succeeded is good after its last use.
const CACHE_TTL: Duration = Duration::from_secs(60 * 60);

/// Checks in the cache at most.
const MAX_CACHED_CHECKS: usize = 4096;

/// Checks of names that no key has that are made or wait at once.
const MAX_DECOY_CHECKS: usize = 16;

/// How long a refusal without a check takes, about as long as a check: otherwise the time of the answer would
/// say which keys there are.
const REFUSAL_DELAY: Duration = Duration::from_millis(40);

/// Checked in place of an unknown key's hash, for the same reason.
static DECOY_HASH: LazyLock<String> = LazyLock::new(|| store::hash_secret(&Secret::new("of nobody")));

type CacheKey = [u8; 32];

/// The checks of this process.
pub(super) struct CredentialCache {
    /// Random, so that what is in the memory of one process says nothing to anyone else.
    hmac_key: [u8; 32],
    /// When each check that succeeded was last used.
    used: Mutex<HashMap<CacheKey, Instant>>,
    failures: SignInFailures,
    /// Checks of keys are made one at a time, and of each key one is in the queue.
    key_turns: Turns<String>,
    /// So are those of names that no key has, of which a few are in the queue.
    decoy_turns: Turns<()>,
    decoys: Shares<()>,
}

impl CredentialCache {
    /// Without any check yet.
    pub(super) fn new() -> Self {
        Self {
            hmac_key: rand::random(),
            used: Mutex::default(),
            failures: SignInFailures::default(),
            key_turns: Turns::new(1, 1),
            decoy_turns: Turns::new(1, 1),
            decoys: Shares::new(MAX_DECOY_CHECKS, MAX_DECOY_CHECKS),
        }
    }

    /// The access key, when the secret is its own.
    ///
    /// # Errors
    /// 1002 when there is no such key or the secret is another; 1007 when there were too many of these from
    /// the address.
    pub(super) async fn check(
        &self,
        store: &Store,
        access_key: &str,
        secret: Secret,
        address: Option<IpAddr>,
    ) -> Result<AccessKey, ApiError> {
        let Some(key) = store.find_key(access_key).await? else {
            return Err(self.refuse_unknown(secret, address).await);
        };
        let cache_key = self.cache_key(&key, &secret);
        if self.is_cached(&cache_key) {
            return Ok(key);
        }
        if self.failures.are_too_many(address, access_key) {
            return Err(refuse_unchecked().await);
        }
        let _turn = self.key_turns.wait(&key.access_key).await;
        // other calls may have been checked meanwhile
        if self.is_cached(&cache_key) {
            return Ok(key);
        }
        if self.failures.are_too_many(address, access_key) {
            return Err(refuse_unchecked().await);
        }
        if !matches(secret, Some(key.secret_hash.clone())).await? {
            self.failures.count(address, access_key);
            return Err(self.refusal(address));
        }
        self.insert(cache_key);
        Ok(key)
    }

    /// Refuses a name that no key has, as if it were a key.
    async fn refuse_unknown(&self, secret: Secret, address: Option<IpAddr>) -> ApiError {
        if self.failures.are_too_many(address, "") {
            return refuse_unchecked().await;
        }
        let Ok(_share) = self.decoys.acquire(&()) else {
            self.failures.count(address, "");
            return refuse_unchecked().await;
        };
        let _turn = self.decoy_turns.wait(&()).await;
        match matches(secret, None).await {
            Ok(_) => {
                self.failures.count(address, "");
                self.refusal(address)
            }
            Err(error) => error,
        }
    }

    /// One refusal for unknown keys and wrong secrets, so that nobody learns which keys there are.
    fn refusal(&self, address: Option<IpAddr>) -> ApiError {
        if self.failures.are_too_many(address, "") {
            return too_many();
        }
        ApiError::new(ErrorCode::AuthFail, "the access key or the secret key is wrong")
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

    /// Whether a check succeeded before; it is good for longer then.
    fn is_cached(&self, cache_key: &CacheKey) -> bool {
        match self.lock_used().get_mut(cache_key) {
            Some(used) if used.elapsed() < CACHE_TTL => {
                *used = Instant::now();
                true
            }
            _ => false,
        }
    }

    fn insert(&self, cache_key: CacheKey) {
        let mut used = self.lock_used();
        if used.len() >= MAX_CACHED_CHECKS
            && let Some(oldest) = used.iter().min_by_key(|(_, used)| **used).map(|(cache_key, _)| *cache_key)
        {
            used.remove(&oldest);
        }
        used.insert(cache_key, Instant::now());
    }

    fn lock_used(&self) -> MutexGuard<'_, HashMap<CacheKey, Instant>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the secret is the one that was hashed; never without a hash.
async fn matches(secret: Secret, hash: Option<String>) -> Result<bool, ApiError> {
    let check = move || store::secret_matches(&secret, hash.as_deref().unwrap_or(&DECOY_HASH));
    tokio::task::spawn_blocking(check).await.map_err(ApiError::internal)
}

async fn refuse_unchecked() -> ApiError {
    tokio::time::sleep(REFUSAL_DELAY).await;
    too_many()
}

fn too_many() -> ApiError {
    let problem = "too many sign-ins with a wrong key came from your address; wait a little";
    ApiError::rate_limited(problem, SignInFailures::INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_full_cache_the_one_that_was_not_used_for_longest_goes() {
        let cache = CredentialCache::new();
        let cache_key = |number: usize| {
            let mut cache_key = [0; 32];
            cache_key[..8].copy_from_slice(&number.to_be_bytes());
            cache_key
        };
        for number in 0..MAX_CACHED_CHECKS {
            cache.insert(cache_key(number));
        }
        assert!(cache.is_cached(&cache_key(0)), "used again");
        cache.insert(cache_key(MAX_CACHED_CHECKS));
        assert_eq!(cache.lock_used().len(), MAX_CACHED_CHECKS);
        assert!(cache.is_cached(&cache_key(0)) && !cache.is_cached(&cache_key(1)));
    }
}
