//! The first administrator's key: given by the environment, or made and printed once. It is kept only after it was
//! printed: a key that nobody saw would be one that nobody has.

use std::io::{self, Write as _};

use model::{AccessKey, Role, Secret, TenantId};
use rustix::fs::{FileType, Stat, major, minor};
use store::StoreError;

use crate::{access_keys, app::App};

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
    if goes_nowhere(&rustix::fs::fstat(&out)?) {
        return Err(io::Error::other("the standard output is closed"));
    }
    let secret = secret.expose();
    writeln!(out, "The first administrator's key, shown only now:")?;
    writeln!(out, "  BOREALIS_ACCESS_KEY={access_key}\n  BOREALIS_SECRET_KEY={secret}")?;
    out.flush()
}

/// Whether it is `/dev/null` (null(4)), which also is in the place of one that was closed when the program started.
fn goes_nowhere(out: &Stat) -> bool {
    FileType::from_raw_mode(out.st_mode) == FileType::CharacterDevice
        && (major(out.st_rdev), minor(out.st_rdev)) == (1, 3)
}

async fn given(app: &App, access_key: &str, secret: &Secret) -> Result<(), StoreError> {
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
