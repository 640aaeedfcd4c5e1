//! The local file that a fetch writes.

use std::{io, io::SeekFrom, path::Path};

use tokio::{
    fs::File,
    io::{AsyncSeekExt as _, AsyncWriteExt as _, BufWriter},
};

/// How much is buffered before it is written, in bytes.
const BUFFER_BYTES: usize = 1 << 20;

/// A file that is only appended to, and knows its length.
pub(super) struct GrowingFile {
    file: BufWriter<File>,
    length: u64,
}

impl GrowingFile {
    /// An empty file; one that was there is emptied.
    pub(super) async fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: BufWriter::with_capacity(BUFFER_BYTES, File::create(path).await?), length: 0 })
    }

    /// Bytes so far.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) async fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).await?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Makes it empty again.
    pub(super) async fn empty(&mut self) -> io::Result<()> {
        if self.length > 0 {
            self.file.seek(SeekFrom::Start(0)).await?;
            self.file.get_mut().set_len(0).await?;
            self.length = 0;
        }
        Ok(())
    }

    /// Hands everything to the system, so that others can read it; gives the length in bytes.
    pub(super) async fn finish(mut self) -> io::Result<u64> {
        self.file.flush().await?;
        Ok(self.length)
    }
}
