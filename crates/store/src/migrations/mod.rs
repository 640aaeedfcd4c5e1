//! Migrations of the schema, one file for each. One that was released never changes.

use sea_orm_migration::prelude::*;

mod m0001_first;
mod m0002_delivery;
mod m0003_lists;
mod m0004_clients;
mod m0005_folders;
mod m0006_drafts;
mod m0007_shares;
mod m0008_retention;
mod m0009_input_objects;
mod m0010_paused_workers;

pub(crate) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_first::Migration),
            Box::new(m0002_delivery::Migration),
            Box::new(m0003_lists::Migration),
            Box::new(m0004_clients::Migration),
            Box::new(m0005_folders::Migration),
            Box::new(m0006_drafts::Migration),
            Box::new(m0007_shares::Migration),
            Box::new(m0008_retention::Migration),
            Box::new(m0009_input_objects::Migration),
            Box::new(m0010_paused_workers::Migration),
        ]
    }
}
