//! Uploads: files that clients sent as inputs for tasks. The bytes lie in a folder of the server; the
//! database has whose they are and when they were last used.

use std::collections::BTreeSet;

use model::{InputLocation, Task, TenantId, Timestamp, Upload, UploadId};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QuerySelect as _, QueryTrait as _,
    sea_query::{Expr, ExprTrait as _},
};

use crate::{
    convert,
    entities::{task, upload},
    error::{Result, StoreError},
    store::Store,
    transaction::WriteTransaction,
};

impl Store {
    /// Adds an upload, whose bytes have been received.
    ///
    /// # Errors
    /// [`StoreError::OverQuota`] when the uploads of its tenant would have more bytes together than `quota`.
    pub async fn add_upload(&self, upload: &Upload, quota: Option<u64>) -> Result<()> {
        let row = upload::ActiveModel {
            id: Set(upload.id.to_string()),
            tenant_id: Set(upload.tenant.to_string()),
            name: Set(convert::without_nul(&upload.name)),
            size: Set(convert::number("upload.size", upload.size)?),
            host: Set(upload.host.clone()),
            created: Set(upload.created.as_millis()),
            used: Set(upload.created.as_millis()),
        };
        let tx = self.transaction().await?;
        if let Some(quota) = quota
            && sum_of(&tx.db, &upload.tenant).await? + upload.size > quota
        {
            let problem = format!("the uploads of a tenant may have {quota} bytes together");
            return Err(StoreError::OverQuota(problem));
        }
        upload::Entity::insert(row).exec_without_returning(&tx.db).await?;
        tx.commit().await
    }

    /// How many bytes a tenant's uploads have together.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn upload_bytes(&self, tenant: &TenantId) -> Result<u64> {
        sum_of(self.database(), tenant).await
    }

    /// One upload.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has none with this id.
    pub async fn upload(&self, tenant: &TenantId, id: &UploadId) -> Result<Upload> {
        let row = upload::Entity::find_by_id(id.as_str())
            .filter(upload::Column::TenantId.eq(tenant.as_str()))
            .one(self.database())
            .await?;
        let row = row.ok_or_else(|| not_found(id))?;
        Ok(Upload {
            id: id.clone(),
            tenant: tenant.clone(),
            name: row.name,
            size: convert::number("upload.size", row.size)?,
            host: row.host,
            created: Timestamp::from_millis(row.created),
        })
    }

    /// Whether there is an upload with this id, of any tenant.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_upload(&self, id: &UploadId) -> Result<bool> {
        Ok(upload::Entity::find_by_id(id.as_str()).one(self.database()).await?.is_some())
    }

    /// Deletes the uploads that were last used before this moment and that no unfinished task needs.
    /// Returns how many. Their bytes are deleted elsewhere.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_unused_uploads(&self, before: Timestamp) -> Result<u64> {
        let needed = task::Entity::find()
            .select_only()
            .column(task::Column::UploadId)
            .filter(task::Column::Finished.is_null())
            .filter(task::Column::UploadId.is_not_null());
        let tx = self.transaction().await?;
        let deleted = upload::Entity::delete_many()
            .filter(upload::Column::Used.lt(before.as_millis()))
            .filter(upload::Column::Id.not_in_subquery(needed.into_query()))
            .exec(&tx.db)
            .await?;
        tx.commit().await?;
        Ok(deleted.rows_affected)
    }

    /// Marks the uploads that are inputs of these tasks, all of one tenant, as used now.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has not got one of them, or no longer.
    pub(crate) async fn touch_uploads(&self, tx: &WriteTransaction<'_>, tasks: &[Task]) -> Result<()> {
        for id in tasks.iter().filter_map(upload_of).collect::<BTreeSet<_>>() {
            let used = upload::Entity::update_many()
                .col_expr(upload::Column::Used, Expr::value(self.now().as_millis()))
                .filter(upload::Column::Id.eq(id.as_str()))
                .filter(upload::Column::TenantId.eq(tasks[0].tenant.as_str()))
                .exec(&tx.db)
                .await?;
            if used.rows_affected == 0 {
                return Err(not_found(id));
            }
        }
        Ok(())
    }
}

async fn sum_of(database: &impl ConnectionTrait, tenant: &TenantId) -> Result<u64> {
    // PostgreSQL's sum of whole numbers is a decimal
    let sum = upload::Column::Size.sum().cast_as("bigint");
    let sum: Option<Option<i64>> = upload::Entity::find()
        .select_only()
        .expr(sum)
        .filter(upload::Column::TenantId.eq(tenant.as_str()))
        .into_tuple()
        .one(database)
        .await?;
    convert::number("upload.size", sum.flatten().unwrap_or_default())
}

/// The upload that a task has as its input.
pub(crate) fn upload_of(task: &Task) -> Option<&UploadId> {
    match task.spec.input.location() {
        InputLocation::Upload(id) => Some(id),
        InputLocation::Url(_) | InputLocation::Object { .. } => None,
    }
}

fn not_found(id: &UploadId) -> StoreError {
    StoreError::NotFound(format!("there is no upload `{id}`; uploads are kept 24 h after their last use"))
}
