//! A callback becomes owed: its bytes are composed and stored with the end of its tasks.

use model::{CallbackId, CallbackStatus, Storage, Task};
use sea_orm::{ActiveValue::Set, EntityTrait as _};

use crate::{
    callbacks::queue::queue_name,
    entities::{callback, callback_task},
    error::Result,
    store::Store,
    transaction::{OwedCallback, WriteTransaction},
};

impl Store {
    /// Owes the receiver of a storage a callback about tasks that ended, of which there is at least one.
    pub(crate) async fn owe_callback(
        &self,
        tx: &mut WriteTransaction<'_>,
        storage: &Storage,
        tasks: &[Task],
    ) -> Result<()> {
        let Some(first) = tasks.first() else { return Ok(()) };
        let id = CallbackId::generate(&mut rand::rng());
        let queue = queue_name(storage);
        let row = callback::ActiveModel {
            id: Set(id.to_string()),
            tenant_id: Set(storage.tenant.to_string()),
            storage_id: Set(storage.id.to_string()),
            receiver: Set(queue.clone()),
            status: Set(CallbackStatus::Owed.to_string()),
            body: Set(self.compose(storage, tasks)),
            attempts: Set(0),
            attempts_before: Set(0),
            retry: Set(false),
            created: Set(self.now().as_millis()),
            next_attempt: Set(Some(self.queue_time().as_millis())),
            delivered: Set(None),
            worker: Set(None),
            lease_until: Set(None),
            fence: Set(0),
        };
        callback::Entity::insert(row).exec_without_returning(&tx.db).await?;
        let rows = (0..).zip(tasks).map(|(position, task)| callback_task::ActiveModel {
            callback_id: Set(id.to_string()),
            position: Set(position),
            task_id: Set(task.id.to_string()),
        });
        callback_task::Entity::insert_many(rows).exec_without_returning(&tx.db).await?;
        let owed = OwedCallback {
            id,
            storage_id: storage.id.clone(),
            first_task: first.id.clone(),
            task_count: tasks.len(),
        };
        tx.callback_owed(owed, &queue);
        Ok(())
    }
}
