//! Changes of the numbers of tasks, inserted by triggers, until they are folded into `task_count`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "task_change")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub tenant_id: String,
    /// The day on which the tasks were created, in days since the epoch.
    pub day: i64,
    pub storage_id: String,
    pub template_name: String,
    pub status: String,
    /// How many more tasks there are; negative for fewer.
    pub n: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
