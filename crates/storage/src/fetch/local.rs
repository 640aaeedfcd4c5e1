//! Takes an input that lies on this machine.
//!
//! It becomes a file of its own and never a second name of the first (hard link): who reads it may be taken over
//! by what is in it, and must not have a way to change what it was made from. File systems that can share the
//! blocks of two files (FICLONE: Btrfs, XFS) make it at once.

use std::{fs::File, path::Path};

use model::ErrorCode;
use tokio::io::AsyncReadExt as _;

use super::{FetchLimits, disk_error, file::GrowingFile};
use crate::error::StorageError;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 1 << 20;

/// Copies `from` into the file `to`, which is made or overwritten, and gives its size in bytes. `progress` is called
/// with the bytes so far and those of the whole.
///
/// # Errors
/// 1103 over `limits.max_bytes`, 1302 when the disk is full, 1500 when one of them cannot be read or written.
pub async fn fetch_local(
    from: File,
    to: &Path,
    limits: &FetchLimits,
    progress: &(dyn Fn(u64, Option<u64>) + Sync),
) -> Result<u64, StorageError> {
    let failed = |error| disk_error(&error);
    let size = from.metadata().map_err(failed)?.len();
    if size > limits.max_bytes {
        let problem = format!("it has {size} bytes; at most {} are allowed", limits.max_bytes);
        return Err(StorageError::permanent(ErrorCode::InputOverLimit, problem));
    }
    let mut file = GrowingFile::create(to).await.map_err(failed)?;
    if file.share_blocks_of(&from) {
        progress(size, Some(size));
        return Ok(size);
    }
    let mut from = tokio::fs::File::from_std(from);
    let mut chunk = vec![0; CHUNK_BYTES];
    while let count @ 1.. = from.read(&mut chunk).await.map_err(failed)? {
        file.append(&chunk[..count]).await.map_err(failed)?;
        progress(file.readable(), Some(size));
    }
    file.flush().await.map_err(failed)?;
    progress(file.length(), Some(size));
    Ok(file.length())
}
