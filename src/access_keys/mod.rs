//! New access keys, as the first start, the API and the command line make them.

pub(crate) mod bootstrap;

use model::{AccessKey, Role, Secret, TenantId, Timestamp};
use rand::Rng as _;

/// A key with random halves, and its secret, which is known only now. Takes tens of milliseconds of
/// CPU.
pub(crate) fn generate(tenant: TenantId, role: Role, now: Timestamp) -> (AccessKey, Secret) {
    let secret = Secret::new(random_text(40));
    (with_secret(random_text(20), &secret, tenant, role, now), secret)
}

/// A key with these halves.
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
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut random = rand::rng();
    (0..length).map(|_| char::from(LETTERS[(random.next_u32() % 32) as usize])).collect()
}
