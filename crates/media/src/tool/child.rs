//! One child process: its arguments are a list, never a shell; its input is closed or fed by us; it
//! has limits, a sandbox and a process group of its own, which is killed as a whole.
//!
//! A child never outlives the future that waits for it: dropping that kills the group at once.

use std::{
    io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::Signal;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{ChildStdout, Command},
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    settings::ResourceLimits,
    tool::{progress::Progress, spawn, stderr},
};

/// From TERM to KILL.
const GRACE: Duration = Duration::from_secs(5);

/// How long what a child left behind may live on.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Encoders look ahead before the first picture comes out: it may take so many times longer than any
/// later one.
const FIRST_PROGRESS: u32 = 3;

/// What a child may see beside the programs: everything else is absent in the sandbox.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    /// Files and folders that it may read, at the same paths.
    pub readable: Vec<PathBuf>,
    /// Folders that it may write to, at the same paths; the first is its current folder.
    pub writable: Vec<PathBuf>,
}

/// How long one call of a program may take, and how much it may write to standard output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallLimits {
    /// From start to end, by the clock.
    pub deadline: Duration,
    /// Bytes of standard output, of which more are an error; any number when none.
    pub stdout_bytes: Option<usize>,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(600), stdout_bytes: Some(64 << 20) }
    }
}

/// What a child wrote, and how it ended.
#[derive(Clone, Debug)]
pub(crate) struct Captured {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// The end of its standard error.
    pub stderr_tail: String,
}

/// How a child ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// The end of its standard error.
    pub stderr_tail: String,
}

/// Why a child was given up.
#[derive(Debug)]
pub(crate) enum ChildError {
    /// It got no further for so long.
    Stalled(Duration),
    /// The system's own error.
    Io(io::Error),
}

impl From<io::Error> for ChildError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A running child.
#[derive(Debug)]
pub(crate) struct Child {
    process: tokio::process::Child,
    /// The number of its group; nobody else's as long as anything in the group lives.
    group: u32,
    stdout: Option<ChildStdout>,
    stderr: Option<JoinHandle<String>>,
}

impl Child {
    /// Starts one; `stdin` is closed unless it is given.
    pub(crate) async fn start(
        mut command: Command,
        stdin: Option<io::PipeReader>,
        limits: ResourceLimits,
    ) -> io::Result<Self> {
        command.stdin(stdin.map_or_else(Stdio::null, Stdio::from));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = spawn::spawn(command, limits).await?;
        let group = process.id().unwrap_or_default();
        let stdout = process.stdout.take();
        let stderr = process.stderr.take().map(|stderr| tokio::spawn(stderr::tail(stderr)));
        Ok(Self { process, group, stdout, stderr })
    }

    /// Waits for its end.
    pub(crate) async fn wait(&mut self) -> io::Result<Ended> {
        let status = self.process.wait().await?;
        let stderr_tail = match timeout(LAST_WORDS, self.silence()).await {
            Ok(words) => words,
            Err(_) => {
                self.signal(Signal::KILL);
                timeout(LAST_WORDS, self.silence()).await.unwrap_or_default()
            }
        };
        Ok(Ended { status, stderr_tail })
    }

    /// Waits until nothing in the group can speak any more, which is when all of it is gone.
    async fn silence(&mut self) -> String {
        let Some(stderr) = &mut self.stderr else { return String::new() };
        let words = stderr.await.unwrap_or_default();
        self.stderr = None;
        words
    }

    /// Hands over every line of standard output, then waits for its end.
    ///
    /// # Errors
    /// When it writes more than `max_bytes`.
    pub(crate) async fn lines(
        &mut self,
        max_bytes: Option<usize>,
        mut each: impl FnMut(&[u8]),
    ) -> io::Result<Ended> {
        if let Some(stdout) = self.stdout.take() {
            // one byte more than the limit, so that a line without an end is noticed as well
            let readable = max_bytes.map_or(u64::MAX, |max| max as u64 + 1);
            let mut stdout = BufReader::with_capacity(64 << 10, stdout.take(readable));
            let mut line = Vec::new();
            let mut total = 0;
            while stdout.read_until(b'\n', &mut line).await? > 0 {
                total += line.len();
                if let Some(max) = max_bytes.filter(|max| total > *max) {
                    return Err(io::Error::other(format!("it wrote more than {max} bytes")));
                }
                each(&line);
                line.clear();
            }
        }
        self.wait().await
    }

    /// Follows FFmpeg's progress to its end; gives up when nothing changes for `stall`, unless it `was_short`
    /// of input meanwhile.
    pub(crate) async fn follow(
        &mut self,
        stall: Duration,
        was_short: impl Fn() -> bool,
        mut each: impl FnMut(Progress),
    ) -> Result<Ended, ChildError> {
        let mut progress = Progress::default();
        let mut seen = progress;
        let mut until = Instant::now() + stall * FIRST_PROGRESS;
        if let Some(stdout) = self.stdout.take() {
            let mut lines = BufReader::new(stdout).lines();
            loop {
                let line = match timeout_at(until, lines.next_line()).await {
                    Ok(line) => line?,
                    Err(_) if was_short() => {
                        until = Instant::now() + stall;
                        continue;
                    }
                    Err(_) => return Err(ChildError::Stalled(stall)),
                };
                let Some(line) = line else { break };
                if progress.read(&line) && progress != seen {
                    seen = progress;
                    until = Instant::now() + stall;
                    each(progress);
                }
            }
        }
        let ended = timeout(stall, self.wait()).await.map_err(|_| ChildError::Stalled(stall))?;
        Ok(ended?)
    }

    /// Ends the whole group: asks, and after 5 s forces it.
    pub(crate) async fn kill(&mut self) {
        self.kill_within(GRACE).await;
    }

    async fn kill_within(&mut self, grace: Duration) {
        self.signal(Signal::TERM);
        // A sandbox goes at once; what is inside may just have missed that.
        let _ = timeout(grace, self.process.wait()).await;
        self.signal(Signal::KILL);
        // It cannot refuse; whoever waits for it in vain has nothing better to do.
        let _ = timeout(GRACE, self.gone()).await;
    }

    async fn gone(&mut self) {
        // What cannot be waited for is gone already.
        let _ = self.process.wait().await;
        self.silence().await;
    }

    fn signal(&self, signal: Signal) {
        // Without its first process and without a voice, the group is gone, and its number may be
        // another's by now.
        if self.process.id().is_some() || self.stderr.is_some() {
            spawn::signal_group(self.group, signal);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

#[cfg(test)]
mod tests;
