//! Answers to calls that came with an idempotency key; see [`crate::idempotency`].

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "answer")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: String,
    /// The idempotency key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// A hash of what was called.
    pub digest: Vec<u8>,
    /// Encrypted by [`crate::Cipher`].
    pub answer: Vec<u8>,
    pub created: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
