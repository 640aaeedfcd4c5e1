//! Uploads: a file is sent to the server, and is the input of tasks from then on. It goes to the
//! disk as it comes, and never lies in memory.

use std::{io, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, header},
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
    },
    app::App,
    uploads::UploadWriter,
};

/// How long nothing may come.
const IDLE: Duration = Duration::from_secs(60);

/// What the file is called.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct UploadName {
    /// A name for people.
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

/// The file that was sent.
#[derive(Serialize, ToSchema)]
pub(super) struct Uploaded {
    /// What a task's `input` is to be; kept 24 hours after its last use.
    #[schema(example = "upload://5f0c6a3d9be84c1f8f5a0c1d2e3f4a5b")]
    input: String,
    /// Bytes.
    size: u64,
}

/// Takes a file, to be the input of tasks.
#[utoipa::path(
    post, path = "/upload", tag = "task",
    params(UploadName),
    request_body(content = FileBytes, content_type = "application/octet-stream"),
    responses((status = 200, description = "it is whole", body = Envelope<Answer<Uploaded>>), BadParam)
)]
pub(super) async fn upload(
    State(app): State<Arc<App>>,
    editor: Editor,
    Query(request, warnings): Query<UploadName>,
    body: Request,
) -> Reply<Uploaded> {
    if request.name.len() > 1024 {
        return Err(ApiError::field("name", "is longer than 1024 bytes"));
    }
    let limit = app.settings.api.upload_limit;
    refuse_announced(body.headers(), limit)?;
    let id = UploadId::generate(&mut rand::rng());
    let incoming = app.uploads.create(&id).await.map_err(disk_failed)?;
    let size = receive(body.into_body(), incoming, limit).await?;
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

/// Writes the body into the file; gives its size.
async fn receive(body: Body, mut incoming: UploadWriter, limit: u64) -> Result<u64, ApiError> {
    let mut pieces = body.into_data_stream();
    let mut size = 0;
    loop {
        let piece = tokio::time::timeout(IDLE, pieces.next()).await;
        let piece = piece.map_err(|_| {
            ApiError::field("body", format!("stopped for {} s before it was complete", IDLE.as_secs()))
        })?;
        let Some(piece) = piece else { break };
        let piece = piece.map_err(|_| ApiError::field("body", "ended before it was complete"))?;
        if size + piece.len() as u64 > limit {
            return Err(too_large(limit));
        }
        size = incoming.write(&piece).await.map_err(disk_failed)?;
    }
    if size == 0 {
        return Err(ApiError::field("body", "is empty; send the bytes of the file"));
    }
    incoming.finish().await.map_err(disk_failed)?;
    Ok(size)
}

/// Nothing has to be sent to learn that it is too much.
fn refuse_announced(headers: &HeaderMap, limit: u64) -> Result<(), ApiError> {
    let announced = headers.get(header::CONTENT_LENGTH);
    match announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok()) {
        Some(length) if length > limit => Err(too_large(limit)),
        _ => Ok(()),
    }
}

fn too_large(limit: u64) -> ApiError {
    ApiError::new(ErrorCode::TooLarge, format!("the upload is over the limit of {limit} bytes"))
}

fn disk_failed(error: io::Error) -> ApiError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            tracing::error!(%error, "there is no room for uploads");
            ApiError::new(ErrorCode::Unavailable, "the server has no room for the upload; try again later")
        }
        _ => ApiError::internal(error),
    }
}
