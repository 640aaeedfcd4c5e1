//! Callbacks: owed, delivered or given up.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "callback")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub tenant_id: String,
    pub storage_id: String,
    /// The name of its queue; see [`crate::callbacks::queue`].
    pub receiver: String,
    pub status: String,
    /// The bytes that are sent, unchanged on every attempt.
    pub body: Vec<u8>,
    pub attempts: i32,
    /// Those of them that were made before it was redelivered: they do not count against the limit.
    pub attempts_before: i32,
    /// Whether it was tried before. First attempts are claimed apart from retries.
    pub retry: bool,
    pub created: i64,
    /// When the next attempt is due; set exactly while it is owed, which the partial indexes rely on.
    pub next_attempt: Option<i64>,
    pub delivered: Option<i64>,
    /// Who has claimed it; none when it can be claimed.
    pub worker: Option<String>,
    pub lease_until: Option<i64>,
    /// Grows with each claim.
    pub fence: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
