//! Access keys: who may call. Of their secrets only Argon2id hashes are stored.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::{Output, ParamsString, PasswordHash, Salt, SaltString},
};
use model::{
    AccessKey, Role, Secret, TenantId, Timestamp,
    limits::{MAX_CONCURRENT_HASHES, MAX_TENANT_KEYS},
};
use rand::Rng as _;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, SqlErr,
};

use crate::{
    convert,
    entities::access_key,
    error::{Result, StoreError},
    quota::check_room,
    store::Store,
};

/// What secrets are hashed in: kept and used again, so that it is known how much there is. Memory that is
/// taken for each hash on whichever thread stays with all of these threads.
static HASH_MEMORY: [Mutex<Vec<Block>>; MAX_CONCURRENT_HASHES] =
    [const { Mutex::new(Vec::new()) }; MAX_CONCURRENT_HASHES];

/// The Argon2id hash of a secret, as a PHC string. Takes tens of milliseconds of CPU, and waits while others
/// are hashed.
pub fn hash_secret(secret: &Secret) -> String {
    let mut salt = [0; 16];
    rand::rng().fill_bytes(&mut salt);
    let salt = SaltString::encode_b64(&salt).expect("16 bytes are a valid salt");
    hash(secret, &params(), salt.as_salt()).expect("the parameters are within Argon2's limits").to_string()
}

/// Whether a secret is the one that was hashed; false for a text that is no PHC string. Takes tens of
/// milliseconds of CPU, and waits while others are hashed.
pub fn secret_matches(secret: &Secret, phc: &str) -> bool {
    let Ok(known) = PasswordHash::new(phc) else { return false };
    let (Ok(params), Some(salt)) = (Params::try_from(&known), known.salt) else { return false };
    // compared in constant time
    hash(secret, &params, salt)
        .is_ok_and(|hashed| hashed.algorithm == known.algorithm && hashed.hash == known.hash)
}

/// Argon2id with the least that OWASP's password storage cheat sheet asks for: 19 MiB, 2 passes, 1 lane.
fn params() -> Params {
    Params::new(19 * 1024, 2, 1, None).expect("within Argon2's limits")
}

/// Hashes a secret as [`argon2::PasswordHasher`] does, in memory that is used again.
fn hash<'a>(
    secret: &Secret,
    params: &Params,
    salt: Salt<'a>,
) -> argon2::password_hash::Result<PasswordHash<'a>> {
    let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
    let mut salt_buffer = [0; Salt::RECOMMENDED_LENGTH * 4];
    let salt_bytes = salt.decode_b64(&mut salt_buffer)?;
    let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    let hasher = Argon2::new(algorithm, version, params.clone());
    let output = Output::init_with(length, |output| {
        let mut memory = free_hash_memory();
        memory.resize(params.block_count(), Block::new());
        let hashed = hasher.hash_password_into_with_memory(
            secret.expose().as_bytes(),
            salt_bytes,
            output,
            &mut *memory,
        );
        Ok(hashed?)
    })?;
    Ok(PasswordHash {
        algorithm: algorithm.ident(),
        version: Some(version.into()),
        params: ParamsString::try_from(params)?,
        salt: Some(salt),
        hash: Some(output),
    })
}

/// Memory that nobody hashes in; waits while there is none.
fn free_hash_memory() -> MutexGuard<'static, Vec<Block>> {
    let free = HASH_MEMORY.iter().find_map(|memory| match memory.try_lock() {
        Ok(memory) => Some(memory),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    });
    free.unwrap_or_else(|| HASH_MEMORY[0].lock().unwrap_or_else(PoisonError::into_inner))
}

impl Store {
    /// Adds a key.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when there is one with this public half, or the tenant has as many as it may.
    pub async fn add_key(&self, key: &AccessKey) -> Result<()> {
        let row = access_key::ActiveModel {
            access_key: Set(key.access_key.clone()),
            tenant_id: Set(key.tenant.to_string()),
            role: Set(key.role.to_string()),
            secret_hash: Set(key.secret_hash.clone()),
            created: Set(key.created.as_millis()),
        };
        let tx = self.transaction().await?;
        let of_tenant = access_key::Entity::find().filter(owned_by(Some(&key.tenant)));
        check_room("access keys", of_tenant.count(&tx.db).await?, MAX_TENANT_KEYS)?;
        let inserted = access_key::Entity::insert(row).exec_without_returning(&tx.db).await;
        inserted.map_err(|error| match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => {
                StoreError::Conflict(format!("there is an access key `{}` already", key.access_key))
            }
            _ => error.into(),
        })?;
        tx.commit().await
    }

    /// The key with this public half.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_key(&self, access_key: &str) -> Result<Option<AccessKey>> {
        // no key has a NUL in it, and PostgreSQL refuses a parameter with one
        if access_key.contains('\0') {
            return Ok(None);
        }
        access_key::Entity::find_by_id(access_key).one(self.database()).await?.map(read).transpose()
    }

    /// The keys of one tenant, or of all of them, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keys(&self, tenant: Option<&TenantId>) -> Result<Vec<AccessKey>> {
        let rows = access_key::Entity::find()
            .filter(owned_by(tenant))
            .order_by_desc(access_key::Column::Created)
            .order_by_asc(access_key::Column::AccessKey)
            .all(self.database())
            .await?;
        rows.into_iter().map(read).collect()
    }

    /// Deletes a key of this tenant, or of any; the next call with it is refused.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none, [`StoreError::Conflict`] for the last key of an
    /// administrator of the tenant `main`, without which nobody could administer any more.
    pub async fn delete_key(&self, tenant: Option<&TenantId>, access_key: &str) -> Result<()> {
        let tx = self.transaction().await?;
        // all of these keys are locked, so that of the last two not both can be deleted at one moment
        let admin_keys = access_key::Entity::find()
            .filter(access_key::Column::Role.eq(Role::Admin.as_str()))
            .filter(access_key::Column::TenantId.eq(TenantId::main().as_str()))
            .order_by_asc(access_key::Column::AccessKey)
            .lock_exclusive()
            .all(&tx.db)
            .await?;
        let key = access_key::Entity::find_by_id(access_key).filter(owned_by(tenant)).one(&tx.db).await?;
        let key =
            key.ok_or_else(|| StoreError::NotFound(format!("there is no access key `{access_key}`")))?;
        if matches!(admin_keys.as_slice(), [last] if *last == key) {
            let problem = format!("`{access_key}` is the last administrator's key; make another first");
            return Err(StoreError::Conflict(problem));
        }
        access_key::Entity::delete_by_id(access_key).exec(&tx.db).await?;
        tx.commit().await
    }

    /// How many keys there are, of all tenants.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_keys(&self) -> Result<u64> {
        Ok(access_key::Entity::find().count(self.database()).await?)
    }
}

fn owned_by(tenant: Option<&TenantId>) -> Condition {
    Condition::all().add_option(tenant.map(|tenant| access_key::Column::TenantId.eq(tenant.as_str())))
}

fn read(row: access_key::Model) -> Result<AccessKey> {
    Ok(AccessKey {
        tenant: convert::parse("access_key.tenant_id", &row.tenant_id)?,
        role: convert::parse("access_key.role", &row.role)?,
        access_key: row.access_key,
        secret_hash: row.secret_hash,
        created: Timestamp::from_millis(row.created),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_knows_its_secret_and_no_other() {
        let secret = Secret::new("correct horse");
        let hash = hash_secret(&secret);
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, hash_secret(&secret), "the salt is new each time");
        assert!(secret_matches(&secret, &hash));
        assert!(!secret_matches(&Secret::new("battery staple"), &hash));
        assert!(!secret_matches(&secret, "correct horse"));
        // as the crate's own verifier has it, in both directions
        use argon2::{PasswordHasher as _, PasswordVerifier as _};
        let parsed = PasswordHash::new(&hash).expect("a PHC string");
        assert_eq!(Argon2::default().verify_password(b"correct horse", &parsed), Ok(()));
        let salt = SaltString::encode_b64(&[7; 16]).expect("a salt");
        let theirs = Argon2::default().hash_password(b"correct horse", &salt).expect("hashed").to_string();
        assert!(secret_matches(&secret, &theirs));
    }
}
