//! How much a worker takes on at once, and when it must not take on more.

use std::{io, path::Path};

/// Cores that FFmpeg's encoders use well for one task.
const CORES_PER_TASK: usize = 4;

/// Tasks at once when nothing is configured.
pub(crate) fn default_capacity() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    cores.div_ceil(CORES_PER_TASK)
}

/// Bytes that this process may still write on the disk of `folder`.
pub(crate) fn free_disk_bytes(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}
