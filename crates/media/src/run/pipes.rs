//! The named pipes between FFmpeg and the packager.

use std::{
    fs::{File, OpenOptions},
    io,
    path::PathBuf,
};

use rustix::fs::{CWD, Mode};

/// Named pipes, each held open at both ends: neither side waits for the other to open its end, and
/// none is at its end before they are dropped. A child that dies is noticed by its own end alone.
#[derive(Debug)]
pub(super) struct Pipes {
    _held: Vec<File>,
}

impl Pipes {
    /// Makes them.
    pub(super) fn make(paths: &[PathBuf]) -> io::Result<Self> {
        let make = |path: &PathBuf| {
            rustix::fs::mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR)?;
            // Linux opens a pipe for both at once without waiting (fifo(7)).
            OpenOptions::new().read(true).write(true).open(path)
        };
        Ok(Self { _held: paths.iter().map(make).collect::<io::Result<_>>()? })
    }
}
