//! Storages: where outputs go. The secrets are encrypted by [`crate::Cipher`].

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "storage")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub tenant_id: String,
    /// Everything that is no secret, as JSON.
    pub spec: String,
    pub storage_ak: Vec<u8>,
    pub storage_sk: Vec<u8>,
    pub notify_secret: Vec<u8>,
    /// The former one, which signs beside it until the time in the next column.
    pub old_notify_secret: Option<Vec<u8>>,
    pub old_notify_secret_until: Option<i64>,
    pub created: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
