//! Storages: where output goes, and who is told.
//!
//! `storage_sk` is in no answer. `notify_secret` is answered once, by the call that made it.

use std::{sync::Arc, time::Duration};

use axum::extract::State;
use model::{
    ErrorCode, FieldError, NotifyPolicy, NotifySettings, NotifySuccess, ObjectSettings, Secret, Storage,
    StorageType, TenantId,
};
use serde::{Deserialize, Serialize};
use storage::StorageError;
use utoipa::{IntoParams, ToSchema};

use crate::{
    api::{
        auth::{Caller, Editor},
        envelope::{Answer, Envelope, Nothing, Reply},
        error::{ApiError, BadParam, Conflict, NotFound},
        extract::{Body, NoQuery, Query},
        ids::wanted,
        validate_url,
    },
    app::App,
};

/// A storage to add, or what one is to become.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct AddStorage {
    /// Which storage is replaced; for `update_storage` alone.
    storage_id: String,
    /// The kind of object store.
    #[serde(rename = "type")]
    #[schema(required, value_type = StorageType)]
    kind: Option<StorageType>,
    /// The vendor's region, such as `cn-zhangjiakou`.
    region: String,
    /// The bucket or container; for `file` a folder, made when absent.
    #[schema(required, example = "videos")]
    bucket: String,
    /// What every output begins with.
    prefix: String,
    /// The callback URL of every task that uses the storage; unset: no callback.
    #[schema(example = "https://example.com/notify")]
    notify: String,
    /// The access key of the bucket.
    storage_ak: String,
    /// The secret key of the bucket; in no answer.
    storage_sk: String,
    /// The URL of the service where it is not the vendor's own.
    endpoint: String,
    /// Whether the bucket stands in the path instead of the host name.
    path_style: bool,
    /// The vendor's word for the storage class of each object, such as `STANDARD_IA`; unset: the
    /// bucket's usual one.
    storage_class: String,
    /// The vendor's word for the access list of each object, such as `public-read`; unset: the
    /// bucket's usual one.
    acl: String,
    /// How the store encrypts each object: `AES256` or `aws:kms`, at OSS `AES256`, `KMS` or `SM4`;
    /// unset: as the bucket says.
    encryption: String,
    /// The vendor's id of the key that it encrypts with; unset: the vendor's own.
    encryption_key: String,
    /// A label.
    name: String,
    /// Signs the callbacks: `whsec_` and the base64 of 24 to 64 bytes; unset: made by the server.
    notify_secret: String,
    /// Attempts of a callback at most, 1 to 20; unset: 3.
    notify_attempts: u32,
    /// Seconds from one attempt to the next, 1 to 3600; unset: 5.
    notify_interval: u32,
    /// What comes after those attempts; unset: `aurora`.
    notify_policy: Option<NotifyPolicy>,
    /// Which answer of the receiver is success; unset: `200`.
    notify_success: Option<NotifySuccess>,
    /// Free text, handed back.
    extra: String,
    /// Free text, handed back.
    name_rule: String,
}

/// The storage that was added.
#[derive(Serialize, ToSchema)]
pub(super) struct AddedStorage {
    #[schema(example = "9f86d081884c7d65")]
    storage_id: String,
    /// Signs the callbacks; answered only now, and only when the server made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    notify_secret: Option<String>,
}

/// Adds a storage.
#[utoipa::path(
    post, path = "/add_storage", tag = "storage",
    params(("Idempotency-Key" = Option<String>, Header, description = "makes the call once, however often it is sent")),
    request_body = AddStorage,
    responses((status = 200, description = "added", body = Envelope<Answer<AddedStorage>>), BadParam, Conflict)
)]
pub(super) async fn add_storage(
    State(app): State<Arc<App>>,
    editor: Editor,
    Body(request, mut warnings): Body<AddStorage>,
) -> Reply<AddedStorage> {
    if !request.notify.is_empty() {
        warnings.extend(validate_url::check_notify(&app.net, &request.notify).await?);
    }
    if !request.storage_id.is_empty() {
        warnings.push("`storage_id` is made by the server and was ignored".to_owned());
    }
    let given = !request.notify_secret.is_empty();
    let storage = request.into_storage(&app, editor.tenant.clone())?;
    app.storages.open(&storage).map_err(unusable)?;
    let notify_secret = (!given).then(|| storage.notify_secret.expose().to_owned());
    let answer = Answer::new(AddedStorage { storage_id: storage.id.to_string(), notify_secret }, warnings);
    editor.store_keeping(&app, &answer)?.add_storage(&storage).await?;
    Ok(answer)
}

/// Replaces a storage, but for the secrets that are not given. Callbacks that are owed go to the
/// new `notify` from their next attempt on; their bodies stay as they are.
#[utoipa::path(
    put, path = "/update_storage", tag = "storage",
    request_body = AddStorage,
    responses((status = 200, description = "replaced", body = Envelope<Answer<Nothing>>), BadParam, NotFound, Conflict)
)]
pub(super) async fn update_storage(
    State(app): State<Arc<App>>,
    editor: Editor,
    Body(request, mut warnings): Body<AddStorage>,
) -> Reply<Nothing> {
    let kept = app.store.storage(&editor.tenant, &wanted("storage", &request.storage_id)?).await?;
    if !request.notify.is_empty() {
        warnings.extend(validate_url::check_notify(&app.net, &request.notify).await?);
    }
    let given = !request.notify_secret.is_empty();
    let storage = request.into_storage(&app, editor.tenant.clone())?;
    let unless_empty = |new: Secret, old: Secret| if new.expose().is_empty() { old } else { new };
    let storage = Storage {
        id: kept.id,
        created: kept.created,
        storage_ak: unless_empty(storage.storage_ak, kept.storage_ak),
        storage_sk: unless_empty(storage.storage_sk, kept.storage_sk),
        notify_secret: if given { storage.notify_secret } else { kept.notify_secret },
        old_notify_secret: kept.old_notify_secret,
        ..storage
    };
    app.storages.open(&storage).map_err(unusable)?;
    app.store.update_storage(&storage).await?;
    Ok(Answer::nothing(warnings))
}

/// A storage, as it is listed.
#[derive(Serialize, ToSchema)]
pub(super) struct ListedStorage {
    storage_id: String,
    #[serde(rename = "type")]
    kind: StorageType,
    region: String,
    bucket: String,
    prefix: String,
    /// The callback URL; empty: no callback.
    notify: String,
    extra: String,
    name_rule: String,
    /// Unix seconds.
    created_time: i64,
}

/// Every storage.
#[derive(Serialize, ToSchema)]
pub(super) struct StorageList {
    /// How many.
    num: usize,
    /// The newest first.
    list: Vec<ListedStorage>,
}

/// Lists the storages.
#[utoipa::path(
    get, path = "/list_storage", tag = "storage",
    responses((status = 200, description = "every storage", body = Envelope<Answer<StorageList>>))
)]
pub(super) async fn list_storage(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(NoQuery {}, warnings): Query<NoQuery>,
) -> Reply<StorageList> {
    let list: Vec<_> = app.store.storages(&caller.tenant).await?.into_iter().map(ListedStorage::of).collect();
    Ok(Answer::new(StorageList { num: list.len(), list }, warnings))
}

/// Which storage.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ByStorage {
    /// The storage's id.
    pub(super) storage_id: String,
}

/// Everything about a storage but its keys and secrets.
#[derive(Serialize, ToSchema)]
pub(super) struct StorageDetails {
    #[serde(flatten)]
    listed: ListedStorage,
    /// A label.
    name: String,
    /// The URL of the service; empty: the vendor's own.
    endpoint: String,
    /// Whether the bucket stands in the path instead of the host name.
    path_style: bool,
    /// The vendor's word for the storage class of each object; empty: the bucket's usual one.
    storage_class: String,
    /// The vendor's word for the access list of each object; empty: the bucket's usual one.
    acl: String,
    /// How the store encrypts each object; empty: as the bucket says.
    encryption: String,
    /// The vendor's id of the key that it encrypts with; empty: the vendor's own.
    encryption_key: String,
    /// Attempts of a callback at most.
    notify_attempts: u32,
    /// Seconds from one attempt to the next.
    notify_interval: u64,
    /// What comes after those attempts.
    notify_policy: NotifyPolicy,
    /// Which answer of the receiver is success.
    notify_success: NotifySuccess,
}

/// Tells everything about a storage but its keys and secrets.
#[utoipa::path(
    get, path = "/query_storage", tag = "storage",
    params(ByStorage),
    responses(
        (status = 200, description = "the storage", body = Envelope<Answer<StorageDetails>>), BadParam, NotFound
    )
)]
pub(super) async fn query_storage(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(request, warnings): Query<ByStorage>,
) -> Reply<StorageDetails> {
    let storage = app.store.storage(&caller.tenant, &wanted("storage", &request.storage_id)?).await?;
    Ok(Answer::new(StorageDetails::of(storage), warnings))
}

/// Deletes a storage that no unfinished task and no undelivered callback needs. Objects stay.
#[utoipa::path(
    delete, path = "/del_storage", tag = "storage",
    params(ByStorage),
    responses(
        (status = 200, description = "deleted", body = Envelope<Answer<Nothing>>), BadParam, NotFound, Conflict
    )
)]
pub(super) async fn del_storage(
    State(app): State<Arc<App>>,
    editor: Editor,
    Query(request, warnings): Query<ByStorage>,
) -> Reply<Nothing> {
    let id = wanted("storage", &request.storage_id)?;
    app.store.delete_storage(&editor.tenant, &id).await?;
    Ok(Answer::nothing(warnings))
}

impl ListedStorage {
    fn of(storage: Storage) -> Self {
        Self {
            storage_id: storage.id.to_string(),
            kind: storage.kind,
            region: storage.region,
            bucket: storage.bucket,
            prefix: storage.prefix,
            notify: storage.notify,
            extra: storage.extra,
            name_rule: storage.name_rule,
            created_time: storage.created.as_secs(),
        }
    }
}

impl StorageDetails {
    fn of(storage: Storage) -> Self {
        let NotifySettings { attempts, interval, policy, success } = storage.notify_settings;
        Self {
            name: storage.name.clone(),
            endpoint: storage.endpoint.clone(),
            path_style: storage.path_style,
            storage_class: storage.objects.storage_class.clone(),
            acl: storage.objects.acl.clone(),
            encryption: storage.objects.encryption.clone(),
            encryption_key: storage.objects.encryption_key.clone(),
            notify_attempts: attempts,
            notify_interval: interval.as_secs(),
            notify_policy: policy,
            notify_success: success,
            listed: ListedStorage::of(storage),
        }
    }
}

impl AddStorage {
    /// What is kept. The notify URL was checked before, since that takes a look-up.
    fn into_storage(self, app: &App, tenant: TenantId) -> Result<Storage, ApiError> {
        let kind = self.wanted_kind()?;
        check_bucket(kind, &self.bucket)?;
        let notify_settings = self.notify_settings()?;
        let notify_secret = notify_secret(self.notify_secret)?;
        Ok(Storage {
            id: app.new_storage_id(),
            tenant,
            kind,
            name: self.name,
            region: self.region,
            bucket: self.bucket,
            prefix: prefix(&self.prefix)?,
            endpoint: self.endpoint,
            path_style: self.path_style,
            objects: ObjectSettings {
                storage_class: self.storage_class,
                acl: self.acl,
                encryption: self.encryption,
                encryption_key: self.encryption_key,
            },
            storage_ak: Secret::new(self.storage_ak),
            storage_sk: Secret::new(self.storage_sk),
            notify: self.notify,
            notify_secret,
            old_notify_secret: None,
            notify_settings,
            extra: self.extra,
            name_rule: self.name_rule,
            created: app.clock.now(),
        })
    }

    fn wanted_kind(&self) -> Result<StorageType, FieldError> {
        self.kind.ok_or_else(|| {
            FieldError::new("type", "is not set; give `file`, `s3`, `oss`, `cos`, `obs`, `gcs` or `azblob`")
        })
    }

    fn notify_settings(&self) -> Result<NotifySettings, FieldError> {
        let usual = NotifySettings::default();
        let within = |field: &str, value: u32, most: u32| match value {
            0 => Ok(None),
            value if value <= most => Ok(Some(value)),
            value => Err(FieldError::new(field, format!("{value} is out of range; give 1 to {most}"))),
        };
        Ok(NotifySettings {
            attempts: within("notify_attempts", self.notify_attempts, 20)?.unwrap_or(usual.attempts),
            interval: within("notify_interval", self.notify_interval, 3600)?
                .map_or(usual.interval, |seconds| Duration::from_secs(seconds.into())),
            policy: self.notify_policy.unwrap_or(usual.policy),
            success: self.notify_success.unwrap_or(usual.success),
        })
    }
}

/// Why a storage cannot be opened or does not do what it was asked, as an answer.
pub(super) fn unusable(error: StorageError) -> ApiError {
    match error.code {
        ErrorCode::Internal => ApiError::internal(error),
        code => ApiError::new(code, error.detail),
    }
}

/// The bucket of a `file` storage is one folder below the storage root. What a bucket may be called elsewhere is
/// checked when it is opened.
fn check_bucket(kind: StorageType, bucket: &str) -> Result<(), FieldError> {
    match kind {
        StorageType::File => {
            storage::check_folder_name(bucket).map_err(|problem| FieldError::new("bucket", problem))
        }
        _ if bucket.is_empty() => Err(FieldError::new("bucket", "is not set")),
        _ => Ok(()),
    }
}

/// The prefix as it is kept, without slashes at its ends.
fn prefix(text: &str) -> Result<String, FieldError> {
    let wrong = |problem: String| Err(FieldError::new("prefix", problem));
    let prefix = text.trim_matches('/');
    if prefix.len() > 512 {
        return wrong("is longer than 512 bytes".to_owned());
    }
    if prefix.chars().any(char::is_control) {
        return wrong("holds a control character".to_owned());
    }
    match prefix.split('/').find(|part| part.is_empty() || *part == "." || *part == "..") {
        Some(part) if !prefix.is_empty() => {
            wrong(format!("has the part `{part}`; empty parts, `.` and `..` are not allowed"))
        }
        _ => Ok(prefix.to_owned()),
    }
}

fn notify_secret(text: String) -> Result<Secret, FieldError> {
    if text.is_empty() {
        return Ok(callback::sign::generate_secret());
    }
    let secret = Secret::new(text);
    // the problem does not repeat the value, which is a secret
    callback::sign::check_secret(&secret)
        .map(|()| secret)
        .map_err(|problem| FieldError::new("notify_secret", problem.to_string()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("")]
    #[case("..")]
    #[case(".hidden")]
    #[case("a/b")]
    #[case("a\\b")]
    #[case("a\nb")]
    #[case(&"x".repeat(201))]
    fn a_bucket_is_one_visible_folder(#[case] bucket: &str) {
        assert_eq!(check_bucket(StorageType::File, bucket).expect_err("refused").field, "bucket");
    }

    #[rstest]
    #[case("", Some(""))]
    #[case("/", Some(""))]
    #[case("/a/b/", Some("a/b"))]
    #[case("a//b", None)]
    #[case("../a", None)]
    #[case("a/./b", None)]
    fn a_prefix_has_no_slashes_at_its_ends(#[case] text: &str, #[case] kept: Option<&str>) {
        assert_eq!(prefix(text).ok().as_deref(), kept);
    }
}
