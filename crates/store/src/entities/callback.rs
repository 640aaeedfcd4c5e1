//! What a receiver is owed, or was told.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "callback")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub tenant_id: String,
    pub storage_id: String,
    /// Whose queue it stands in; see [`crate::receiver`].
    pub receiver: String,
    pub status: String,
    /// The bytes that are sent, unchanged on every attempt.
    pub body: Vec<u8>,
    pub attempts: i32,
    /// Those that were made when it became owed for the last time: they use up nothing.
    pub attempts_before: i32,
    /// Whether it was tried before: first attempts go first.
    pub retry: bool,
    pub created: i64,
    /// When it is due: there just when it is owed, which the indexes rely on.
    pub next_attempt: Option<i64>,
    pub delivered: Option<i64>,
    /// Who has it; none when it can be claimed.
    pub worker: Option<String>,
    pub lease_until: Option<i64>,
    /// Grows with each claim.
    pub fence: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
