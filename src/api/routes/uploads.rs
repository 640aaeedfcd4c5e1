//! Uploads: a file that is sent to the server, to be the input of tasks. Its bytes are written to the disk
//! as they arrive; the whole is never in memory.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::{Request, State},
};
use futures::StreamExt as _;
use model::{ErrorCode, TenantId, Upload, UploadId, check_text, limits::MAX_LABEL_BYTES};
use serde::{Deserialize, Serialize};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type},
};

use crate::{
    api::{
        auth::Editor,
        envelope::{Answer, Envelope, Reply},
        error::{ApiError, BadParam},
        extract::Query,
        limits,
        pace::{self, Pace},
        transfers::{TransferHolder, Transfers},
    },
    app::App,
    uploads::UploadWriter,
};

/// How often it is looked whether there is still room, in bytes that were received.
const CHECK_INTERVAL_BYTES: u64 = 4 << 20;

/// When to try again without room for an upload: others expire, and tasks end.
const NO_ROOM_RETRY_AFTER: Duration = Duration::from_secs(60);

/// The name of the file.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct UploadName {
    /// A label.
    #[serde(default)]
    #[param(example = "cat.mov")]
    name: String,
}

/// The bytes of a file.
pub(super) struct FileBytes;

impl PartialSchema for FileBytes {
    fn schema() -> RefOr<Schema> {
        let binary = SchemaFormat::KnownFormat(KnownFormat::Binary);
        ObjectBuilder::new().schema_type(Type::String).format(Some(binary)).into()
    }
}

impl ToSchema for FileBytes {}

/// The file that was uploaded.
#[derive(Serialize, ToSchema)]
pub(super) struct Uploaded {
    /// The `input` for tasks. The file is kept until 24 hours after its last use.
    #[schema(example = "upload://5f0c6a3d9be84c1f8f5a0c1d2e3f4a5b")]
    input: String,
    /// In bytes.
    size: u64,
}

/// Uploads a file, to be the input of tasks.
#[utoipa::path(
    post, path = "/upload", tag = "task",
    params(UploadName),
    request_body(content = FileBytes, content_type = "application/octet-stream"),
    responses((status = 200, description = "the file is stored", body = Envelope<Answer<Uploaded>>), BadParam)
)]
pub(super) async fn upload(
    State(app): State<Arc<App>>,
    State(transfers): State<Arc<Transfers>>,
    editor: Editor,
    Query(request, warnings): Query<UploadName>,
    body: Request,
) -> Reply<Uploaded> {
    check_text("name", &request.name, MAX_LABEL_BYTES)?;
    let limit = app.settings.api.upload_limit;
    let announced = limits::check_content_length(body.headers(), "upload", limit)?;
    let _transfer = transfers.begin(&TransferHolder::Tenant(editor.tenant.clone()))?;
    let id = UploadId::generate(&mut rand::rng());
    let writer = app.uploads.create(&id, &editor.tenant).await.map_err(disk_error)?;
    let room = UploadRoom::of(&app, &editor.tenant).await?;
    room.check(announced.unwrap_or_default(), announced.unwrap_or_default())?;
    let size = receive(body.into_body(), writer, &room).await?;
    let upload = Upload {
        id,
        tenant: editor.tenant.clone(),
        name: request.name,
        size,
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        created: app.clock.now(),
    };
    if let Err(error) = app.store.add_upload(&upload, room.quota).await {
        app.uploads.remove(&upload.id).await;
        return Err(error.into());
    }
    tracing::info!(upload = %upload.id, size, "upload complete");
    Ok(Answer::new(Uploaded { input: format!("upload://{}", upload.id), size }, warnings))
}

/// Writes the body to the disk; gives its size in bytes.
async fn receive(body: Body, mut writer: UploadWriter, room: &UploadRoom<'_>) -> Result<u64, ApiError> {
    let settings = &room.app.settings.api;
    let (mut chunks, mut pace) = (body.into_data_stream(), Pace::new(settings.stall_timeout));
    let (mut size, mut next_check) = (0, CHECK_INTERVAL_BYTES);
    loop {
        let began = Instant::now();
        let next = tokio::time::timeout(pace.rest_of_window(), chunks.next()).await;
        if let Ok(Some(Ok(chunk))) = &next {
            pace.add_bytes(chunk.len());
        }
        if !pace.add_wait(began.elapsed()) {
            let (bytes, seconds) = (pace::MIN_BYTES, settings.stall_timeout.as_secs_f64());
            let problem = format!("came too slowly: less than {bytes} bytes in {seconds} s");
            return Err(ApiError::timed_out("body", problem));
        }
        // the window was over, and enough came in it
        let Ok(next) = next else { continue };
        let Some(chunk) = next else { break };
        let chunk = chunk.map_err(|_| ApiError::field("body", "ended before it was complete"))?;
        if size + chunk.len() as u64 > settings.upload_limit {
            return Err(limits::too_large("upload", settings.upload_limit));
        }
        size = writer.write(&chunk).await.map_err(disk_error)?;
        if size >= next_check {
            room.check(0, CHECK_INTERVAL_BYTES)?;
            next_check = size + CHECK_INTERVAL_BYTES;
        }
    }
    if size == 0 {
        return Err(ApiError::field("body", "is empty; send the bytes of the file"));
    }
    writer.finish().await.map_err(disk_error)?;
    Ok(size)
}

/// How much room there is for an upload.
struct UploadRoom<'a> {
    app: &'a App,
    tenant: &'a TenantId,
    /// Bytes of all uploads of the tenant; none: without limit.
    quota: Option<u64>,
    /// Those that were there when this one began.
    stored: u64,
}

impl<'a> UploadRoom<'a> {
    async fn of(app: &'a App, tenant: &'a TenantId) -> Result<Self, ApiError> {
        let quota = app.settings.limits.upload_quota();
        let stored = if quota.is_some() { app.store.upload_bytes(tenant).await? } else { 0 };
        Ok(Self { app, tenant, quota, stored })
    }

    /// Checks that so many bytes more have room: `counted` in the quota of the tenant, beside what is being
    /// received, and `written` on the disk, of which a part is kept free for tasks.
    fn check(&self, counted: u64, written: u64) -> Result<(), ApiError> {
        let used = self.stored + self.app.uploads.bytes_in_flight(self.tenant) + counted;
        if let Some(quota) = self.quota
            && used > quota
        {
            let problem =
                format!("the uploads of a tenant may have {quota} bytes together; wait for some to expire");
            return Err(ApiError::rate_limited(problem, NO_ROOM_RETRY_AFTER));
        }
        let (free, floor) =
            (self.app.uploads.free_disk_bytes(), self.app.settings.media.upload_min_free_disk());
        if free < floor.saturating_add(written) {
            tracing::warn!(free, floor, "an upload is refused: the disk of the uploads is nearly full");
            let problem = format!(
                "the server has no room for the upload: it keeps {floor} bytes of its disk free; try again later"
            );
            return Err(ApiError::new(ErrorCode::Unavailable, problem).with_retry_after(NO_ROOM_RETRY_AFTER));
        }
        Ok(())
    }
}

fn disk_error(error: io::Error) -> ApiError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            tracing::error!(%error, "the disk of the uploads is full");
            ApiError::new(ErrorCode::Unavailable, "the server has no room for the upload; try again later")
                .with_retry_after(NO_ROOM_RETRY_AFTER)
        }
        _ => ApiError::internal(error),
    }
}
