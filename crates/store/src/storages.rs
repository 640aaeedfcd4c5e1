//! Storages: where outputs go and who is notified. What is no secret is one JSON column; each secret is
//! encrypted in a column of its own.

use std::time::Duration;

use model::{
    NotifyPolicy, NotifySettings, NotifySuccess, ObjectSettings, Secret, Storage, StorageId, StorageType,
    TenantId, Timestamp, limits::MAX_TENANT_STORAGES,
};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, ModelTrait as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, SqlErr,
    sea_query::{Expr, LockType, OnConflict},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    callbacks::queue::queue_name,
    cipher::Cipher,
    convert,
    entities::{callback, folder, storage, task},
    error::{Result, StoreError},
    quota::check_room,
    store::Store,
};

impl Store {
    /// Adds a storage.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when there is one with this id, its bucket is a folder that is or was
    /// another tenant's, or the tenant has as many as it may.
    pub async fn add_storage(&self, storage: &Storage) -> Result<()> {
        let row = row(storage, self.cipher())?;
        let tx = self.transaction().await?;
        let of_tenant = storage::Entity::find().filter(storage::Column::TenantId.eq(storage.tenant.as_str()));
        check_room("storages", of_tenant.count(&tx.db).await?, MAX_TENANT_STORAGES)?;
        assign_folder(&tx.db, storage).await?;
        let inserted = storage::Entity::insert(row).exec_without_returning(&tx.db).await;
        inserted.map_err(|error| match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => {
                StoreError::Conflict(format!("there is a storage `{}` already", storage.id))
            }
            _ => error.into(),
        })?;
        tx.commit().await
    }

    /// A tenant's storages, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn storages(&self, tenant: &TenantId) -> Result<Vec<Storage>> {
        let rows = storage::Entity::find()
            .filter(storage::Column::TenantId.eq(tenant.as_str()))
            .order_by_desc(storage::Column::Created)
            .order_by_desc(storage::Column::Id)
            .all(self.database())
            .await?;
        rows.into_iter().map(|row| read(row, self.cipher())).collect()
    }

    /// One storage.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has none with this id.
    pub async fn storage(&self, tenant: &TenantId, id: &StorageId) -> Result<Storage> {
        read(find(self.database(), tenant, id, None).await?, self.cipher())
    }

    /// One storage, whichever tenant's it is. Only for requests that need no tenant because they come with
    /// a link that was signed for this storage.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none with this id.
    pub async fn storage_of_any_tenant(&self, id: &StorageId) -> Result<Storage> {
        let row = storage::Entity::find_by_id(id.as_str()).one(self.database()).await?;
        let row = row.ok_or_else(|| StoreError::NotFound(format!("there is no storage `{id}`")))?;
        read(row, self.cipher())
    }

    /// Changes a storage, of which `change` is given the present state: whatever others change at the same
    /// moment stays, unless it is what `change` sets. Callbacks that are owed go to its new notify address
    /// from the next attempt on; their bodies stay as they are.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has none with this id, [`StoreError::Conflict`] when
    /// its bucket is a folder that is or was another tenant's, or it would be another place while tasks are
    /// unfinished whose outputs go to the present one.
    pub async fn update_storage(
        &self,
        tenant: &TenantId,
        id: &StorageId,
        change: impl FnOnce(Storage) -> Storage,
    ) -> Result<()> {
        let mut tx = self.transaction().await?;
        // read, changed and written under its lock
        let present = find(&tx.db, tenant, id, Some(LockType::Update)).await?;
        let present_account = account_id(&present, self.cipher())?;
        let present = read(present, self.cipher())?;
        let changed = change(present.clone());
        if let Some(field) = changed_place(&present, &present_account, &changed) {
            let unfinished = count_unfinished_tasks(&tx.db, id).await?;
            if unfinished > 0 {
                return Err(StoreError::Conflict(format!(
                    "`{field}` cannot change while the storage `{id}` has unfinished tasks ({unfinished}): their \
                     outputs go to the place that it is now"
                )));
            }
        }
        assign_folder(&tx.db, &changed).await?;
        storage::Entity::update_many()
            .set(storage::ActiveModel { id: NotSet, created: NotSet, ..row(&changed, self.cipher())? })
            .filter(storage::Column::Id.eq(id.as_str()))
            .exec(&tx.db)
            .await?;
        let queue = queue_name(&changed);
        let moved = callback::Entity::update_many()
            .col_expr(callback::Column::Receiver, Expr::value(queue.as_str()))
            .filter(callback::Column::StorageId.eq(id.as_str()))
            .filter(callback::Column::NextAttempt.is_not_null())
            .filter(callback::Column::Receiver.ne(queue.as_str()))
            .exec(&tx.db)
            .await?;
        if moved.rows_affected > 0 {
            tx.wake_all_callbacks();
        }
        tx.commit().await
    }

    /// Gives a storage a new notify secret. The present one goes on signing beside it until `until`; a
    /// still older one no longer signs.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has none with this id.
    pub async fn rotate_notify_secret(
        &self,
        tenant: &TenantId,
        id: &StorageId,
        secret: Secret,
        until: Timestamp,
    ) -> Result<()> {
        let rotate = |mut storage: Storage| {
            let old = std::mem::replace(&mut storage.notify_secret, secret);
            storage.old_notify_secret = Some((old, until));
            storage
        };
        self.update_storage(tenant, id, rotate).await
    }

    /// How many unfinished tasks and undelivered callbacks a storage has.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn storage_use(&self, id: &StorageId) -> Result<(u64, u64)> {
        let unfinished = count_unfinished_tasks(self.database(), id).await?;
        Ok((unfinished, count_owed_callbacks(self.database(), id).await?))
    }

    /// The buckets of `file` storages that are or were other tenants'.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn folders_of_others(&self, tenant: &TenantId) -> Result<Vec<String>> {
        let others = folder::Entity::find().filter(folder::Column::TenantId.ne(tenant.as_str()));
        Ok(others.all(self.database()).await?.into_iter().map(|folder| folder.name).collect())
    }

    /// Deletes a storage. Its ended tasks stay.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has none with this id, [`StoreError::Conflict`]
    /// while one of its tasks is unfinished or one of its callbacks owed.
    pub async fn delete_storage(&self, tenant: &TenantId, id: &StorageId) -> Result<()> {
        let tx = self.transaction().await?;
        let row = find(&tx.db, tenant, id, Some(LockType::Update)).await?;
        // tasks before callbacks: when a task ends between the two queries, its callback is seen
        let unfinished = count_unfinished_tasks(&tx.db, id).await?;
        let owed = count_owed_callbacks(&tx.db, id).await?;
        for (count, what) in [(unfinished, "unfinished tasks"), (owed, "undelivered callbacks")] {
            if count > 0 {
                return Err(StoreError::Conflict(format!("the storage `{id}` has {what} ({count})")));
            }
        }
        row.delete(&tx.db).await?;
        tx.commit().await
    }
}

async fn count_unfinished_tasks(database: &impl ConnectionTrait, id: &StorageId) -> Result<u64> {
    let of_storage = task::Entity::find().filter(task::Column::StorageId.eq(id.as_str()));
    Ok(of_storage.filter(task::Column::Finished.is_null()).count(database).await?)
}

async fn count_owed_callbacks(database: &impl ConnectionTrait, id: &StorageId) -> Result<u64> {
    let of_storage = callback::Entity::find().filter(callback::Column::StorageId.eq(id.as_str()));
    Ok(of_storage.filter(callback::Column::NextAttempt.is_not_null()).count(database).await?)
}

/// The first field that makes a storage another place than it was; none when it is the same place.
fn changed_place(old: &Storage, old_account: &str, new: &Storage) -> Option<&'static str> {
    let is_same_account =
        new.kind != StorageType::Azblob || account_of(new.storage_ak.expose()) == old_account;
    [
        ("type", old.kind == new.kind),
        ("bucket", old.bucket == new.bucket),
        ("prefix", old.prefix == new.prefix),
        ("endpoint", old.endpoint == new.endpoint),
        ("storage_ak", is_same_account),
    ]
    .into_iter()
    .find_map(|(field, is_same)| (!is_same).then_some(field))
}

/// The row of a tenant's storage; with `lock`, locked for the rest of the transaction (PostgreSQL; on
/// SQLite a write transaction is alone anyway).
pub(crate) async fn find(
    database: &impl ConnectionTrait,
    tenant: &TenantId,
    id: &StorageId,
    lock: Option<LockType>,
) -> Result<storage::Model> {
    let mut query =
        storage::Entity::find_by_id(id.as_str()).filter(storage::Column::TenantId.eq(tenant.as_str()));
    if let Some(lock) = lock {
        query = query.lock(lock);
    }
    query.one(database).await?.ok_or_else(|| StoreError::NotFound(format!("there is no storage `{id}`")))
}

/// Identifies the object-store service that a bucket is in, as far as the URIs of its objects do not: by
/// the endpoint as it was given (empty: the vendor's own) and, for Azure, where containers of one name are
/// in many accounts, by a hash of the account.
pub(crate) fn service_id(row: &storage::Model, cipher: &Cipher) -> Result<String> {
    let StorageSpec { kind, endpoint, .. } = convert::from_json("storage.spec", &row.spec)?;
    if kind != StorageType::Azblob {
        return Ok(endpoint);
    }
    Ok(format!("{}@{endpoint}", account_id(row, cipher)?))
}

/// Identifies the account of a storage, which is no secret at Azure but is kept like one.
fn account_id(row: &storage::Model, cipher: &Cipher) -> Result<String> {
    Ok(account_of(cipher.decrypt("storage_ak", &row.id, &row.storage_ak)?.expose()))
}

fn account_of(access_key: &str) -> String {
    format!("{:x}", Sha256::digest(access_key))
}

/// Assigns the folder that is the bucket of a `file` storage to its tenant, for good: what lies in it
/// stays the tenant's when the storage is deleted. Buckets in an object store need none of this: its
/// credentials decide who has access.
async fn assign_folder(database: &impl ConnectionTrait, storage: &Storage) -> Result<()> {
    if storage.kind != StorageType::File {
        return Ok(());
    }
    let (bucket, tenant) = (storage.bucket.as_str(), storage.tenant.as_str());
    let row = folder::ActiveModel { name: Set(bucket.to_owned()), tenant_id: Set(tenant.to_owned()) };
    folder::Entity::insert(row)
        .on_conflict(OnConflict::column(folder::Column::Name).do_nothing().to_owned())
        .exec_without_returning(database)
        .await?;
    match folder::Entity::find_by_id(bucket).one(database).await? {
        Some(folder) if folder.tenant_id == tenant => Ok(()),
        _ => Err(StoreError::Conflict(format!("the bucket `{bucket}` is taken; give another name"))),
    }
}

/// The column of the former notify secret.
const OLD_NOTIFY_SECRET: &str = "old_notify_secret";

/// What of a storage is no secret, as it is stored as JSON. A field that is added needs a default, for the
/// rows that are there already.
#[derive(Serialize, Deserialize)]
struct StorageSpec {
    kind: StorageType,
    name: String,
    region: String,
    bucket: String,
    prefix: String,
    endpoint: String,
    path_style: bool,
    #[serde(default)]
    objects: ObjectSettings,
    notify: String,
    notify_attempts: u32,
    notify_interval_ms: u64,
    notify_policy: NotifyPolicy,
    notify_success: NotifySuccess,
    extra: String,
    name_rule: String,
}

fn row(storage: &Storage, cipher: &Cipher) -> Result<storage::ActiveModel> {
    let spec = StorageSpec {
        kind: storage.kind,
        name: storage.name.clone(),
        region: storage.region.clone(),
        bucket: storage.bucket.clone(),
        prefix: storage.prefix.clone(),
        endpoint: storage.endpoint.clone(),
        path_style: storage.path_style,
        objects: storage.objects.clone(),
        notify: storage.notify.clone(),
        notify_attempts: storage.notify_settings.attempts,
        notify_interval_ms: u64::try_from(storage.notify_settings.interval.as_millis()).unwrap_or(u64::MAX),
        notify_policy: storage.notify_settings.policy,
        notify_success: storage.notify_settings.success,
        extra: storage.extra.clone(),
        name_rule: storage.name_rule.clone(),
    };
    let id = storage.id.as_str();
    let old = storage.old_notify_secret.as_ref();
    Ok(storage::ActiveModel {
        id: Set(id.to_owned()),
        tenant_id: Set(storage.tenant.to_string()),
        spec: Set(convert::to_json("storage.spec", &spec)?),
        storage_ak: Set(cipher.encrypt("storage_ak", id, &storage.storage_ak)?),
        storage_sk: Set(cipher.encrypt("storage_sk", id, &storage.storage_sk)?),
        notify_secret: Set(cipher.encrypt("notify_secret", id, &storage.notify_secret)?),
        old_notify_secret: Set(old
            .map(|(secret, _)| cipher.encrypt(OLD_NOTIFY_SECRET, id, secret))
            .transpose()?),
        old_notify_secret_until: Set(old.map(|(_, until)| until.as_millis())),
        created: Set(storage.created.as_millis()),
    })
}

pub(crate) fn read(row: storage::Model, cipher: &Cipher) -> Result<Storage> {
    let spec: StorageSpec = convert::from_json("storage.spec", &row.spec)?;
    let old_notify_secret = match (&row.old_notify_secret, convert::timestamp(row.old_notify_secret_until)) {
        (Some(encrypted), Some(until)) => {
            Some((cipher.decrypt(OLD_NOTIFY_SECRET, &row.id, encrypted)?, until))
        }
        _ => None,
    };
    Ok(Storage {
        id: convert::parse("storage.id", &row.id)?,
        tenant: convert::parse("storage.tenant_id", &row.tenant_id)?,
        kind: spec.kind,
        name: spec.name,
        region: spec.region,
        bucket: spec.bucket,
        prefix: spec.prefix,
        endpoint: spec.endpoint,
        path_style: spec.path_style,
        objects: spec.objects,
        storage_ak: cipher.decrypt("storage_ak", &row.id, &row.storage_ak)?,
        storage_sk: cipher.decrypt("storage_sk", &row.id, &row.storage_sk)?,
        notify: spec.notify,
        notify_secret: cipher.decrypt("notify_secret", &row.id, &row.notify_secret)?,
        old_notify_secret,
        notify_settings: NotifySettings {
            attempts: spec.notify_attempts,
            interval: Duration::from_millis(spec.notify_interval_ms),
            policy: spec.notify_policy,
            success: spec.notify_success,
        },
        extra: spec.extra,
        name_rule: spec.name_rule,
        created: Timestamp::from_millis(row.created),
    })
}
