//! Drafts: what was stored of an output whose task has not succeeded is removed (docs/decisions/0010).
//!
//! The worker whose task failed does it at once; the sweep does it when a worker was killed, a task was
//! cancelled, or the storage could not be reached.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use model::{Format, StorageId};
use storage::{Bucket, StorageError};
use store::{Draft, StoreError};
use tokio_util::sync::CancellationToken;

use super::{context::JobContext, periodic::run_round};
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
            Some(draft) => remove(app, &draft).await,
            None => Ok(()),
        }
    };
    match removed.await {
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
        let Some(draft) = app.store.lease_draft(&draft, REMOVAL_LEASE).await? else { continue };
        // what one storage answers must not keep the drafts of others
        let removal = AssertUnwindSafe(remove(app, &draft)).catch_unwind();
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
/// led to what is gone. A complete output there was made by another task since, and stays.
async fn remove(app: &App, draft: &Draft) -> Result<(), RemovalError> {
    let storage = app.store.storage(&draft.tenant, &draft.storage_id).await?;
    let bucket = app.storages.interactive().open(&storage)?;
    let main = draft.output.key();
    if let Some(size) = bucket.size(main).await? {
        if is_complete(&bucket, draft, size).await? {
            return Ok(());
        }
        bucket.delete(main).await?;
    }
    let keys = bucket.list(&format!("{}/", draft.output.folder(draft.format))).await?;
    if !keys.is_empty() {
        tracing::info!(output = main, objects = keys.len(), "removing the objects of a draft");
    }
    let bucket = &bucket;
    stream::iter(keys)
        .map(|key| async move { bucket.delete(&key).await })
        .buffer_unordered(CONCURRENT_DELETES)
        .try_collect::<()>()
        .await?;
    Ok(())
}

/// Whether a main object is that of a complete output. Every one is, except a growing playlist: it is
/// stored before the output is complete, without `EXT-X-ENDLIST`.
async fn is_complete(bucket: &Bucket, draft: &Draft, size: u64) -> Result<bool, StorageError> {
    match draft.format {
        Format::Mp4 | Format::Flv | Format::Dash => Ok(true),
        Format::Hls if size > MAX_MAIN_PLAYLIST_BYTES => Ok(true),
        Format::Hls => {
            let text = bucket.read(draft.output.key()).await?;
            Ok(!media::is_growing(&String::from_utf8_lossy(&text)))
        }
    }
}
