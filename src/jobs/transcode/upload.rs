//! An input that was uploaded: it lies on this machine already, or in a folder that machines share.

use std::{
    io,
    path::{Path, PathBuf},
};

use model::{ErrorCode, Failure, TenantId, UploadId};
use store::StoreError;

use crate::{app::App, jobs::context::JobError};

/// Gives the task its own name for the file, which costs nothing, or a copy where that is not
/// possible.
pub(super) async fn fetch(
    app: &App,
    tenant: &TenantId,
    id: &UploadId,
    to: &Path,
    max_bytes: u64,
) -> Result<(), JobError> {
    let upload = match app.store.upload(tenant, id).await {
        Err(StoreError::NotFound(problem)) => {
            return Err(JobError::Final(Failure::new(ErrorCode::InputUnreachable, problem)));
        }
        upload => upload.map_err(JobError::store)?,
    };
    if upload.size > max_bytes {
        let problem = format!("it has {} bytes; at most {max_bytes} are allowed", upload.size);
        return Err(JobError::Final(Failure::new(ErrorCode::InputOverLimit, problem)));
    }
    match link_or_copy(app.uploads.path(id), to.to_owned()).await {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let problem = format!(
                "the upload was sent to `{}` and is not on this machine; let both use one folder for \
                 uploads (server.upload_dir)",
                upload.host
            );
            Err(JobError::Retry(Failure::new(ErrorCode::InputUnreachable, problem)))
        }
        Err(error) => Err(JobError::internal("could not take the upload", error)),
    }
}

async fn link_or_copy(from: PathBuf, to: PathBuf) -> io::Result<()> {
    match tokio::fs::hard_link(&from, &to).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
        Err(_) => tokio::fs::copy(&from, &to).await.map(|_| ()),
        linked => linked,
    }
}
