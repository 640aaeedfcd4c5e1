//! The named pipes between FFmpeg and the packager.

use std::{
    fs::{File, OpenOptions},
    io,
    path::PathBuf,
    time::Duration,
};

use rustix::fs::{CWD, Mode};
use tokio::time::sleep;

/// How often full pipes are looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Named pipes, each held open at both ends: neither side waits for the other to open its end, and
/// none is at its end before they are dropped. A child that dies is noticed by its own end alone.
#[derive(Debug)]
pub(super) struct Pipes {
    held: Vec<File>,
}

impl Pipes {
    /// Makes them.
    pub(super) fn make(paths: &[PathBuf]) -> io::Result<Self> {
        let make = |path: &PathBuf| {
            rustix::fs::mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR)?;
            // Linux opens a pipe for both at once without waiting (fifo(7)).
            OpenOptions::new().read(true).write(true).open(path)
        };
        Ok(Self { held: paths.iter().map(make).collect::<io::Result<_>>()? })
    }

    /// Waits until all that was written is read. A short output fits into the pipes: if they were
    /// dropped before the reader has even opened them, it would be lost, and the reader would wait
    /// for ever.
    pub(super) async fn drained(&self) {
        let full = |pipe: &File| rustix::io::ioctl_fionread(pipe).is_ok_and(|bytes| bytes > 0);
        while self.held.iter().any(full) {
            sleep(LOOK).await;
        }
    }
}
