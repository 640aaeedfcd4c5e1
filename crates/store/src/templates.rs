//! The customers' own templates.

use model::{Template, TemplateName, TenantId, Timestamp};

use crate::{Result, Store};

/// A template as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTemplate {
    /// What it says.
    pub template: Template,
    /// When it was added.
    pub created: Timestamp,
}

impl Store {
    /// Adds a template.
    pub async fn add_template(
        &self,
        _tenant: &TenantId,
        _template: &Template,
        _now: Timestamp,
    ) -> Result<()> {
        todo!()
    }

    /// Replaces a template.
    pub async fn update_template(&self, _tenant: &TenantId, _template: &Template) -> Result<()> {
        todo!()
    }

    /// One template.
    pub async fn template(&self, _tenant: &TenantId, _name: &TemplateName) -> Result<StoredTemplate> {
        todo!()
    }

    /// A tenant's templates, newest first.
    pub async fn templates(&self, _tenant: &TenantId) -> Result<Vec<StoredTemplate>> {
        todo!()
    }

    /// Deletes a template.
    pub async fn delete_template(&self, _tenant: &TenantId, _name: &TemplateName) -> Result<()> {
        todo!()
    }
}
