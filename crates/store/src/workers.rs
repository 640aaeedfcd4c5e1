//! Workers: the processes that run tasks, as long as they send heartbeats. For people to see; claims do
//! not depend on it.

use std::time::Duration;

use model::WorkerId;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _, sea_query::OnConflict,
};

use crate::{convert, entities::worker, error::Result, store::Store};

/// Why no task is begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdleReason {
    /// No worker is there.
    NoWorker,
    /// There are workers, and each has a reason to claim nothing: that of one of them.
    Paused(String),
}

impl Store {
    /// Records that a worker lives, how many tasks it runs at once, and why it claims none now (empty while
    /// it does); and deletes the workers whose last heartbeat is older than `max_silence`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record_heartbeat(
        &self,
        id: &WorkerId,
        capacity: usize,
        paused: &str,
        max_silence: Duration,
    ) -> Result<()> {
        let now = self.queue_time();
        let row = worker::ActiveModel {
            id: Set(id.to_string()),
            capacity: Set(convert::number("worker.capacity", capacity)?),
            paused: Set(convert::without_nul(paused)),
            seen: Set(now.as_millis()),
        };
        let update_known = OnConflict::column(worker::Column::Id)
            .update_columns([worker::Column::Capacity, worker::Column::Paused, worker::Column::Seen])
            .to_owned();
        let tx = self.unsynced_transaction().await?;
        worker::Entity::insert(row).on_conflict(update_known).exec_without_returning(&tx.db).await?;
        let silent = worker::Column::Seen.lt((now - max_silence).as_millis());
        worker::Entity::delete_many().filter(silent).exec(&tx.db).await?;
        tx.commit().await
    }

    /// Deletes a worker that stops.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_worker(&self, id: &WorkerId) -> Result<()> {
        let tx = self.unsynced_transaction().await?;
        worker::Entity::delete_by_id(id.as_str()).exec(&tx.db).await?;
        tx.commit().await
    }

    /// How many tasks at once each worker runs whose last heartbeat is at most this old.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn live_worker_capacities(&self, max_silence: Duration) -> Result<Vec<usize>> {
        let live = self.live_workers(max_silence).await?;
        live.into_iter().map(|worker| convert::number("worker.capacity", worker.capacity)).collect()
    }

    /// Why no task is begun now, when none is: no worker lives, or those that do claim none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn idle_reason(&self, max_silence: Duration) -> Result<Option<IdleReason>> {
        let live = self.live_workers(max_silence).await?;
        match live.first() {
            None => Ok(Some(IdleReason::NoWorker)),
            Some(first) if live.iter().all(|worker| !worker.paused.is_empty()) => {
                Ok(Some(IdleReason::Paused(first.paused.clone())))
            }
            Some(_) => Ok(None),
        }
    }

    async fn live_workers(&self, max_silence: Duration) -> Result<Vec<worker::Model>> {
        Ok(worker::Entity::find()
            .filter(worker::Column::Seen.gte((self.queue_time() - max_silence).as_millis()))
            .all(self.database())
            .await?)
    }
}
