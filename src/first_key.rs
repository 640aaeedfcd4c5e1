//! The first administrator's key: given by the environment, or made and printed once.

use model::{AccessKey, Role, Secret, TenantId};
use rand::Rng as _;
use store::StoreError;

use crate::app::App;

/// Makes the first key when there is none yet. A configured secret that differs from the one that
/// is known changes nothing and warns.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn ensure(app: &App) -> Result<(), StoreError> {
    let keys = &app.settings.keys;
    match (&keys.access_key, &keys.secret_key) {
        (Some(access_key), Some(secret)) => given(app, access_key, secret).await,
        _ if app.store.count_keys().await? == 0 => {
            let access_key = random_text(20);
            let secret = Secret::new(random_text(40));
            add(app, &access_key, &secret).await?;
            println!("The first administrator's key, shown only now:");
            println!("  BOREALIS_ACCESS_KEY={access_key}");
            println!("  BOREALIS_SECRET_KEY={}", secret.expose());
            Ok(())
        }
        _ => Ok(()),
    }
}

async fn given(app: &App, access_key: &str, secret: &Secret) -> Result<(), StoreError> {
    match app.store.find_key(access_key).await? {
        None if app.store.count_keys().await? == 0 => add(app, access_key, secret).await,
        None => {
            tracing::warn!(
                access_key,
                "BOREALIS_ACCESS_KEY is not among the keys; it only makes the first one"
            );
            Ok(())
        }
        Some(known) if store::secret_matches(secret, &known.secret_hash) => Ok(()),
        Some(_) => {
            tracing::warn!(access_key, "BOREALIS_SECRET_KEY is not this key's secret; the stored one stays");
            Ok(())
        }
    }
}

async fn add(app: &App, access_key: &str, secret: &Secret) -> Result<(), StoreError> {
    let key = AccessKey {
        access_key: access_key.to_owned(),
        tenant: TenantId::main(),
        role: Role::Admin,
        secret_hash: store::hash_secret(secret),
        created: app.clock.now(),
    };
    match app.store.add_key(&key).await {
        // another process that starts at the same moment was first
        Err(StoreError::Conflict(_)) => Ok(()),
        result => result,
    }
}

fn random_text(length: usize) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut random = rand::rng();
    (0..length).map(|_| char::from(LETTERS[(random.next_u32() % 32) as usize])).collect()
}
