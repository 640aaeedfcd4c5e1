//! Who calls: HTTP Basic with access key and secret key, and what the key may do.
//!
//! The header `auth-type` of AuroraCloud's clients is not needed and not looked at. The key is read
//! from the database on every call, so a revoked one is refused at once; only the costly Argon2
//! check is remembered, under a keyed digest that holds no secret.

use std::{
    collections::HashMap,
    ops::Deref,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hmac::{Hmac, Mac as _};
use model::{AccessKey, ErrorCode, Role, Secret, TenantId};
use serde::Serialize;
use sha2::Sha256;
use store::{CallerContext, IdempotentAnswer, Store};
use tokio::sync::Semaphore;

use super::{envelope::Answer, error::ApiError, idempotency::CallName};
use crate::app::App;

/// A key that signed in, of any role: it may look.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// Whose things it sees.
    pub(super) tenant: TenantId,
    /// The public half of the key.
    pub(super) access_key: String,
    role: Role,
}

/// A key that may change things.
#[derive(Clone, Debug)]
pub(super) struct Editor {
    caller: Caller,
    /// The name that the client gave this call.
    call: Option<CallName>,
}

impl Deref for Editor {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl Editor {
    /// The store, for what counts for this key.
    pub(super) fn store(&self, app: &App) -> Store {
        self.for_caller(app, None)
    }

    /// The store, for a call that creates something: in the same transaction it keeps the answer,
    /// to be given again to the same call.
    pub(super) fn answering<T: Serialize>(&self, app: &App, answer: &Answer<T>) -> Result<Store, ApiError> {
        let Some(call) = &self.call else { return Ok(self.store(app)) };
        let answer = serde_json::to_string(answer).map_err(ApiError::internal)?;
        let idempotent_answer = IdempotentAnswer {
            tenant: self.tenant.clone(),
            key: call.name.clone(),
            digest: call.digest.clone(),
            answer: Secret::new(answer),
        };
        Ok(self.for_caller(app, Some(idempotent_answer)))
    }

    fn for_caller(&self, app: &App, idempotent_answer: Option<IdempotentAnswer>) -> Store {
        let (access_key, quota) = (self.access_key.clone(), app.settings.limits.quota());
        app.store.for_caller(CallerContext { access_key, quota, idempotent_answer })
    }
}

/// A key that may make and delete keys.
#[derive(Clone, Debug)]
pub(super) struct Admin(Editor);

impl Deref for Admin {
    type Target = Editor;

    fn deref(&self) -> &Editor {
        &self.0
    }
}

impl Admin {
    /// The one tenant whose keys it has in hand; none: all, which is for those of the first tenant.
    pub(super) fn tenant_in_hand(&self) -> Option<&TenantId> {
        Some(&self.tenant).filter(|tenant| **tenant != TenantId::main())
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(caller.clone());
        }
        let (access_key, secret) = credentials(&parts.headers)?;
        let key = app.sign_ins.check(&app.store, &access_key, secret).await?;
        tracing::Span::current().record("access_key", access_key.as_str());
        app.throttle.admit(&access_key)?;
        let caller = Self { tenant: key.tenant, access_key, role: key.role };
        parts.extensions.insert(caller.clone());
        Ok(caller)
    }
}

impl FromRequestParts<Arc<App>> for Editor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, app).await?;
        match caller.role {
            Role::Admin | Role::Member => Ok(Self { caller, call: parts.extensions.get().cloned() }),
            Role::Read => Err(ApiError::new(
                ErrorCode::Forbidden,
                "the key has the role `read`, which may look but not change anything",
            )),
        }
    }
}

impl FromRequestParts<Arc<App>> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let editor = Editor::from_request_parts(parts, app).await?;
        match editor.role {
            Role::Admin => Ok(Self(editor)),
            Role::Member | Role::Read => Err(ApiError::new(
                ErrorCode::Forbidden,
                "the key is no administrator's; only those see, make and delete keys",
            )),
        }
    }
}

/// Padding is not insisted on: some clients leave it out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The two halves of HTTP Basic (RFC 7617).
fn credentials(headers: &HeaderMap) -> Result<(String, Secret), ApiError> {
    let refused = |detail: &'static str| ApiError::new(ErrorCode::AuthFail, detail);
    let value = headers.get(header::AUTHORIZATION).ok_or_else(|| {
        refused("there is no Authorization header; give `Basic` with access key and secret key")
    })?;
    let text = value.to_str().ok().map(str::trim).unwrap_or_default();
    let encoded = text
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
        .map(|(_, encoded)| encoded.trim())
        .ok_or_else(|| refused("the Authorization header is not `Basic` with access key and secret key"))?;
    let halves = BASE64.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let halves = halves.as_deref().and_then(|text| text.split_once(':'));
    let (access_key, secret) = halves
        .ok_or_else(|| refused("the Authorization header does not hold base64 of `access_key:secret_key`"))?;
    if access_key.contains('\0') {
        return Err(wrong_key());
    }
    Ok((access_key.to_owned(), Secret::new(secret)))
}

/// One answer for unknown keys and wrong secrets, so that nobody learns which keys there are.
fn wrong_key() -> ApiError {
    ApiError::new(ErrorCode::AuthFail, "the access key or the secret key is wrong")
}

/// For how long a check that succeeded is remembered.
const REMEMBERED: Duration = Duration::from_secs(60);

/// How many checks are remembered at most.
const MOST: usize = 4096;

/// How many checks run at once: each takes tens of milliseconds of a core, and 19 MiB.
const AT_ONCE: usize = 2;

type Digest = [u8; 32];

/// The checks of secrets.
pub(crate) struct SignIns {
    /// Of this process alone, so that digests say nothing to anyone else.
    digest_key: Digest,
    remembered: Mutex<HashMap<Digest, Instant>>,
    room: Semaphore,
}

/// Checked for unknown keys, which then take as long as known ones.
static DECOY: LazyLock<String> = LazyLock::new(|| store::hash_secret(&Secret::new("of nobody")));

impl SignIns {
    /// Remembers nothing yet.
    pub(crate) fn new() -> Self {
        Self { digest_key: rand::random(), remembered: Mutex::default(), room: Semaphore::new(AT_ONCE) }
    }

    /// The key, when the secret is its own.
    async fn check(&self, store: &Store, access_key: &str, secret: Secret) -> Result<AccessKey, ApiError> {
        let key = store.find_key(access_key).await?;
        let hash = key.as_ref().map(|key| key.secret_hash.clone());
        let digest = self.digest(access_key, &secret, hash.as_deref().unwrap_or_default());
        let remembered = self.remembers(&digest);
        if !remembered && !self.matches(secret, hash).await? {
            return Err(wrong_key());
        }
        let key = key.ok_or_else(wrong_key)?;
        if !remembered {
            self.remember(digest);
        }
        Ok(key)
    }

    /// The hash is part of it: a key whose secret was changed is not remembered.
    fn digest(&self, access_key: &str, secret: &Secret, hash: &str) -> Digest {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.digest_key).expect("a key of any length will do");
        for part in [access_key, secret.expose(), hash] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }

    async fn matches(&self, secret: Secret, hash: Option<String>) -> Result<bool, ApiError> {
        let _place = self.room.acquire().await.map_err(ApiError::internal)?;
        tokio::task::spawn_blocking(move || match hash {
            Some(hash) => store::secret_matches(&secret, &hash),
            None => store::secret_matches(&secret, &DECOY),
        })
        .await
        .map_err(ApiError::internal)
    }

    fn remembers(&self, digest: &Digest) -> bool {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.get(digest).is_some_and(|since| since.elapsed() < REMEMBERED)
    }

    fn remember(&self, digest: Digest) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MOST {
            remembered.retain(|_, since| since.elapsed() < REMEMBERED);
            if remembered.len() >= MOST {
                remembered.clear();
            }
        }
        remembered.insert(digest, Instant::now());
    }
}
