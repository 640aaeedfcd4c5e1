//! Drafts: outputs that were begun and do not belong, or not yet, to a succeeded task.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "draft")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: String,
    /// The `output_place` of its tasks.
    #[sea_orm(primary_key, auto_increment = false)]
    pub place: String,
    pub storage_id: String,
    /// What tells which objects belong to it, as JSON.
    pub spec: String,
    /// None while it belongs to an unfinished task; else from when on nobody writes to it any more.
    pub free_from: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
