//! Access keys: who may call, for which tenant, and in which role. A secret is answered once.
//!
//! Administrators of the first tenant administer the keys of every tenant, those of another tenant its keys
//! alone.

use std::sync::Arc;

use axum::extract::State;
use model::{AccessKey, ErrorCode, Role, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    access_keys,
    api::{
        auth::Admin,
        envelope::{Answer, Envelope, Nothing, Reply},
        error::{ApiError, BadParam, Conflict, Forbidden, NotFound},
        extract::{Body, NoQuery, Query},
    },
    app::App,
};

/// A key to add.
#[derive(Deserialize, ToSchema)]
pub(super) struct AddKey {
    /// The tenant of the key, 1 to 64 letters, digits, `.`, `_` or `-`; unset: your own.
    #[schema(value_type = String, example = "customer-7")]
    tenant: Option<TenantId>,
    /// The role of the key; unset: `member`.
    role: Option<Role>,
}

/// The key that was added.
#[derive(Serialize, ToSchema)]
pub(super) struct AddedKey {
    access_key: String,
    /// Answered only now.
    secret_key: String,
    tenant: String,
    role: Role,
}

/// Adds an access key. For administrators.
#[utoipa::path(
    post, path = "/add_key", tag = "key",
    params(("Idempotency-Key" = Option<String>, Header, description = "makes the call once, however often it is sent")),
    request_body = AddKey,
    responses((status = 200, description = "added", body = Envelope<Answer<AddedKey>>), BadParam, Conflict)
)]
pub(super) async fn add_key(
    State(app): State<Arc<App>>,
    admin: Admin,
    Body(request, warnings): Body<AddKey>,
) -> Reply<AddedKey> {
    let tenant = request.tenant.unwrap_or_else(|| admin.tenant.clone());
    if admin.administered_tenant().is_some_and(|administered| *administered != tenant) {
        let problem = format!("only administrators of `{}` make keys for other tenants", TenantId::main());
        return Err(ApiError::new(ErrorCode::Forbidden, problem));
    }
    let (role, now) = (request.role.unwrap_or(Role::Member), app.clock.now());
    let generated = tokio::task::spawn_blocking(move || access_keys::generate(tenant, role, now)).await;
    let (key, secret) = generated.map_err(ApiError::internal)?;
    let answer = AddedKey {
        access_key: key.access_key.clone(),
        secret_key: secret.expose().to_owned(),
        tenant: key.tenant.to_string(),
        role,
    };
    let answer = Answer::new(answer, warnings);
    admin.store_keeping(&app, &answer)?.add_key(&key).await?;
    tracing::info!(new_key = key.access_key, tenant = %key.tenant, %role, "key added");
    Ok(answer)
}

/// A key, as it is listed.
#[derive(Serialize, ToSchema)]
pub(super) struct ListedKey {
    access_key: String,
    tenant: String,
    role: Role,
    /// Unix seconds.
    created_time: i64,
}

/// Every key.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyList {
    /// How many.
    num: usize,
    /// The newest first.
    list: Vec<ListedKey>,
}

/// Lists the access keys, without their secrets. For administrators.
#[utoipa::path(
    get, path = "/list_key", tag = "key",
    responses((status = 200, description = "every key", body = Envelope<Answer<KeyList>>), Forbidden)
)]
pub(super) async fn list_key(
    State(app): State<Arc<App>>,
    admin: Admin,
    Query(NoQuery {}, warnings): Query<NoQuery>,
) -> Reply<KeyList> {
    let keys = app.store.keys(admin.administered_tenant()).await?;
    let list: Vec<_> = keys.into_iter().map(ListedKey::of).collect();
    Ok(Answer::new(KeyList { num: list.len(), list }, warnings))
}

/// The key that a call names.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ByKey {
    /// The public half of the key.
    access_key: String,
}

/// Deletes an access key, which is refused from then on. For administrators.
#[utoipa::path(
    delete, path = "/del_key", tag = "key",
    params(ByKey),
    responses(
        (status = 200, description = "deleted", body = Envelope<Answer<Nothing>>), BadParam, NotFound, Conflict
    )
)]
pub(super) async fn del_key(
    State(app): State<Arc<App>>,
    admin: Admin,
    Query(request, warnings): Query<ByKey>,
) -> Reply<Nothing> {
    app.store.delete_key(admin.administered_tenant(), &request.access_key).await?;
    tracing::info!(deleted_key = request.access_key, "key deleted");
    Ok(Answer::nothing(warnings))
}

impl ListedKey {
    fn of(key: AccessKey) -> Self {
        Self {
            access_key: key.access_key,
            tenant: key.tenant.to_string(),
            role: key.role,
            created_time: key.created.as_secs(),
        }
    }
}
