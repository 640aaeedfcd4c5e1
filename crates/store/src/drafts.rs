//! Drafts: outputs that were begun and do not belong, or not yet, to a succeeded task.
//!
//! A draft is in the database before its first object is written to the storage, and is deleted in the
//! transaction of its task's success. So whenever a task fails, is cancelled or its worker is killed,
//! what remains in the storage is found and removed. A draft belongs to its task while that is unfinished.
//! Afterwards it is abandoned from the time `free_from` on: until then the task's worker may still be
//! writing, as it does not know yet that it lost its claim, or a sweep has leased the draft to remove it.

use std::time::Duration;

use model::{Format, OutputPath, StorageId, Task, TaskEnd, TaskId, TenantId, Timestamp};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};
use serde::{Deserialize, Serialize};

use crate::{
    convert,
    entities::{draft, job, task},
    error::{Result, StoreError},
    jobs::{self, Claim},
    store::Store,
    transaction::WriteTransaction,
};

/// Abandoned drafts that are given at once.
const PAGE_SIZE: u64 = 100;

/// An output that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Whose it is.
    pub tenant: TenantId,
    /// The storage it lies in.
    pub storage_id: StorageId,
    /// The key of its main object.
    pub output: OutputPath,
    /// The format it was to have.
    pub format: Format,
    /// The output place of its tasks, which is its key in the database.
    place: String,
    /// None while it belongs to an unfinished task.
    free_from: Option<Timestamp>,
}

/// What [`Store::reserve_draft`] found where a task's output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DraftReservation {
    /// A draft, which belongs to the task from now on.
    Reserved,
    /// No draft, and none was to be created.
    NoDraft,
    /// A draft that somebody else may still be writing to, or removing, until then.
    BusyUntil(Timestamp),
}

/// What is stored of a draft as JSON.
#[derive(Serialize, Deserialize)]
struct DraftSpec {
    output: OutputPath,
    format: Format,
}

impl Store {
    /// Reserves the draft where the task's output goes for the task. Where there is none, creates one
    /// if `create` says so.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim was lost.
    pub async fn reserve_draft(&self, claim: &Claim, create: bool) -> Result<DraftReservation> {
        let tx = self.transaction().await?;
        let (_, task) = jobs::lock_claimed(&tx, claim).await?;
        let place = output_place(&tx.db, &task.id).await?;
        let key = (task.tenant.to_string(), place.clone());
        let found = draft::Entity::find_by_id(key).lock_exclusive().one(&tx.db).await?;
        let storage_id = Set(task.spec.storage_id.to_string());
        if let Some(found) = found {
            if let Some(until) = convert::timestamp(found.free_from)
                && until > self.queue_time()
            {
                return Ok(DraftReservation::BusyUntil(until));
            }
            let reserved = draft::ActiveModel { storage_id, free_from: Set(None), ..Default::default() };
            draft::Entity::update_many()
                .set(reserved)
                .filter(is_at(&task.tenant, &place))
                .exec(&tx.db)
                .await?;
        } else if create {
            let spec = DraftSpec { output: task.spec.output.clone(), format: task.spec.template.format };
            let row = draft::ActiveModel {
                tenant_id: Set(task.tenant.to_string()),
                place: Set(place),
                storage_id,
                spec: Set(convert::to_json("draft.spec", &spec)?),
                free_from: Set(None),
            };
            draft::Entity::insert(row).exec_without_returning(&tx.db).await?;
        } else {
            return Ok(DraftReservation::NoDraft);
        }
        tx.commit().await?;
        Ok(DraftReservation::Reserved)
    }

    /// The draft that belongs to the task, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim was lost.
    pub async fn draft(&self, claim: &Claim) -> Result<Option<Draft>> {
        self.check_claim(claim).await?;
        let task = &claim.task;
        let place = output_place(self.database(), &task.id).await?;
        let reserved = is_at(&task.tenant, &place).add(draft::Column::FreeFrom.is_null());
        draft::Entity::find().filter(reserved).one(self.database()).await?.map(read).transpose()
    }

    /// Drafts that belong to no task and that nobody writes to any more, except those in these
    /// storages. Those that have been so for longest come first; at most 100.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn abandoned_drafts(&self, except: &[StorageId]) -> Result<Vec<Draft>> {
        let rows = draft::Entity::find()
            .filter(draft::Column::FreeFrom.lte(self.queue_time().as_millis()))
            .filter(draft::Column::StorageId.is_not_in(except.iter().map(StorageId::as_str)))
            .order_by_asc(draft::Column::FreeFrom)
            .limit(PAGE_SIZE)
            .all(self.database())
            .await?;
        rows.into_iter().map(read).collect()
    }

    /// Leases an abandoned draft, to remove what is left of it: for this long nobody else gets it.
    /// None when somebody else was quicker.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lease_draft(&self, draft: &Draft, lease: Duration) -> Result<Option<Draft>> {
        let until = self.queue_time() + lease;
        if self.set_free_from(draft, until).await? {
            Ok(Some(Draft { free_from: Some(until), ..draft.clone() }))
        } else {
            Ok(None)
        }
    }

    /// Ends the lease of a draft of which something is left in the storage: it is abandoned again.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release_draft(&self, leased: &Draft) -> Result<()> {
        self.set_free_from(leased, self.queue_time()).await.map(|_| ())
    }

    /// Deletes a leased draft of which nothing is left in the storage. Does nothing when the lease was
    /// lost.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_draft(&self, leased: &Draft) -> Result<()> {
        let tx = self.transaction().await?;
        draft::Entity::delete_many().filter(is_unchanged(leased)).exec(&tx.db).await?;
        tx.commit().await
    }

    /// Changes when a draft is free, if nobody changed it meanwhile; says whether it did.
    async fn set_free_from(&self, draft: &Draft, from: Timestamp) -> Result<bool> {
        let tx = self.transaction().await?;
        let changes = draft::ActiveModel { free_from: Set(Some(from.as_millis())), ..Default::default() };
        let updated =
            draft::Entity::update_many().set(changes).filter(is_unchanged(draft)).exec(&tx.db).await?;
        tx.commit().await?;
        Ok(updated.rows_affected > 0)
    }

    /// What the end of a task means for its draft: that of a succeeded task is a finished output and
    /// no draft any more; any other is abandoned, once the lease of `job`'s worker has ended, by when
    /// that worker must have noticed.
    pub(crate) async fn end_draft(
        &self,
        tx: &WriteTransaction<'_>,
        task: &Task,
        end: &TaskEnd,
        job: Option<&job::Model>,
    ) -> Result<()> {
        if !task.spec.template.has_folder() {
            return Ok(());
        }
        let its_draft = is_at(&task.tenant, &output_place(&tx.db, &task.id).await?);
        match end {
            TaskEnd::Succeeded(_) => {
                draft::Entity::delete_many().filter(its_draft).exec(&tx.db).await?;
            }
            TaskEnd::Failed(_) | TaskEnd::Cancelled => {
                let lease_until = convert::timestamp(job.and_then(|job| job.lease_until));
                let now = self.queue_time();
                let from = lease_until.map_or(now, |until| until.max(now));
                let changes =
                    draft::ActiveModel { free_from: Set(Some(from.as_millis())), ..Default::default() };
                let reserved = its_draft.add(draft::Column::FreeFrom.is_null());
                draft::Entity::update_many().set(changes).filter(reserved).exec(&tx.db).await?;
            }
        }
        Ok(())
    }
}

/// The column `output_place` of a task.
async fn output_place(database: &impl ConnectionTrait, id: &TaskId) -> Result<String> {
    let place = task::Entity::find_by_id(id.as_str())
        .select_only()
        .column(task::Column::OutputPlace)
        .into_tuple()
        .one(database)
        .await?;
    place.ok_or_else(|| StoreError::NotFound(format!("there is no task `{id}`")))
}

/// The draft of this tenant at this output place.
fn is_at(tenant: &TenantId, place: &str) -> Condition {
    Condition::all().add(draft::Column::TenantId.eq(tenant.as_str())).add(draft::Column::Place.eq(place))
}

/// Compare-and-set: the draft's row, as long as it is as it was read.
fn is_unchanged(draft: &Draft) -> Condition {
    let free_from = draft.free_from.map(Timestamp::as_millis);
    is_at(&draft.tenant, &draft.place).add(draft::Column::FreeFrom.eq(free_from))
}

fn read(row: draft::Model) -> Result<Draft> {
    let DraftSpec { output, format } = convert::from_json("draft.spec", &row.spec)?;
    Ok(Draft {
        tenant: convert::parse("draft.tenant_id", &row.tenant_id)?,
        storage_id: convert::parse("draft.storage_id", &row.storage_id)?,
        output,
        format,
        place: row.place,
        free_from: convert::timestamp(row.free_from),
    })
}
