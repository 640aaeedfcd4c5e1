//! The local file that a fetch writes.

use std::{io, io::SeekFrom, path::Path};

use tokio::{
    fs::File,
    io::{AsyncSeekExt as _, AsyncWriteExt as _},
};

/// Bytes that are gathered before they are written: with fewer, the way to the disk takes longer than the
/// bytes; with more, who reads the file while it grows waits for them.
const BUFFER_BYTES: usize = 256 << 10;

/// A file that is only appended to, and knows its length.
pub(super) struct GrowingFile {
    file: File,
    buffer: Vec<u8>,
    readable: u64,
}

impl GrowingFile {
    /// An empty file; one that was there is emptied.
    pub(super) async fn create(path: &Path) -> io::Result<Self> {
        let mut options = File::options();
        // it is the customer's, and nobody else's on this machine
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(path).await?;
        Ok(Self { file, buffer: Vec::with_capacity(BUFFER_BYTES), readable: 0 })
    }

    /// Makes it the same as another file, if both lie on a file system that need not copy for that.
    pub(super) fn share_blocks_of(&self, other: &std::fs::File) -> bool {
        rustix::fs::ioctl_ficlone(&self.file, other).is_ok()
    }

    /// Bytes so far.
    pub(super) fn length(&self) -> u64 {
        self.readable + self.buffer.len() as u64
    }

    /// Bytes that others can read: all but those that are still gathered.
    pub(super) fn readable(&self) -> u64 {
        self.readable
    }

    pub(super) async fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES { self.flush().await } else { Ok(()) }
    }

    /// Makes it empty again.
    pub(super) async fn empty(&mut self) -> io::Result<()> {
        if self.length() > 0 {
            self.file.seek(SeekFrom::Start(0)).await?;
            self.file.set_len(0).await?;
            self.buffer.clear();
            self.readable = 0;
        }
        Ok(())
    }

    /// Hands everything to the system, so that others can read it.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.buffer).await?;
        // tokio writes in the background until then
        self.file.flush().await?;
        self.readable = self.length();
        self.buffer.clear();
        Ok(())
    }
}
