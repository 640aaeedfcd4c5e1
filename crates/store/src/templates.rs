//! Templates that tenants have added; the predefined ones are in `model`.

use model::{Template, TemplateName, TenantId, Timestamp, limits::MAX_TENANT_TEMPLATES};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
    QueryOrder as _, SqlErr, sea_query::Expr,
};

use crate::{
    convert,
    entities::template,
    error::{Result, StoreError},
    quota::check_room,
    store::Store,
};

/// A template that a tenant has added.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTemplate {
    /// How it transcodes.
    pub template: Template,
    /// When it was added.
    pub created: Timestamp,
}

impl Store {
    /// Adds a template.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the tenant has one of this name, or as many as it may.
    pub async fn add_template(&self, tenant: &TenantId, template: &Template, now: Timestamp) -> Result<()> {
        let name = &template.template_name;
        let row = template::ActiveModel {
            tenant_id: Set(tenant.to_string()),
            name: Set(name.to_string()),
            spec: Set(convert::to_json("template.spec", template)?),
            created: Set(now.as_millis()),
        };
        let tx = self.transaction().await?;
        let of_tenant = template::Entity::find().filter(template::Column::TenantId.eq(tenant.as_str()));
        check_room("templates", of_tenant.count(&tx.db).await?, MAX_TENANT_TEMPLATES)?;
        let inserted = template::Entity::insert(row).exec_without_returning(&tx.db).await;
        inserted.map_err(|error| match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => {
                StoreError::Conflict(format!("there is a template `{name}` already"))
            }
            _ => error.into(),
        })?;
        tx.commit().await
    }

    /// Replaces a template as a whole; when it was added stays.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has none of this name.
    pub async fn update_template(&self, tenant: &TenantId, template: &Template) -> Result<()> {
        let name = &template.template_name;
        let tx = self.transaction().await?;
        let updated = template::Entity::update_many()
            .col_expr(template::Column::Spec, Expr::value(convert::to_json("template.spec", template)?))
            .filter(template::Column::TenantId.eq(tenant.as_str()))
            .filter(template::Column::Name.eq(name.as_str()))
            .exec(&tx.db)
            .await?;
        if updated.rows_affected == 0 {
            return Err(not_found(name));
        }
        tx.commit().await
    }

    /// One template.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has none of this name.
    pub async fn template(&self, tenant: &TenantId, name: &TemplateName) -> Result<StoredTemplate> {
        let id = (tenant.to_string(), name.to_string());
        let row = template::Entity::find_by_id(id).one(self.database()).await?;
        read(row.ok_or_else(|| not_found(name))?)
    }

    /// A tenant's templates, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn templates(&self, tenant: &TenantId) -> Result<Vec<StoredTemplate>> {
        let rows = template::Entity::find()
            .filter(template::Column::TenantId.eq(tenant.as_str()))
            .order_by_desc(template::Column::Created)
            .order_by_asc(template::Column::Name)
            .all(self.database())
            .await?;
        rows.into_iter().map(read).collect()
    }

    /// Deletes a template. Tasks created with it have a copy of their own.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has none of this name.
    pub async fn delete_template(&self, tenant: &TenantId, name: &TemplateName) -> Result<()> {
        let tx = self.transaction().await?;
        let id = (tenant.to_string(), name.to_string());
        let deleted = template::Entity::delete_by_id(id).exec(&tx.db).await?;
        if deleted.rows_affected == 0 {
            return Err(not_found(name));
        }
        tx.commit().await
    }
}

fn not_found(name: &TemplateName) -> StoreError {
    StoreError::NotFound(format!("there is no template `{name}`"))
}

fn read(row: template::Model) -> Result<StoredTemplate> {
    Ok(StoredTemplate {
        template: convert::from_json("template.spec", &row.spec)?,
        created: Timestamp::from_millis(row.created),
    })
}
