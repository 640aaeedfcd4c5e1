//! The queue: one row for each unfinished task.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "job")]
pub struct Model {
    /// Never used again, so that a claim of a row that is gone fits no later one.
    #[sea_orm(primary_key)]
    pub id: i64,
    pub task_id: String,
    pub priority: i32,
    /// The place in the fair share between tenants.
    pub vtime: i64,
    /// Not claimable before; 0 is at once, whatever the clocks of two machines say.
    pub run_at: i64,
    /// Who has it; none when it can be claimed.
    pub worker: Option<String>,
    pub lease_until: Option<i64>,
    /// Grows with each claim.
    pub fence: i64,
    /// Claims that were not handed back.
    pub claims: i32,
    /// Failures that are tried again.
    pub tries: i32,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
