//! The named pipes between FFmpeg and the packager.

use std::{convert::Infallible, fs::File, io, path::PathBuf, time::Duration};

use rustix::fs::{CWD, Mode, OFlags};
use tokio::time::sleep;

/// How often pipes are looked at, once nothing more is written to them: the kernel has no event for a pipe
/// that is empty, nor for one that somebody has opened.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Named pipes, each held open at both ends: neither side waits for the other to open its end, and
/// none is at its end before they are closed. A child that dies is noticed by its own end alone.
#[derive(Debug)]
pub(super) struct Pipes {
    paths: Vec<PathBuf>,
    open_ends: Vec<File>,
}

impl Pipes {
    /// Makes them in their folder, which children can only read.
    pub(super) fn create(paths: &[PathBuf]) -> io::Result<Self> {
        let create = |path: &PathBuf| {
            rustix::fs::mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR)?;
            // Linux opens a pipe for both at once without waiting (fifo(7)).
            let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
        };
        Ok(Self { paths: paths.to_owned(), open_ends: paths.iter().map(create).collect::<io::Result<_>>()? })
    }

    /// Waits until all that was written is read. A short output fits into the pipes: if they were
    /// closed before the reader has even opened them, it would be lost.
    pub(super) async fn drained(&self) {
        let full = |pipe: &File| rustix::io::ioctl_fionread(pipe).is_ok_and(|bytes| bytes > 0);
        while self.open_ends.iter().any(full) {
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Lets the reader come to their ends. It never returns: a reader that opens a pipe only now, because
    /// there was nothing in it, would wait for a writer for ever.
    pub(super) async fn close(&mut self) -> Infallible {
        self.open_ends.clear();
        loop {
            for path in &self.paths {
                // Without a reader this fails, with one it is over at once.
                let _ = rustix::fs::open(
                    path,
                    OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                    Mode::empty(),
                );
            }
            sleep(POLL_INTERVAL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn pipe() -> (tempfile::TempDir, PathBuf, Pipes) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pipe");
        let pipes = Pipes::create(std::slice::from_ref(&path)).expect("made");
        (folder, path, pipes)
    }

    async fn read(path: PathBuf) -> Vec<u8> {
        let read = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            File::open(path).and_then(|mut pipe| pipe.read_to_end(&mut all)).expect("read");
            all
        });
        read.await.expect("read")
    }

    #[tokio::test]
    async fn a_reader_that_comes_late_gets_all_of_it() {
        let (_folder, path, mut pipes) = pipe();
        std::fs::write(&path, "all of it").expect("written");
        let reading = tokio::spawn(read(path));
        pipes.drained().await;
        tokio::select! {
            all = reading => assert_eq!(all.expect("read"), b"all of it"),
            never = pipes.close() => match never {},
        }
    }

    #[tokio::test]
    async fn a_reader_of_nothing_does_not_wait_for_ever() {
        let (_folder, path, mut pipes) = pipe();
        pipes.drained().await;
        let reading = async {
            tokio::task::yield_now().await;
            read(path).await
        };
        tokio::select! {
            biased;
            never = pipes.close() => match never {},
            all = reading => assert!(all.is_empty()),
        }
    }
}
