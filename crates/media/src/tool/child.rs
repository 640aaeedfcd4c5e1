//! One child process: its arguments are a list, never a shell; its input is closed or fed by us; it
//! has limits, a sandbox and a process group of its own, which is killed as a whole.
//!
//! A child never outlives the future that waits for it: dropping that kills the group at once.

use std::{
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::Signal;
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader},
    process::ChildStdout,
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    settings::ResourceLimits,
    tool::{
        progress::Progress,
        spawn::{self, Launch},
        stderr,
    },
};

/// From SIGTERM to SIGKILL.
const KILL_GRACE: Duration = Duration::from_secs(5);

/// How long processes that a child left behind may live on: they hold its standard error open.
const STDERR_END_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes of standard output that are kept of a call, unless it says otherwise: what is asked for is short.
const MAX_ANSWER_BYTES: usize = model::limits::MAX_TOOL_ANSWER_BYTES;

/// Bytes of one line of standard output. Those that are not read as lines, such as JSON, have line breaks too.
const MAX_LINE_BYTES: u64 = model::limits::MAX_TOOL_LINE_BYTES as u64;

/// Encoders have a lookahead before the first frame comes out: it may take so many times longer than any
/// later one.
const FIRST_FRAME_FACTOR: u32 = 3;

/// What a child may see beside the programs: everything else is absent in the sandbox.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    /// Files and folders that it may read, at the same paths.
    pub readable: Vec<PathBuf>,
    /// Folders that it may write to, at the same paths.
    pub writable: Vec<PathBuf>,
    /// Its current folder, in which writable ones lie; the root when none.
    pub current: Option<PathBuf>,
}

impl Access {
    pub(crate) fn current_dir(&self) -> &Path {
        self.current.as_deref().unwrap_or(Path::new("/"))
    }

    /// To these files and folders, and nothing to write to.
    pub(crate) fn read(readable: Vec<PathBuf>) -> Self {
        Self { readable, ..Self::default() }
    }
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
        Self { deadline: Duration::from_secs(600), stdout_bytes: Some(MAX_ANSWER_BYTES) }
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
    /// It made no progress for so long.
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
    /// The id of its process group, which the kernel gives to nobody else as long as anything in it lives.
    group: u32,
    stdout: Option<ChildStdout>,
    stderr: Option<JoinHandle<String>>,
}

impl Child {
    /// Starts one; `stdin` is closed unless it is given.
    pub(crate) async fn start(
        launch: impl Into<Launch>,
        stdin: Option<io::PipeReader>,
        limits: ResourceLimits,
    ) -> io::Result<Self> {
        let mut launch = launch.into();
        let command = &mut launch.command;
        command.stdin(stdin.map_or_else(Stdio::null, Stdio::from));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = spawn::spawn(launch, limits).await?;
        let group = process.id().unwrap_or_default();
        let stdout = process.stdout.take();
        let stderr = process.stderr.take().map(|stderr| tokio::spawn(stderr::tail(stderr)));
        Ok(Self { process, group, stdout, stderr })
    }

    /// Waits for its end.
    pub(crate) async fn wait(&mut self) -> io::Result<Ended> {
        let status = self.process.wait().await?;
        let stderr_tail = match timeout(STDERR_END_TIMEOUT, self.stderr_end()).await {
            Ok(tail) => tail,
            Err(_) => {
                self.signal(Signal::KILL);
                timeout(STDERR_END_TIMEOUT, self.stderr_end()).await.unwrap_or_default()
            }
        };
        Ok(Ended { status, stderr_tail })
    }

    /// Waits for the end of standard error, which comes when all of the group is gone; gives its tail.
    async fn stderr_end(&mut self) -> String {
        let Some(stderr) = &mut self.stderr else { return String::new() };
        let tail = stderr.await.unwrap_or_default();
        self.stderr = None;
        tail
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
            while read_line(&mut stdout, &mut line).await? {
                total += line.len();
                if let Some(max) = max_bytes.filter(|max| total > *max) {
                    return Err(too_much(&format!("it wrote more than {max} bytes")));
                }
                each(&line);
                line.clear();
            }
        }
        self.wait().await
    }

    /// Follows FFmpeg's progress to its end; gives up when nothing changes for `stall_timeout`, unless it
    /// `was_starved` of input meanwhile.
    pub(crate) async fn follow(
        &mut self,
        stall_timeout: Duration,
        was_starved: impl Fn() -> bool,
        mut each: impl FnMut(Progress),
    ) -> Result<Ended, ChildError> {
        let mut progress = Progress::default();
        let mut reported = progress;
        let mut deadline = Instant::now() + stall_timeout * FIRST_FRAME_FACTOR;
        if let Some(stdout) = self.stdout.take() {
            let (mut stdout, mut line) = (BufReader::new(stdout), Vec::new());
            loop {
                let is_line = match timeout_at(deadline, read_line(&mut stdout, &mut line)).await {
                    Ok(is_line) => is_line?,
                    Err(_) if was_starved() => {
                        deadline = Instant::now() + stall_timeout;
                        continue;
                    }
                    Err(_) => return Err(ChildError::Stalled(stall_timeout)),
                };
                if !is_line {
                    break;
                }
                let is_end_of_block = progress.read(&String::from_utf8_lossy(&line));
                line.clear();
                if is_end_of_block && progress != reported {
                    reported = progress;
                    deadline = Instant::now() + stall_timeout;
                    each(progress);
                }
            }
        }
        let ended =
            timeout(stall_timeout, self.wait()).await.map_err(|_| ChildError::Stalled(stall_timeout))?;
        Ok(ended?)
    }

    /// Ends the whole group: SIGTERM, and SIGKILL after 5 s.
    pub(crate) async fn kill(&mut self) {
        self.kill_within(KILL_GRACE).await;
    }

    async fn kill_within(&mut self, grace: Duration) {
        self.signal(Signal::TERM);
        // bubblewrap exits at once; what runs inside it may not have had the signal
        let _ = timeout(grace, self.process.wait()).await;
        self.signal(Signal::KILL);
        // SIGKILL cannot be refused: only a process that hangs in the kernel takes longer
        let _ = timeout(KILL_GRACE, self.wait_for_group()).await;
    }

    async fn wait_for_group(&mut self) {
        // what cannot be waited for is gone already
        let _ = self.process.wait().await;
        self.stderr_end().await;
    }

    fn signal(&self, signal: Signal) {
        // when its first process and its standard error have ended, the group is gone, and its id may be
        // another's by now
        if self.process.id().is_some() || self.stderr.is_some() {
            spawn::signal_group(self.group, signal);
        }
    }
}

/// Appends the rest of a line; false at the end. What was read of it stays when this is dropped.
///
/// # Errors
/// When it is longer than any that a tool writes.
async fn read_line(from: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> io::Result<bool> {
    let left = MAX_LINE_BYTES.saturating_sub(line.len() as u64) + 1;
    from.take(left).read_until(b'\n', line).await?;
    if line.len() as u64 > MAX_LINE_BYTES {
        return Err(too_much(&format!("it wrote a line of more than {MAX_LINE_BYTES} bytes")));
    }
    Ok(!line.is_empty())
}

/// The error of a child that writes more than it may.
fn too_much(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, what)
}

impl Drop for Child {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

#[cfg(test)]
mod tests;
