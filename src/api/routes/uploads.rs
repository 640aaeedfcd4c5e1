//! Uploads: a file that is sent to the server, to be the input of tasks. Its bytes are written to the disk
//! as they arrive; the whole is never in memory.

use std::{io, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
};
use futures::StreamExt as _;
use model::{ErrorCode, Upload, UploadId};
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
    },
    app::App,
    uploads::UploadWriter,
};

/// Bytes of a name at most.
const MAX_NAME_BYTES: usize = 1024;

/// The longest pause between two chunks of the body.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

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
    editor: Editor,
    Query(request, warnings): Query<UploadName>,
    body: Request,
) -> Reply<Uploaded> {
    if request.name.len() > MAX_NAME_BYTES {
        return Err(ApiError::field("name", format!("is longer than {MAX_NAME_BYTES} bytes")));
    }
    let limit = app.settings.api.upload_limit;
    limits::check_content_length(body.headers(), "upload", limit)?;
    let id = UploadId::generate(&mut rand::rng());
    let writer = app.uploads.create(&id).await.map_err(disk_error)?;
    let size = receive(body.into_body(), writer, limit).await?;
    let upload = Upload {
        id,
        tenant: editor.tenant.clone(),
        name: request.name,
        size,
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        created: app.clock.now(),
    };
    app.store.add_upload(&upload).await?;
    tracing::info!(upload = %upload.id, size, "upload complete");
    Ok(Answer::new(Uploaded { input: format!("upload://{}", upload.id), size }, warnings))
}

/// Writes the body to the disk; gives its size in bytes.
async fn receive(body: Body, mut writer: UploadWriter, limit: u64) -> Result<u64, ApiError> {
    let mut chunks = body.into_data_stream();
    let mut size = 0;
    loop {
        let Ok(next) = tokio::time::timeout(IDLE_TIMEOUT, chunks.next()).await else {
            let seconds = IDLE_TIMEOUT.as_secs();
            return Err(ApiError::field("body", format!("stopped for {seconds} s before it was complete")));
        };
        let Some(chunk) = next else { break };
        let chunk = chunk.map_err(|_| ApiError::field("body", "ended before it was complete"))?;
        if size + chunk.len() as u64 > limit {
            return Err(limits::too_large("upload", limit));
        }
        size = writer.write(&chunk).await.map_err(disk_error)?;
    }
    if size == 0 {
        return Err(ApiError::field("body", "is empty; send the bytes of the file"));
    }
    writer.finish().await.map_err(disk_error)?;
    Ok(size)
}

fn disk_error(error: io::Error) -> ApiError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            tracing::error!(%error, "the disk of the uploads is full");
            ApiError::new(ErrorCode::Unavailable, "the server has no room for the upload; try again later")
        }
        _ => ApiError::internal(error),
    }
}
