//! An input as child processes read it: a complete file, or one that is still being received.
//!
//! A growing input goes through a pipe into each child, from its first byte on and no faster than it
//! arrives: no child ever sees a byte that is not there. That is enough for an MP4 whose `moov` stands
//! before its `mdat`; everything else has to be complete first.

use std::{
    fs::File,
    io::{self, PipeReader, PipeWriter, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use model::ErrorCode;
use tokio::{runtime::Handle, sync::watch};

use crate::error::MediaError;

/// Bytes that are copied into a pipe at once.
const PIPE_CHUNK_BYTES: u64 = 1 << 20;

/// Where an input is read from.
#[derive(Clone, Copy, Debug)]
pub enum MediaInput<'a> {
    /// A complete file.
    File(&'a Path),
    /// A file whose end is still being received.
    Growing(&'a GrowingInput),
}

impl<'a> MediaInput<'a> {
    /// What a child is told to open. The path of a file is absolute, and so never the pipe's name.
    pub(crate) fn name(self) -> &'a Path {
        match self {
            Self::File(path) => path,
            Self::Growing(_) => Path::new("pipe:0"),
        }
    }

    /// The files that a child has to see.
    pub(crate) fn readable(self) -> Vec<PathBuf> {
        match self {
            Self::File(path) => vec![path.to_owned()],
            Self::Growing(_) => Vec::new(),
        }
    }

    /// What a child has to be given as its standard input.
    pub(crate) fn stdin(self) -> Result<Option<PipeReader>, MediaError> {
        match self {
            Self::File(_) => Ok(None),
            Self::Growing(input) => input.open_pipe().map(Some).map_err(|error| {
                MediaError::new(ErrorCode::Internal, format!("the input could not be read: {error}"))
            }),
        }
    }

    /// Whether a child has had to wait for more bytes since this was last asked.
    pub(crate) fn was_starved(self) -> bool {
        match self {
            Self::File(_) => false,
            Self::Growing(input) => input.reads.was_starved.swap(false, Ordering::Relaxed),
        }
    }
}

/// How much of an input is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ReceivedBytes {
    /// Bytes that can be read from the file.
    bytes: u64,
    /// Bytes of the complete file, where they are known.
    total: Option<u64>,
}

/// A file that is being received, for its readers.
#[derive(Clone, Debug)]
pub struct GrowingInput {
    path: PathBuf,
    /// Closed when nothing more will arrive.
    received: watch::Receiver<ReceivedBytes>,
    reads: Arc<Reads>,
}

/// The writer's end of a [`GrowingInput`]; when it is dropped, nothing more will arrive.
#[derive(Debug)]
pub struct InputFeed {
    received: watch::Sender<ReceivedBytes>,
    reads: Arc<Reads>,
}

/// What its readers have done.
#[derive(Debug)]
struct Reads {
    /// The furthest byte that any of them has read.
    furthest: watch::Sender<u64>,
    was_starved: AtomicBool,
}

/// An input that is going to be received into the file `path`, and the feed of who writes that file.
pub fn growing_input(path: &Path) -> (InputFeed, GrowingInput) {
    let (sender, received) = watch::channel(ReceivedBytes::default());
    let reads = Arc::new(Reads { furthest: watch::Sender::new(0), was_starved: AtomicBool::new(false) });
    let feed = InputFeed { received: sender, reads: Arc::clone(&reads) };
    (feed, GrowingInput { path: path.to_owned(), received, reads })
}

impl InputFeed {
    /// Says that the first `bytes` of the file can be read, and how many the complete one has, where that
    /// is known. `bytes` falls back when the file was emptied and is received again.
    pub fn received(&self, bytes: u64, total: Option<u64>) {
        self.received.send_if_modified(|received| {
            let now = ReceivedBytes { bytes, total: total.or(received.total) };
            std::mem::replace(received, now) != now
        });
    }

    /// The furthest byte that has been read, and every change of it.
    pub fn read_position(&self) -> watch::Receiver<u64> {
        self.reads.furthest.subscribe()
    }
}

impl GrowingInput {
    /// The file that it is received into.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the complete file; none when that will not be known.
    pub(crate) async fn total(&self) -> Option<u64> {
        self.received.clone().wait_for(|received| received.total.is_some()).await.ok()?.total
    }

    /// Waits until the first `bytes` can be read; false when they will not arrive.
    pub(crate) async fn has(&self, bytes: u64) -> bool {
        self.received.clone().wait_for(|received| received.bytes >= bytes).await.is_ok()
    }

    /// The reading end of a pipe into which a thread of the blocking pool copies the file as it arrives.
    fn open_pipe(&self) -> io::Result<PipeReader> {
        let (reader, writer) = io::pipe()?;
        let (input, file, runtime) = (self.clone(), File::open(&self.path)?, Handle::current());
        // an error means that the child reads no more, or shows there as an early end of the file
        tokio::task::spawn_blocking(move || input.copy_into_pipe(file, writer, &runtime));
        Ok(reader)
    }

    fn copy_into_pipe(&self, mut file: File, mut pipe: PipeWriter, runtime: &Handle) -> io::Result<()> {
        let mut received = self.received.clone();
        let mut position = 0;
        loop {
            // the kernel moves the bytes
            let copied = io::copy(&mut (&mut file).take(PIPE_CHUNK_BYTES), &mut pipe)?;
            position += copied;
            self.reads.furthest.send_if_modified(|furthest| {
                let is_further = position > *furthest;
                *furthest = position.max(*furthest);
                is_further
            });
            if copied > 0 {
                continue;
            }
            let now = *received.borrow_and_update();
            if now.total.is_some_and(|total| position >= total) {
                return Ok(());
            }
            if now.bytes > position {
                // they were written after the file was read up to its end
                continue;
            }
            self.reads.was_starved.store(true, Ordering::Relaxed);
            if runtime.block_on(received.wait_for(|received| received.bytes > position)).is_err() {
                // closed: what was written before that is still copied
                io::copy(&mut file, &mut pipe)?;
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn what_comes_is_handed_on_up_to_the_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("input");
        let mut file = File::create(&path).expect("made");
        file.write_all(b"first").expect("written");
        let (feed, growing) = growing_input(&path);
        feed.received(5, None);
        let input = MediaInput::Growing(&growing);
        let mut pipe = input.stdin().expect("a pipe").expect("one");
        let mut read = [0; 5];
        pipe.read_exact(&mut read).expect("read");
        assert_eq!(&read, b"first");
        let rest = tokio::task::spawn_blocking(move || {
            let mut rest = String::new();
            pipe.read_to_string(&mut rest).map(|_| rest)
        });
        let mut position = feed.read_position();
        position.wait_for(|position| *position == 5).await.expect("open");
        while !input.was_starved() {
            tokio::task::yield_now().await;
        }
        feed.received(5, Some(11));
        assert_eq!(growing.total().await, Some(11));
        file.write_all(b", last").expect("written");
        feed.received(11, Some(11));
        assert!(growing.has(11).await);
        assert_eq!(rest.await.expect("joined").expect("read"), ", last");
        assert_eq!(*feed.read_position().borrow(), 11);
    }

    #[tokio::test]
    async fn nobody_waits_for_what_will_not_come() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("input");
        std::fs::write(&path, "first").expect("written");
        let (feed, growing) = growing_input(&path);
        let mut pipe = MediaInput::Growing(&growing).stdin().expect("a pipe").expect("one");
        drop(feed);
        let read = tokio::task::spawn_blocking(move || {
            let mut all = String::new();
            pipe.read_to_string(&mut all).map(|_| all)
        });
        assert_eq!(read.await.expect("joined").expect("read"), "first");
        assert_eq!((growing.total().await, growing.has(6).await), (None, false));
    }
}
