//! New access keys, as the first start, the API and the command line make them.
//!
//! A secret is known only when it is made: what is stored is its Argon2id hash.

pub(crate) mod bootstrap;

use model::{AccessKey, Role, Secret, TenantId, Timestamp};
use rand::Rng as _;

/// Letters of an access key that is generated.
const ACCESS_KEY_LEN: usize = 20;

/// Letters of a secret that is generated, of 5 bits each.
const SECRET_LEN: usize = 40;

/// A new key, and its secret. Hashing takes tens of milliseconds of CPU.
pub(crate) fn generate(tenant: TenantId, role: Role, now: Timestamp) -> (AccessKey, Secret) {
    let secret = Secret::new(random_text(SECRET_LEN));
    (with_secret(random_text(ACCESS_KEY_LEN), &secret, tenant, role, now), secret)
}

/// A new key with this name and this secret. Hashing takes tens of milliseconds of CPU.
pub(crate) fn with_secret(
    access_key: String,
    secret: &Secret,
    tenant: TenantId,
    role: Role,
    now: Timestamp,
) -> AccessKey {
    AccessKey { access_key, tenant, role, secret_hash: store::hash_secret(secret), created: now }
}

fn random_text(length: usize) -> String {
    // 32 of them, so that each is as likely; without `l`, `o`, `0` and `1`, which look like others
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut random = rand::rng();
    (0..length).map(|_| char::from(LETTERS[(random.next_u32() % 32) as usize])).collect()
}
