//! An input that was uploaded: it lies on this machine already, or in a folder that machines share.

use std::{fs::File, io, path::Path};

use model::{ErrorCode, Failure, TenantId, UploadId};
use storage::fetch::{FetchLimits, fetch_local};
use store::StoreError;

use crate::{app::App, jobs::context::JobError};

/// Gives the task a copy of the file.
pub(super) async fn fetch(
    app: &App,
    tenant: &TenantId,
    id: &UploadId,
    to: &Path,
    limits: &FetchLimits,
    progress: &(dyn Fn(u64, Option<u64>) + Sync),
) -> Result<(), JobError> {
    let upload = match app.store.upload(tenant, id).await {
        Err(StoreError::NotFound(problem)) => {
            return Err(JobError::Final(Failure::new(ErrorCode::InputUnreachable, problem)));
        }
        upload => upload.map_err(JobError::store)?,
    };
    match File::open(app.uploads.path(id)) {
        Ok(file) => fetch_local(file, to, limits, progress).await.map(drop).map_err(JobError::storage),
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
