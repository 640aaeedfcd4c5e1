//! Who works: the processes that run tasks, as long as they say so. For people to see; claims need
//! it not.

use std::time::Duration;

use model::WorkerId;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _, sea_query::OnConflict,
};

use crate::{Result, Store, column, entities::worker};

impl Store {
    /// Says that a worker lives, with the number of tasks it runs at once; and forgets those that
    /// have said nothing for so long.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn worker_lives(&self, id: &WorkerId, capacity: usize, silent: Duration) -> Result<()> {
        let now = self.now();
        let row = worker::ActiveModel {
            id: Set(id.to_string()),
            capacity: Set(column::number("worker.capacity", capacity)?),
            seen: Set(now.as_millis()),
        };
        let write = self.begin_unsynced().await?;
        let again = OnConflict::column(worker::Column::Id)
            .update_columns([worker::Column::Capacity, worker::Column::Seen])
            .to_owned();
        worker::Entity::insert(row).on_conflict(again).exec_without_returning(&write.tx).await?;
        let old = worker::Column::Seen.lt((now - silent).as_millis());
        worker::Entity::delete_many().filter(old).exec(&write.tx).await?;
        write.commit().await
    }

    /// Says that a worker stops.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn worker_stops(&self, id: &WorkerId) -> Result<()> {
        let write = self.begin_unsynced().await?;
        worker::Entity::delete_by_id(id.as_str()).exec(&write.tx).await?;
        write.commit().await
    }

    /// How many tasks at once each worker runs that said something within this time.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn workers(&self, within: Duration) -> Result<Vec<usize>> {
        let living = worker::Entity::find()
            .filter(worker::Column::Seen.gte((self.now() - within).as_millis()))
            .all(self.database())
            .await?;
        living.into_iter().map(|worker| column::number("worker.capacity", worker.capacity)).collect()
    }
}
