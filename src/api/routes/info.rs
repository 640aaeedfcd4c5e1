//! What this server is and what it supports.

use std::sync::Arc;

use axum::extract::State;
use model::{
    AudioMode, Format, StorageType, VideoMode,
    limits::{MAX_BATCH_TASKS, MAX_PAGE_SIZE},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    api::{
        auth::Caller,
        envelope::{Answer, Envelope, Reply},
        extract::{NoQuery, Query},
    },
    app::App,
};

/// What this server is and what it supports.
#[derive(Serialize, ToSchema)]
pub(super) struct Info {
    /// The version of Borealis.
    version: &'static str,
    /// What `format` may be.
    formats: &'static [Format],
    /// What `vcodec` may be; `add_template` says which format takes which.
    video_codecs: &'static [VideoMode],
    /// What `acodec` may be.
    audio_codecs: &'static [AudioMode],
    /// What `type` of a storage may be.
    storage_types: &'static [StorageType],
    /// The limits of requests.
    limits: InfoLimits,
    /// Worker processes that are alive.
    workers: usize,
    /// Tasks that all of them together run at once.
    worker_capacity: usize,
}

/// The limits of requests; 0: without a limit.
#[derive(Serialize, ToSchema)]
pub(super) struct InfoLimits {
    /// Bytes of a body.
    body: u64,
    /// Bytes of an upload.
    upload: u64,
    /// Bytes of an input.
    input: u64,
    /// Seconds of an input.
    input_duration: u64,
    /// Pixels of the longer side of an input's video.
    input_side: u32,
    /// Tasks of a batch.
    batch_tasks: usize,
    /// Entries of a page of a list.
    list_count: usize,
    /// Requests of a key per second.
    requests_per_second: u32,
    /// Tasks of a key that run at once.
    running_tasks: u64,
    /// Tasks of a key that wait for a worker.
    queued_tasks: u64,
}

/// Shows what this server is and what it supports.
#[utoipa::path(
    get, path = "/info", tag = "health",
    responses((status = 200, description = "version, supported values, limits and workers", body = Envelope<Answer<Info>>))
)]
pub(super) async fn info(
    State(app): State<Arc<App>>,
    _caller: Caller,
    Query(NoQuery {}, warnings): Query<NoQuery>,
) -> Reply<Info> {
    let workers = app.store.live_worker_capacities(app.settings.worker.lease).await?;
    let info = Info {
        version: env!("CARGO_PKG_VERSION"),
        formats: Format::ALL,
        video_codecs: VideoMode::ALL,
        audio_codecs: AudioMode::ALL,
        storage_types: StorageType::ALL,
        limits: InfoLimits::of(&app),
        workers: workers.len(),
        worker_capacity: workers.iter().sum(),
    };
    Ok(Answer::new(info, warnings))
}

impl InfoLimits {
    fn of(app: &App) -> Self {
        let (api, media, limits) = (&app.settings.api, &app.settings.media, &app.settings.limits);
        Self {
            body: api.body_limit,
            upload: api.upload_limit,
            input: media.max_size,
            input_duration: media.max_duration.as_secs(),
            input_side: media.max_side,
            batch_tasks: MAX_BATCH_TASKS,
            list_count: MAX_PAGE_SIZE,
            requests_per_second: limits.requests_per_second,
            running_tasks: limits.running_tasks,
            queued_tasks: limits.queued_tasks,
        }
    }
}
