//! Drafts: outputs that were begun and do not belong, or not yet, to a succeeded task.
//!
//! A draft is in the database before its first object is written to the storage, and is deleted in the
//! transaction of its task's success. So whenever a task fails, is cancelled or its worker is killed,
//! what remains in the storage is found and removed. A draft belongs to its task while that is unfinished.
//! Afterwards it is abandoned from the time `free_from` on: until then the task's worker may still be
//! writing, as it does not know yet that it lost its claim, or a sweep has leased the draft to remove it.
//!
//! Each try that finds a draft puts its objects into a folder of its own, so that a worker which was taken for
//! dead meets none of them, whatever it still does. The draft has the folders of all tries; those of earlier
//! ones outlive a success until they were removed.

use std::time::Duration;

use model::{Format, OutputPath, Storage, StorageId, Task, TaskEnd, TaskId, TenantId, Timestamp};
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
    storages,
    store::Store,
    tasks,
    transaction::WriteTransaction,
};

/// Abandoned drafts that are given at once.
const PAGE_SIZE: u64 = 100;

/// How long after a success it is looked once more whether an earlier try of the task has left something: a
/// request of it may have been on its way.
const LEFTOVERS_DELAY: Duration = Duration::from_secs(60);

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
    /// Whether it may have more objects than its main one.
    pub has_folder: bool,
    /// Which of the objects there are its own.
    pub objects: DraftObjects,
    /// The output place of its tasks, which is its key in the database.
    place: String,
    /// None while it belongs to an unfinished task.
    free_from: Option<Timestamp>,
}

/// Which objects belong to a draft.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DraftObjects {
    /// The folder of the present try, below the output's own; empty: that one itself, for a first try.
    pub folder: String,
    /// The folders of earlier tries.
    pub earlier_folders: Vec<String>,
    /// Whether the present try has succeeded: its objects are an output, and those of earlier tries alone are
    /// to be removed.
    pub is_finished: bool,
    /// Set before a complete main object is put for the first time. Such an object is the draft's own then,
    /// unless it is still the version that was there before.
    pub main: Option<MainObjectPut>,
}

/// A main object was put, or nearly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MainObjectPut {
    /// The version that was there before; none where no object was.
    pub replaced: Option<String>,
}

impl DraftObjects {
    /// Those of the next try, which has this folder.
    fn next_try(self, folder: &str) -> Self {
        let mut earlier_folders = self.earlier_folders;
        // the objects of a success are an output that the next task replaces
        let main = if self.is_finished {
            None
        } else {
            earlier_folders.push(self.folder);
            self.main
        };
        Self { folder: folder.to_owned(), earlier_folders, is_finished: false, main }
    }
}

/// What [`Store::reserve_draft`] found where a task's output goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DraftReservation {
    /// A draft, which belongs to the task from now on.
    Reserved(DraftObjects),
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
    #[serde(default = "always")]
    has_folder: bool,
    #[serde(flatten)]
    objects: DraftObjects,
}

/// Before single files were drafts, each had a folder.
const fn always() -> bool {
    true
}

impl Store {
    /// Reserves the draft where the task's output goes for this try of the task. Where there is one, the try gets
    /// `own_folder`, which no try had before; where there is none, creates one if `create` says so.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim was lost.
    pub async fn reserve_draft(
        &self,
        claim: &Claim,
        create: bool,
        own_folder: &str,
    ) -> Result<DraftReservation> {
        let tx = self.transaction().await?;
        let (_, task) = jobs::lock_claimed(&tx, claim).await?;
        let place = output_place(&tx.db, &task.id).await?;
        let key = (task.tenant.to_string(), place.clone());
        let found = draft::Entity::find_by_id(key).lock_exclusive().one(&tx.db).await?;
        let storage_id = Set(task.spec.storage_id.to_string());
        let (output, template) = (task.spec.output.clone(), &task.spec.template);
        let (format, has_folder) = (template.format, template.has_folder());
        let objects = if let Some(found) = found {
            let found = read(found)?;
            // what is removed of a finished one is in folders that nobody uses any more
            if let Some(until) = found.free_from
                && until > self.queue_time()
                && !found.objects.is_finished
            {
                return Ok(DraftReservation::BusyUntil(until));
            }
            let objects = found.objects.next_try(own_folder);
            let spec = DraftSpec { output, format, has_folder, objects };
            let reserved = draft::ActiveModel {
                storage_id,
                spec: Set(convert::to_json("draft.spec", &spec)?),
                free_from: Set(None),
                ..Default::default()
            };
            draft::Entity::update_many()
                .set(reserved)
                .filter(is_at(&task.tenant, &place))
                .exec(&tx.db)
                .await?;
            spec.objects
        } else if create {
            let spec = DraftSpec { output, format, has_folder, objects: DraftObjects::default() };
            let row = draft::ActiveModel {
                tenant_id: Set(task.tenant.to_string()),
                place: Set(place),
                storage_id,
                spec: Set(convert::to_json("draft.spec", &spec)?),
                free_from: Set(None),
            };
            draft::Entity::insert(row).exec_without_returning(&tx.db).await?;
            spec.objects
        } else {
            return Ok(DraftReservation::NoDraft);
        };
        tx.commit().await?;
        Ok(DraftReservation::Reserved(objects))
    }

    /// Notes in the task's draft that its complete main object is about to be put, in place of the version
    /// `replaced`. From now on it is the draft's own, and is removed unless the task succeeds.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim was lost, [`StoreError::Field`] when it is the input of an
    /// unfinished task.
    pub async fn begin_main_object(&self, claim: &Claim, replaced: Option<String>) -> Result<()> {
        let tx = self.transaction().await?;
        let (_, task) = jobs::lock_claimed(&tx, claim).await?;
        // when both tasks were created at one moment, neither saw the other
        tasks::check_inputs_are_kept(&tx, std::slice::from_ref(&task), Some(&task.id)).await?;
        let its_draft = is_at(&task.tenant, &output_place(&tx.db, &task.id).await?);
        let reserved = its_draft.add(draft::Column::FreeFrom.is_null());
        let found = draft::Entity::find().filter(reserved.clone()).lock_exclusive().one(&tx.db).await?;
        let found = found.ok_or_else(|| {
            StoreError::Corrupt(format!("the task `{}` puts its output and has no draft", task.id))
        })?;
        let mut spec: DraftSpec = convert::from_json("draft.spec", &found.spec)?;
        // an earlier try has noted what was there before any of them
        spec.objects.main.get_or_insert(MainObjectPut { replaced });
        let spec = Set(convert::to_json("draft.spec", &spec)?);
        let changes = draft::ActiveModel { spec, ..Default::default() };
        draft::Entity::update_many().set(changes).filter(reserved).exec(&tx.db).await?;
        tx.commit().await
    }

    /// The storage that a draft lies in; none when that storage is another place by now.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the storage was deleted.
    pub async fn storage_of_draft(&self, draft: &Draft) -> Result<Option<Storage>> {
        let row = storages::find(self.database(), &draft.tenant, &draft.storage_id, None).await?;
        let service_id = storages::service_id(&row, self.cipher())?;
        let storage = storages::read(row, self.cipher())?;
        let place = tasks::output_place(&service_id, &storage.uri(draft.output.key()));
        Ok((place == draft.place).then_some(storage))
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
    /// no draft any more, but for what earlier tries may have left; any other is abandoned, once the lease of
    /// `job`'s worker has ended, by when that worker must have noticed.
    pub(crate) async fn end_draft(
        &self,
        tx: &WriteTransaction<'_>,
        task: &Task,
        end: &TaskEnd,
        job: Option<&job::Model>,
    ) -> Result<()> {
        let its_draft = is_at(&task.tenant, &output_place(&tx.db, &task.id).await?);
        match end {
            TaskEnd::Succeeded(_) => {
                let found = draft::Entity::find().filter(its_draft.clone()).one(&tx.db).await?;
                let Some(found) = found else { return Ok(()) };
                let mut spec: DraftSpec = convert::from_json("draft.spec", &found.spec)?;
                if spec.objects.earlier_folders.is_empty() {
                    draft::Entity::delete_many().filter(its_draft).exec(&tx.db).await?;
                    return Ok(());
                }
                spec.objects.is_finished = true;
                let changes = draft::ActiveModel {
                    spec: Set(convert::to_json("draft.spec", &spec)?),
                    free_from: Set(Some((self.queue_time() + LEFTOVERS_DELAY).as_millis())),
                    ..Default::default()
                };
                draft::Entity::update_many().set(changes).filter(its_draft).exec(&tx.db).await?;
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
    let DraftSpec { output, format, has_folder, objects } = convert::from_json("draft.spec", &row.spec)?;
    Ok(Draft {
        tenant: convert::parse("draft.tenant_id", &row.tenant_id)?,
        storage_id: convert::parse("draft.storage_id", &row.storage_id)?,
        output,
        format,
        has_folder,
        objects,
        place: row.place,
        free_from: convert::timestamp(row.free_from),
    })
}
