//! An input as children read it: a file, or one of which more and more is there.
//!
//! What is still being fetched goes through a pipe into each child, from its first byte on and no faster
//! than it comes. That is enough for an MP4 whose index stands before its data; all else has to be whole.

use std::{
    fs::File,
    io::{self, PipeReader, PipeWriter, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use model::ErrorCode;
use tokio::sync::watch;

use crate::MediaError;

/// How often it is looked whether more has come.
pub(crate) const LOOK: Duration = Duration::from_millis(5);
/// Bytes that are handed on at once.
const PIECE: u64 = 1 << 20;

/// Where an input is read from.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A file, all of it.
    Whole(&'a Path),
    /// A file of which the rest is still being fetched.
    Arriving(&'a Arriving),
}

impl<'a> Input<'a> {
    /// What a child is told to open. The path of a file is absolute, and so never the pipe's name.
    pub(crate) fn name(self) -> &'a Path {
        match self {
            Self::Whole(path) => path,
            Self::Arriving(_) => Path::new("pipe:0"),
        }
    }

    /// The files that a child has to see.
    pub(crate) fn readable(self) -> Vec<PathBuf> {
        match self {
            Self::Whole(path) => vec![path.to_owned()],
            Self::Arriving(_) => Vec::new(),
        }
    }

    /// What a child has to be given as its standard input.
    pub(crate) fn stdin(self) -> Result<Option<PipeReader>, MediaError> {
        match self {
            Self::Whole(_) => Ok(None),
            Self::Arriving(input) => input.pour().map(Some).map_err(|error| {
                MediaError::new(ErrorCode::Internal, format!("the input could not be read: {error}"))
            }),
        }
    }

    /// Whether a child has had to wait for more of it since this was last asked.
    pub(crate) fn was_short(self) -> bool {
        match self {
            Self::Whole(_) => false,
            Self::Arriving(input) => input.reading.was_short.swap(false, Ordering::Relaxed),
        }
    }
}

/// A file that grows at its end.
#[derive(Clone, Debug)]
pub struct Arriving {
    path: PathBuf,
    /// Bytes of the whole, as soon as they are known; closed when nothing more will come.
    whole: watch::Receiver<Option<u64>>,
    reading: Arc<Reading>,
}

/// Who fetches it has this; nothing more comes when it is dropped.
#[derive(Debug)]
pub struct Arrival {
    whole: watch::Sender<Option<u64>>,
    reading: Arc<Reading>,
}

/// How far it has been read.
#[derive(Debug, Default)]
struct Reading {
    furthest: AtomicU64,
    was_short: AtomicBool,
}

/// An input that is going to be fetched into this file.
pub fn arriving(path: &Path) -> (Arrival, Arriving) {
    let (sender, whole) = watch::channel(None);
    let reading = Arc::<Reading>::default();
    let arrival = Arrival { whole: sender, reading: Arc::clone(&reading) };
    (arrival, Arriving { path: path.to_owned(), whole, reading })
}

impl Arrival {
    /// Says how many bytes the whole has.
    pub fn has(&self, bytes: u64) {
        self.whole.send_if_modified(|whole| whole.replace(bytes) != Some(bytes));
    }

    /// Up to which byte it has been read.
    pub fn read_up_to(&self) -> u64 {
        self.reading.furthest.load(Ordering::Relaxed)
    }
}

impl Arriving {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the whole; none when that will not be known.
    pub(crate) async fn whole(&self) -> Option<u64> {
        *self.whole.clone().wait_for(Option::is_some).await.ok()?
    }

    /// Whether nothing more will come.
    pub(crate) fn has_ended(&self) -> bool {
        self.whole.has_changed().is_err()
    }

    /// The reading end of a pipe that it is written to as it comes, by a thread of the blocking pool.
    fn pour(&self) -> io::Result<PipeReader> {
        let (reader, writer) = io::pipe()?;
        let (input, file) = (self.clone(), File::open(&self.path)?);
        // nobody reads any more, or what cannot be read shows as the end of it
        tokio::task::spawn_blocking(move || input.pour_into(file, writer));
        Ok(reader)
    }

    fn pour_into(&self, mut file: File, mut pipe: PipeWriter) -> io::Result<()> {
        let mut position = 0;
        loop {
            let has_ended = self.has_ended();
            let whole = *self.whole.borrow();
            // the kernel moves the bytes
            let poured = io::copy(&mut (&mut file).take(PIECE), &mut pipe)?;
            position += poured;
            self.reading.furthest.fetch_max(position, Ordering::Relaxed);
            if poured > 0 {
                continue;
            }
            if has_ended || whole.is_some_and(|whole| position >= whole) {
                return Ok(());
            }
            self.reading.was_short.store(true, Ordering::Relaxed);
            #[expect(clippy::disallowed_methods, reason = "a file does not tell that it has grown")]
            thread::sleep(LOOK);
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
        let (arrival, arriving) = arriving(&path);
        let input = Input::Arriving(&arriving);
        let mut pipe = input.stdin().expect("a pipe").expect("one");
        let mut read = [0; 5];
        pipe.read_exact(&mut read).expect("read");
        assert_eq!(&read, b"first");
        let rest = tokio::task::spawn_blocking(move || {
            let mut rest = String::new();
            pipe.read_to_string(&mut rest).map(|_| rest)
        });
        while !input.was_short() {
            tokio::time::sleep(LOOK).await;
        }
        arrival.has(11);
        assert_eq!(arriving.whole().await, Some(11));
        file.write_all(b", last").expect("written");
        assert_eq!(rest.await.expect("joined").expect("read"), ", last");
        assert_eq!(arrival.read_up_to(), 11);
    }

    #[tokio::test]
    async fn nobody_waits_for_what_will_not_come() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("input");
        std::fs::write(&path, "first").expect("written");
        let (arrival, arriving) = arriving(&path);
        let mut pipe = Input::Arriving(&arriving).stdin().expect("a pipe").expect("one");
        drop(arrival);
        let read = tokio::task::spawn_blocking(move || {
            let mut all = String::new();
            pipe.read_to_string(&mut all).map(|_| all)
        });
        assert_eq!(read.await.expect("joined").expect("read"), "first");
        assert_eq!((arriving.whole().await, arriving.has_ended()), (None, true));
    }
}
