//! One child process: its arguments are a list, never a shell; its input is closed; it has limits, a
//! sandbox and a process group of its own, which is killed as a whole.

use std::{path::PathBuf, process::ExitStatus, time::Duration};

/// What a child may see beside the programs: everything else is absent in the sandbox.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    /// Files and folders that it may read, at the same paths.
    pub readable: Vec<PathBuf>,
    /// Folders that it may write to, at the same paths.
    pub writable: Vec<PathBuf>,
}

/// How long a child may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChildLimits {
    /// From start to end, by the clock.
    pub deadline: Duration,
    /// Bytes of standard output that are kept; more is an error.
    pub stdout: usize,
}

impl Default for ChildLimits {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(600), stdout: 64 << 20 }
    }
}

/// What a child said, and how it ended.
#[derive(Clone, Debug)]
pub(crate) struct Captured {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// The end of its standard error.
    pub stderr_tail: String,
}
