//! Drafts: what was put of outputs that came to nothing is removed, at once by the worker whose task
//! failed, and by the sweep when a worker was killed, a task was cancelled, or the storage was away.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use model::{Format, StorageId};
use storage::{Bucket, StorageError};
use store::{Draft, StoreError};
use tokio_util::sync::CancellationToken;

use super::context::JobContext;
use crate::app::App;

/// How long removing a draft may take before somebody else goes on with it.
const REMOVAL: Duration = Duration::from_secs(60);

/// How long a storage is left alone from which nothing could be removed.
const AWAY: Duration = Duration::from_secs(10 * 60);

/// Objects that are deleted at once.
const DELETED_AT_ONCE: usize = 8;

/// A main playlist of ours is never larger, in bytes.
const LARGEST_PLAYLIST: u64 = 1 << 20;

/// Why a draft could not be removed.
#[derive(Debug, thiserror::Error)]
enum RemovalError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("not done within {} s", (REMOVAL / 2).as_secs())]
    Slow,
}

/// Removes what a job has put of an output that came to nothing. It is best effort: the draft stays
/// known, and the sweep looks again.
pub(super) async fn take_back(app: &App, job: &JobContext) {
    let removed = async {
        match app.store.draft(&job.claim).await? {
            Some(draft) => remove(app, &draft).await,
            None => Ok(()),
        }
    };
    match removed.await {
        Ok(()) | Err(RemovalError::Store(StoreError::Fenced)) => {}
        Err(error) => tracing::warn!(%error, "could not remove a failed output; it is tried again later"),
    }
}

/// Removes, now and then, what nobody else did, until `stop`.
pub(crate) async fn sweep(app: &App, stop: CancellationToken) {
    let mut away = HashMap::new();
    loop {
        if let Err(error) = sweep_once(app, &mut away).await {
            tracing::error!(%error, "could not look for outputs that came to nothing");
        }
        tokio::select! {
            () = tokio::time::sleep(app.settings.worker.lease) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn sweep_once(app: &App, away: &mut HashMap<StorageId, Instant>) -> Result<(), StoreError> {
    away.retain(|_, since| since.elapsed() < AWAY);
    let left_alone: Vec<StorageId> = away.keys().cloned().collect();
    for draft in app.store.abandoned_drafts(&left_alone).await? {
        if away.contains_key(&draft.storage_id) {
            continue;
        }
        let Some(draft) = app.store.lease_draft(&draft, REMOVAL).await? else { continue };
        let removed = tokio::time::timeout(REMOVAL / 2, remove(app, &draft)).await;
        match removed.unwrap_or(Err(RemovalError::Slow)) {
            Ok(()) => app.store.delete_draft(&draft).await?,
            Err(error) => {
                tracing::warn!(%error, output = draft.output.key(), "could not remove an output that came to nothing");
                away.insert(draft.storage_id.clone(), Instant::now());
                app.store.release_draft(&draft).await?;
            }
        }
    }
    Ok(())
}

/// Removes every object of a draft, first the one that points at the others. Where a complete output
/// is, somebody else made it since, and it stays.
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
        tracing::info!(
            output = main,
            objects = keys.len(),
            "removing what was put of an output that came to nothing"
        );
    }
    let bucket = &bucket;
    stream::iter(keys)
        .map(|key| async move { bucket.delete(&key).await })
        .buffer_unordered(DELETED_AT_ONCE)
        .try_collect::<()>()
        .await?;
    Ok(())
}

/// Whether a main object is that of a complete output: all are but playlists that still grow.
async fn is_complete(bucket: &Bucket, draft: &Draft, size: u64) -> Result<bool, StorageError> {
    match draft.format {
        Format::Mp4 | Format::Flv | Format::Dash => Ok(true),
        Format::Hls if size > LARGEST_PLAYLIST => Ok(true),
        Format::Hls => {
            let text = bucket.read(draft.output.key()).await?;
            Ok(!media::is_unfinished(&String::from_utf8_lossy(&text)))
        }
    }
}
