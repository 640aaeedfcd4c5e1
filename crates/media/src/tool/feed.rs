//! Files, one after the other, as a child's standard input: segments need not be joined on disk first, and
//! the sandbox need not show the files to the child.

use std::{
    io::{self, PipeReader},
    path::PathBuf,
    sync::Arc,
};

use model::ErrorCode;

use crate::{error::MediaError, work_folder::WorkFolder};

/// The reading end of a pipe that these files of a folder are written to by a thread of the blocking pool. It ends
/// with the files, or as soon as nobody reads any more. None without files.
pub(crate) fn through_pipe(
    dir: &Arc<WorkFolder>,
    files: Vec<PathBuf>,
) -> Result<Option<PipeReader>, MediaError> {
    if files.is_empty() {
        return Ok(None);
    }
    let (reader, mut writer) = io::pipe()
        .map_err(|error| MediaError::new(ErrorCode::Internal, format!("no pipe could be made: {error}")))?;
    let dir = Arc::clone(dir);
    tokio::task::spawn_blocking(move || {
        for path in files {
            // The kernel moves the bytes. A file that cannot be read shows as missing packets.
            if dir.open_file(path).and_then(|mut file| io::copy(&mut file, &mut writer)).is_err() {
                return;
            }
        }
    });
    Ok(Some(reader))
}
