//! The first administrator's key: given by the environment, or made and printed once.

use model::{AccessKey, Role, Secret, TenantId};
use store::StoreError;

use crate::{app::App, keys};

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
            let (key, secret) = keys::generate(TenantId::main(), Role::Admin, app.clock.now());
            add(app, &key).await?;
            println!("The first administrator's key, shown only now:");
            println!("  BOREALIS_ACCESS_KEY={}", key.access_key);
            println!("  BOREALIS_SECRET_KEY={}", secret.expose());
            Ok(())
        }
        _ => Ok(()),
    }
}

async fn given(app: &App, access_key: &str, secret: &Secret) -> Result<(), StoreError> {
    match app.store.find_key(access_key).await? {
        None if app.store.count_keys().await? == 0 => {
            let (name, now) = (access_key.to_owned(), app.clock.now());
            add(app, &keys::with_secret(name, secret, TenantId::main(), Role::Admin, now)).await
        }
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

async fn add(app: &App, key: &AccessKey) -> Result<(), StoreError> {
    match app.store.add_key(key).await {
        // another process that starts at the same moment was first
        Err(StoreError::Conflict(_)) => Ok(()),
        result => result,
    }
}
