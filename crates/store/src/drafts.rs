//! Drafts: outputs that were begun and are not, or not yet, those of a succeeded task.
//!
//! A draft is known before its first object is put, and forgotten in the transaction of its task's
//! success. So whatever fails, is cancelled or killed when, what remains of it is found and removed.
//! An unfinished task has its draft for itself. Without one, it is free from a moment on: until then
//! somebody who does not know yet that it is no longer his may write to it, or remove it.

use std::time::Duration;

use model::{Format, OutputPath, StorageId, Task, TaskEnd, TaskId, TenantId, Timestamp};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};
use serde::{Deserialize, Serialize};

use crate::{
    Claim, Result, Store, StoreError,
    begin::Write,
    column,
    entities::{draft, job, task},
    jobs,
};

/// Drafts that are looked at in one go.
const PIECE: u64 = 100;

/// An output that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Whose it is.
    pub tenant: TenantId,
    /// Where it lies.
    pub storage_id: StorageId,
    /// The key of its main object.
    pub output: OutputPath,
    /// What it was to become.
    pub format: Format,
    place: String,
    free_from: Option<Timestamp>,
}

/// What [`Store::reserve`] found where a task's output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// A draft, which is the task's own from now on.
    Draft,
    /// No draft, and none was to be begun.
    Nothing,
    /// A draft that somebody else may still be at, until then.
    Busy(Timestamp),
}

#[derive(Serialize, Deserialize)]
struct Spec {
    output: OutputPath,
    format: Format,
}

impl Store {
    /// Makes the draft where the task's output goes the task's own; where there is none, one is begun
    /// if `begin` says so.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim was lost.
    pub async fn reserve(&self, claim: &Claim, begin: bool) -> Result<Reserved> {
        let write = self.begin().await?;
        let (_, task) = jobs::hold(&write, claim).await?;
        let place = place(&write.tx, &task.id).await?;
        let key = (task.tenant.to_string(), place.clone());
        let found = draft::Entity::find_by_id(key).lock_exclusive().one(&write.tx).await?;
        let storage_id = Set(task.spec.storage_id.to_string());
        match found {
            Some(found) => {
                if let Some(until) = column::moment(found.free_from).filter(|until| *until > self.now()) {
                    return Ok(Reserved::Busy(until));
                }
                let ours = draft::ActiveModel { storage_id, free_from: Set(None), ..Default::default() };
                let at = at(&task.tenant, &place);
                draft::Entity::update_many().set(ours).filter(at).exec(&write.tx).await?;
            }
            None if begin => {
                let spec = Spec { output: task.spec.output.clone(), format: task.spec.template.format };
                let row = draft::ActiveModel {
                    tenant_id: Set(task.tenant.to_string()),
                    place: Set(place),
                    storage_id,
                    spec: Set(column::to_json("draft.spec", &spec)?),
                    free_from: Set(None),
                };
                draft::Entity::insert(row).exec_without_returning(&write.tx).await?;
            }
            None => return Ok(Reserved::Nothing),
        }
        write.commit().await?;
        Ok(Reserved::Draft)
    }

    /// The draft that is the task's own.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim was lost.
    pub async fn draft(&self, claim: &Claim) -> Result<Option<Draft>> {
        self.check(claim).await?;
        let task = &claim.task;
        let place = place(self.database(), &task.id).await?;
        let own = at(&task.tenant, &place).add(draft::Column::FreeFrom.is_null());
        draft::Entity::find().filter(own).one(self.database()).await?.map(read).transpose()
    }

    /// Drafts that no task has and nobody is at any more, but in these storages; those that have been
    /// so the longest come first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn left_drafts(&self, but: &[StorageId]) -> Result<Vec<Draft>> {
        let rows = draft::Entity::find()
            .filter(draft::Column::FreeFrom.lte(self.now().as_millis()))
            .filter(draft::Column::StorageId.is_not_in(but.iter().map(StorageId::as_str)))
            .order_by_asc(draft::Column::FreeFrom)
            .limit(PIECE)
            .all(self.database())
            .await?;
        rows.into_iter().map(read).collect()
    }

    /// Keeps everybody else from a draft that is left, for so long; gives it as it is now, or none
    /// when somebody else was quicker.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_draft(&self, draft: &Draft, time: Duration) -> Result<Option<Draft>> {
        let until = self.now() + time;
        let taken = self.free_draft(draft, until).await?;
        Ok(taken.then(|| Draft { free_from: Some(until), ..draft.clone() }))
    }

    /// Gives a draft back that was taken: not all of it could be removed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn leave_draft(&self, taken: &Draft) -> Result<()> {
        self.free_draft(taken, self.now()).await.map(|_| ())
    }

    /// Forgets a draft that was taken: nothing of it is left.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_draft(&self, taken: &Draft) -> Result<()> {
        let write = self.begin().await?;
        draft::Entity::delete_many().filter(as_it_was(taken)).exec(&write.tx).await?;
        write.commit().await
    }

    /// Whether it was still as it was.
    async fn free_draft(&self, draft: &Draft, from: Timestamp) -> Result<bool> {
        let write = self.begin().await?;
        let changed = draft::ActiveModel { free_from: Set(Some(from.as_millis())), ..Default::default() };
        let updated =
            draft::Entity::update_many().set(changed).filter(as_it_was(draft)).exec(&write.tx).await?;
        write.commit().await?;
        Ok(updated.rows_affected > 0)
    }

    /// What the end of a task means for its draft: an output that succeeded is none, and any other is
    /// free once `job`'s worker must have noticed.
    pub(crate) async fn end_draft(
        &self,
        write: &Write<'_>,
        task: &Task,
        end: &TaskEnd,
        job: Option<&job::Model>,
    ) -> Result<()> {
        if !task.spec.template.has_folder() {
            return Ok(());
        }
        let at = at(&task.tenant, &place(&write.tx, &task.id).await?);
        match end {
            TaskEnd::Succeeded(_) => {
                draft::Entity::delete_many().filter(at).exec(&write.tx).await?;
            }
            TaskEnd::Failed(_) | TaskEnd::Cancelled => {
                let held = column::moment(job.and_then(|job| job.lease_until));
                let from = held.map_or(self.now(), |until| until.max(self.now()));
                let free =
                    draft::ActiveModel { free_from: Set(Some(from.as_millis())), ..Default::default() };
                let own = at.add(draft::Column::FreeFrom.is_null());
                draft::Entity::update_many().set(free).filter(own).exec(&write.tx).await?;
            }
        }
        Ok(())
    }
}

/// Where the output of a task goes.
async fn place(database: &impl ConnectionTrait, id: &TaskId) -> Result<String> {
    let place = task::Entity::find_by_id(id.as_str())
        .select_only()
        .column(task::Column::OutputPlace)
        .into_tuple()
        .one(database)
        .await?;
    place.ok_or_else(|| StoreError::NotFound(format!("there is no task `{id}`")))
}

fn at(tenant: &TenantId, place: &str) -> Condition {
    Condition::all().add(draft::Column::TenantId.eq(tenant.as_str())).add(draft::Column::Place.eq(place))
}

fn as_it_was(draft: &Draft) -> Condition {
    let free_from = draft.free_from.map(Timestamp::as_millis);
    at(&draft.tenant, &draft.place).add(draft::Column::FreeFrom.eq(free_from))
}

fn read(row: draft::Model) -> Result<Draft> {
    let Spec { output, format } = column::from_json("draft.spec", &row.spec)?;
    Ok(Draft {
        tenant: column::read("draft.tenant_id", &row.tenant_id)?,
        storage_id: column::read("draft.storage_id", &row.storage_id)?,
        output,
        format,
        place: row.place,
        free_from: column::moment(row.free_from),
    })
}
