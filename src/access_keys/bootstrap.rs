//! The first administrator's key: taken from the environment, or made and printed once.
//!
//! A key that is made is stored only after it was printed: nobody could use one that nobody saw.

use std::io::{self, Write as _};

use model::{AccessKey, Role, Secret, TenantId};
use rustix::fs::{FileType, Stat, major, minor};
use store::StoreError;

use crate::{access_keys, app::App};

/// Stores the first key when there is none yet. Once there are keys, the environment changes nothing: a
/// key or a secret that differs from what is stored only warns.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn ensure(app: &App) -> Result<(), StoreError> {
    let keys = &app.settings.keys;
    match (&keys.access_key, &keys.secret_key) {
        (Some(access_key), Some(secret)) => store_configured(app, access_key, secret).await,
        _ if app.store.count_keys().await? == 0 => {
            let (key, secret) = access_keys::generate(TenantId::main(), Role::Admin, app.clock.now());
            match print(&key.access_key, &secret) {
                Ok(()) => add(app, &key).await,
                Err(error) => {
                    tracing::warn!(
                        %error,
                        "the first administrator's key could not be printed and was not made: there is no key yet; \
                         `borealis key create --role admin` with the settings of this server makes one"
                    );
                    Ok(())
                }
            }
        }
        _ => Ok(()),
    }
}

fn print(access_key: &str, secret: &Secret) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if is_dev_null(&rustix::fs::fstat(&out)?) {
        return Err(io::Error::other("the standard output is closed"));
    }
    let secret = secret.expose();
    writeln!(out, "The first administrator's key, shown only now:")?;
    writeln!(out, "  BOREALIS_ACCESS_KEY={access_key}\n  BOREALIS_SECRET_KEY={secret}")?;
    out.flush()
}

/// Whether it is `/dev/null` (null(4)), which is also what Rust's runtime opens in place of a standard
/// output that was closed when the program started.
fn is_dev_null(out: &Stat) -> bool {
    FileType::from_raw_mode(out.st_mode) == FileType::CharacterDevice
        && (major(out.st_rdev), minor(out.st_rdev)) == (1, 3)
}

async fn store_configured(app: &App, access_key: &str, secret: &Secret) -> Result<(), StoreError> {
    match app.store.find_key(access_key).await? {
        None if app.store.count_keys().await? == 0 => {
            let (name, now) = (access_key.to_owned(), app.clock.now());
            add(app, &access_keys::with_secret(name, secret, TenantId::main(), Role::Admin, now)).await
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
