//! Outputs that were begun and are not, or not yet, those of a succeeded task.

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
    /// Which objects are its, as JSON.
    pub spec: String,
    /// None while an unfinished task has it; else when nobody writes to it any more.
    pub free_from: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
