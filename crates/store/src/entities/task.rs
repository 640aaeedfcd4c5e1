//! Tasks: what is to be done, and what became of it.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "task")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub tenant_id: String,
    pub batch_id: Option<String>,
    pub storage_id: String,
    pub template_name: String,
    /// Where the output goes: the service that its bucket is in, and its URI. Unique among a tenant's
    /// unfinished tasks, because two storages may share a bucket.
    pub output_place: String,
    /// The access key whose quota the task counts against.
    pub access_key: Option<String>,
    /// The upload that is its input, if one is.
    pub upload_id: Option<String>,
    /// The URI of its input, if that is an object of a storage.
    pub input_object: Option<String>,
    pub custom_info: String,
    /// JSON.
    pub spec: String,
    pub output_uri: String,
    pub region: String,
    pub created: i64,
    pub status: String,
    pub progress: i32,
    pub started: Option<i64>,
    /// None while it is unfinished.
    pub finished: Option<i64>,
    /// By state: the facts of the output, the failure, or what it waits for; as JSON.
    pub outcome: Option<String>,
    /// What the input turned out to be, as JSON.
    pub source: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
