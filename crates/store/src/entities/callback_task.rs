//! Which tasks a callback is about, in order.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "callback_task")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub callback_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i32,
    pub task_id: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
