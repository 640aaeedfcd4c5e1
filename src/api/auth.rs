//! Who calls: HTTP Basic with access key and secret key, and what the role of the key allows.
//!
//! A handler states what it needs by the type it takes: [`Caller`] reads, [`Editor`] writes, [`Admin`] has
//! keys in hand. The header `auth-type` of AuroraCloud's clients is not needed and not read.

use std::{ops::Deref, time::Duration};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use model::{ErrorCode, Role, Secret, TenantId};
use serde::Serialize;
use store::{CallerContext, IdempotentAnswer, Store};

use super::{connection::ConnectionInfo, envelope::Answer, error::ApiError, state::ApiState};
use crate::app::App;

/// When to come again with too many calls at once.
const CALLS_RETRY_AFTER: Duration = Duration::from_secs(1);

/// A key of any role that was authenticated: it may read.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// Whose things it sees.
    pub(super) tenant: TenantId,
    /// The public half of the key.
    pub(super) access_key: String,
    role: Role,
}

/// A call with an idempotency key, in the extensions of its request.
#[derive(Clone, Debug)]
pub(super) struct NamedCall {
    pub(super) key: String,
    /// SHA-256 over access key, path and body, which differs when another call has the same key.
    pub(super) digest: Vec<u8>,
}

/// A key that may change things.
#[derive(Clone, Debug)]
pub(super) struct Editor {
    caller: Caller,
    /// The `Idempotency-Key` of this call, when it has one.
    named_call: Option<NamedCall>,
}

impl Deref for Editor {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl Editor {
    /// The store, which counts the tasks of this key against its quota.
    pub(super) fn store(&self, app: &App) -> Store {
        self.store_for_caller(app, None)
    }

    /// The store for a call that creates something: the transaction that creates it also keeps the answer,
    /// which is given again to a call with the same `Idempotency-Key`.
    ///
    /// # Errors
    /// 1500 when the answer is no JSON.
    pub(super) fn store_keeping<T: Serialize>(
        &self,
        app: &App,
        answer: &Answer<T>,
    ) -> Result<Store, ApiError> {
        let Some(call) = &self.named_call else { return Ok(self.store(app)) };
        let answer = serde_json::to_string(answer).map_err(ApiError::internal)?;
        let kept = IdempotentAnswer {
            tenant: self.tenant.clone(),
            key: call.key.clone(),
            digest: call.digest.clone(),
            answer: Secret::new(answer),
        };
        Ok(self.store_for_caller(app, Some(kept)))
    }

    fn store_for_caller(&self, app: &App, idempotent_answer: Option<IdempotentAnswer>) -> Store {
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
    /// The one tenant whose keys it administers; none for those of the first tenant, who administer all.
    pub(super) fn administered_tenant(&self) -> Option<&TenantId> {
        if self.tenant == TenantId::main() { None } else { Some(&self.tenant) }
    }
}

impl FromRequestParts<ApiState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        // a layer before the handler may have authenticated the request: it counts once against the rate
        // limit
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(caller.clone());
        }
        let (access_key, secret) = parse_basic(&parts.headers)?;
        let connection = parts.extensions.get::<ConnectionInfo>().cloned();
        let address = connection.as_ref().map(ConnectionInfo::address);
        let key = state.credentials.check(&state.app.store, &access_key, secret, address).await?;
        tracing::Span::current().record("access_key", access_key.as_str());
        state.rate_limiter.admit(&access_key)?;
        let calls = state.calls.acquire(&key.tenant).map_err(|_| {
            let problem = "your keys make as many calls at once as one tenant may; wait for some to end";
            ApiError::rate_limited(problem, CALLS_RETRY_AFTER)
        })?;
        if let Some(connection) = connection {
            connection.hold(calls);
        }
        let caller = Self { tenant: key.tenant, access_key, role: key.role };
        parts.extensions.insert(caller.clone());
        Ok(caller)
    }
}

impl FromRequestParts<ApiState> for Editor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        match caller.role {
            Role::Admin | Role::Member => Ok(Self { caller, named_call: parts.extensions.get().cloned() }),
            Role::Read => Err(ApiError::new(
                ErrorCode::Forbidden,
                "the key has the role `read`, which may look but not change anything",
            )),
        }
    }
}

impl FromRequestParts<ApiState> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let editor = Editor::from_request_parts(parts, state).await?;
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

/// Access key and secret key out of HTTP Basic (RFC 7617).
fn parse_basic(headers: &HeaderMap) -> Result<(String, Secret), ApiError> {
    let refused = |detail: &'static str| ApiError::new(ErrorCode::AuthFail, detail);
    let value = headers.get(header::AUTHORIZATION).ok_or_else(|| {
        refused("there is no Authorization header; give `Basic` with access key and secret key")
    })?;
    let text = value.to_str().ok().map(str::trim).unwrap_or_default();
    let encoded = match text.split_once(' ') {
        Some((scheme, encoded)) if scheme.eq_ignore_ascii_case("basic") => encoded.trim(),
        _ => return Err(refused("the Authorization header is not `Basic` with access key and secret key")),
    };
    let decoded = BASE64.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match decoded.as_deref().and_then(|text| text.split_once(':')) {
        Some((access_key, secret)) => Ok((access_key.to_owned(), Secret::new(secret))),
        None => Err(refused("the Authorization header does not hold base64 of `access_key:secret_key`")),
    }
}
