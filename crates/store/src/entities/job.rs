//! The queue: one row for each unfinished task.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "job")]
pub struct Model {
    /// Never used again, so that the claim of a row that was deleted never fits a later one.
    #[sea_orm(primary_key)]
    pub id: i64,
    pub task_id: String,
    pub tenant_id: String,
    pub priority: i32,
    /// Since when it is ready, in queue time; it cannot be claimed before.
    pub run_at: i64,
    /// Who has claimed it; none when it can be claimed.
    pub worker: Option<String>,
    pub lease_until: Option<i64>,
    /// Grows with each claim.
    pub fence: i64,
    /// Claims that were not given back.
    pub claims: i32,
    /// Failures after which it was to be tried again.
    pub tries: i32,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
