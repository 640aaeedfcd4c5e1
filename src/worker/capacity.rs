//! How much a worker takes on at once, and when it must not take on more.

use std::{io, path::Path};

/// Tasks at once when nothing is configured: FFmpeg's encoders use about four cores well.
pub(crate) fn from_cores() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    cores.div_ceil(4)
}

/// Bytes that are free for us on the disk of `folder`.
pub(crate) fn free_disk(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}
