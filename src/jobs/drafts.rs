//! Drafts: what was stored of an output whose task has not succeeded is removed (docs/decisions/0010).
//!
//! The worker whose task failed does it at once; the sweep does it when a worker was killed, a task was
//! cancelled, or the storage could not be reached. Each of them holds a lease, and deletes nothing without it.
//! Only objects with names that outputs have are removed: others in the same folder are somebody else's.

use std::{
    collections::HashMap,
    ops::ControlFlow,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use media::OutputLayout;
use model::{Format, StorageId};
use storage::{Bucket, ObjectVersion, StorageError};
use store::{Draft, DraftObjects, StoreError};
use tokio_util::sync::CancellationToken;

use super::{
    context::JobContext,
    lease::{Lease, Moment, write_guard},
    periodic::run_round,
};
use crate::app::App;

/// How long nobody else may take a draft that is being removed.
const REMOVAL_LEASE: Duration = Duration::from_secs(60);

/// How long removing a draft may take: it is over well before its lease.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a storage is left alone from which a draft could not be removed.
const STORAGE_BACKOFF: Duration = Duration::from_secs(10 * 60);

/// Objects that are deleted at the same time.
const CONCURRENT_DELETES: usize = 8;

/// A main playlist that Borealis wrote is never larger, in bytes.
const MAX_MAIN_PLAYLIST_BYTES: u64 = 1 << 20;

/// Why a draft could not be removed.
#[derive(Debug, thiserror::Error)]
enum RemovalError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("not done within {} s", REMOVAL_TIMEOUT.as_secs())]
    TimedOut,
    #[error("it panicked")]
    Panicked,
}

/// Removes what a job has stored of its output, because the job failed. Best effort: a draft that could
/// not be removed stays known to the database, and the sweep tries again.
pub(super) async fn discard(app: &App, job: &JobContext) {
    let removed = async {
        match app.store.draft(&job.claim).await? {
            Some(draft) => remove(app, &draft, &job.lease).await,
            None => Ok(()),
        }
    };
    let removed = tokio::select! {
        removed = tokio::time::timeout(REMOVAL_TIMEOUT, removed) => removed.unwrap_or(Err(RemovalError::TimedOut)),
        () = job.lease.lost() => return,
    };
    match removed {
        Ok(()) | Err(RemovalError::Store(StoreError::Fenced)) => {}
        Err(error) => {
            tracing::warn!(%error, "could not remove the draft of a failed task; it is tried again later")
        }
    }
}

/// Removes, now and then, the drafts that no task has any more, until `stop`.
pub(crate) async fn sweep(app: Arc<App>, stop: CancellationToken) {
    let mut backoff = HashMap::new();
    loop {
        run_round("drafts", async {
            if let Err(error) = sweep_once(&app, &mut backoff).await {
                tracing::error!(%error, "could not look for abandoned drafts");
            }
        })
        .await;
        tokio::select! {
            () = tokio::time::sleep(app.settings.worker.lease) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// `backoff`: the storages that are left alone, and since when.
async fn sweep_once(app: &App, backoff: &mut HashMap<StorageId, Instant>) -> Result<(), StoreError> {
    backoff.retain(|_, since| since.elapsed() < STORAGE_BACKOFF);
    let left_alone: Vec<StorageId> = backoff.keys().cloned().collect();
    for draft in app.store.abandoned_drafts(&left_alone).await? {
        // an earlier draft of this sweep may have shown that the storage cannot be reached
        if backoff.contains_key(&draft.storage_id) {
            continue;
        }
        let sent = Moment::now();
        let Some(draft) = app.store.lease_draft(&draft, REMOVAL_LEASE).await? else { continue };
        let lease = Arc::new(Lease::new(REMOVAL_LEASE, sent));
        // what one storage answers must not keep the drafts of others
        let removal = AssertUnwindSafe(remove(app, &draft, &lease)).catch_unwind();
        let removed = match tokio::time::timeout(REMOVAL_TIMEOUT, removal).await {
            Ok(removed) => removed.unwrap_or(Err(RemovalError::Panicked)),
            Err(_) => Err(RemovalError::TimedOut),
        };
        match removed {
            Ok(()) => app.store.delete_draft(&draft).await?,
            Err(error) => {
                tracing::warn!(%error, output = draft.output.key(), "could not remove a draft; it is tried again later");
                backoff.insert(draft.storage_id.clone(), Instant::now());
                app.store.release_draft(&draft).await?;
            }
        }
    }
    Ok(())
}

/// Removes every object of a draft, the main object first: it refers to the others, so that nobody is
/// led to what is gone. A main object that is not the draft's own stays, and what it may refer to.
async fn remove(app: &App, draft: &Draft, lease: &Arc<Lease>) -> Result<(), RemovalError> {
    let Some(storage) = app.store.storage_of_draft(draft).await? else {
        tracing::warn!(
            output = draft.output.key(),
            "a storage is another place by now; what a task left in the former one stays there"
        );
        return Ok(());
    };
    let bucket = app.storages.interactive().with_write_guard(write_guard(lease)).open(&storage)?;
    let main = draft.output.key();
    let present = bucket.version(main).await?;
    let is_output_there = draft.objects.is_finished
        || match &present {
            Some(version) => !is_main_of_draft(&bucket, main, draft.format, &draft.objects, version).await?,
            None => false,
        };
    if present.is_some() && !is_output_there {
        bucket.delete(main).await?;
    }
    if !draft.has_folder {
        return Ok(());
    }
    let prefix = format!("{}/", draft.output.folder(draft.format));
    let folders = is_output_there.then(|| removable_folders(&draft.objects));
    let mut keys = Vec::new();
    bucket
        .visit(&prefix, &mut |key, _| {
            let try_folder = key.strip_prefix(&prefix).and_then(OutputLayout::try_folder_of);
            let is_its_own = try_folder
                .is_some_and(|folder| folders.as_ref().is_none_or(|folders| folders.contains(&folder)));
            if is_its_own {
                keys.push(key.to_owned());
            }
            ControlFlow::Continue(())
        })
        .await?;
    if !keys.is_empty() {
        tracing::info!(output = main, objects = keys.len(), "removing the objects of a draft");
    }
    delete_all(&bucket, keys).await?;
    Ok(())
}

/// The folders of tries that no output uses, while there is an output. The one without a name is that of every
/// first try, so an output may use it that is not this draft's.
fn removable_folders(objects: &DraftObjects) -> Vec<&str> {
    let earlier = objects.earlier_folders.iter().map(String::as_str);
    if objects.is_finished {
        earlier.collect()
    } else {
        earlier.chain([objects.folder.as_str()]).filter(|folder| !folder.is_empty()).collect()
    }
}

/// Deletes these objects, several at a time; the first failure ends it.
pub(super) async fn delete_all(bucket: &Bucket, keys: Vec<String>) -> Result<(), StorageError> {
    stream::iter(keys)
        .map(|key| async move { bucket.delete(&key).await })
        .buffer_unordered(CONCURRENT_DELETES)
        .try_collect::<()>()
        .await
}

/// Whether the main object that is there is the draft's: a growing playlist, which is stored before the output
/// is complete, or what was put after the draft took note of it.
pub(super) async fn is_main_of_draft(
    bucket: &Bucket,
    key: &str,
    format: Format,
    objects: &DraftObjects,
    present: &ObjectVersion,
) -> Result<bool, StorageError> {
    if objects.main.as_ref().is_some_and(|put| put.replaced.as_ref() != Some(&present.text)) {
        return Ok(true);
    }
    match format {
        Format::Mp4 | Format::Flv | Format::Dash => Ok(false),
        Format::Hls if present.bytes > MAX_MAIN_PLAYLIST_BYTES => Ok(false),
        Format::Hls => {
            let text = bucket.read(key).await?;
            Ok(media::is_growing(&String::from_utf8_lossy(&text)))
        }
    }
}
