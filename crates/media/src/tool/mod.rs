//! How a program is run: where FFmpeg, ffprobe and Shaka Packager are, the sandbox around a child, its
//! limits, its input and its output.
//!
//! Everything here knows arguments and bytes; it knows no source, no plan and no output.

use std::{ffi::OsString, io};

use model::ErrorCode;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub(crate) mod child;
pub(crate) mod feed;
pub(crate) mod ffmpeg;
pub(crate) mod framecrc;
mod machine;
pub(crate) mod programs;
pub(crate) mod progress;
mod sandbox;
mod seccomp;
mod spawn;
mod stderr;

use crate::{
    error::MediaError,
    settings::{MediaOptions, ResourceLimits, ToolLimits},
    tool::{
        child::{Access, CallLimits, Captured, Child, Ended},
        programs::{Program, Programs},
        sandbox::Sandbox,
    },
};

/// Starts the programs: each one in the sandbox, within the operator's limits.
#[derive(Debug)]
pub struct Tools {
    /// Where the programs are.
    pub programs: Programs,
    /// What a child may take.
    pub(crate) limits: ToolLimits,
    sandbox: Sandbox,
}

/// One call of a program.
pub(crate) struct Call {
    /// Which one.
    pub program: Program,
    /// Its arguments, without the program itself.
    pub args: Vec<OsString>,
    /// What it may see.
    pub access: Access,
    /// What it reads; closed when none.
    pub stdin: Option<io::PipeReader>,
    /// Bytes of memory that it may need.
    pub memory_bytes: u64,
}

impl Tools {
    /// Tries the sandbox for real.
    ///
    /// # Errors
    /// When the sandbox is required and does not run here.
    pub(crate) async fn new(programs: Programs, settings: &MediaOptions) -> Result<Self, MediaError> {
        let mut limits = settings.tools;
        limits.resources.memory_bytes = limits.resources.memory_bytes.min(machine::max_child_bytes());
        let sandbox = Sandbox::find(settings.sandbox, &programs.ffmpeg, &settings.hidden).await?;
        if let Some(reason) = sandbox.missing() {
            tracing::warn!("media tools run without a sandbox: {reason}");
        }
        Ok(Self { programs, limits, sandbox })
    }

    /// Runs a program to its end and keeps what it writes. A bad exit status is not an error here.
    pub(crate) async fn capture(
        &self,
        call: Call,
        limits: CallLimits,
        cancel: &CancellationToken,
    ) -> Result<Captured, MediaError> {
        let mut stdout = Vec::new();
        let ended = self.lines(call, limits, cancel, |line| stdout.extend_from_slice(line)).await?;
        Ok(Captured { status: ended.status, stdout, stderr_tail: ended.stderr_tail })
    }

    /// Runs a program to its end and hands over every line of its standard output, with its line break. A
    /// bad exit status is not an error here.
    pub(crate) async fn lines(
        &self,
        call: Call,
        limits: CallLimits,
        cancel: &CancellationToken,
        each: impl FnMut(&[u8]),
    ) -> Result<Ended, MediaError> {
        let program = call.program;
        let mut child = self.start(call).await?;
        let problem = tokio::select! {
            biased;
            () = cancel.cancelled() => MediaError::new(ErrorCode::Cancelled, ""),
            () = sleep(limits.deadline) => MediaError::new(
                ErrorCode::EncodingOverLimit,
                format!("{} took longer than {} s", program.name(), limits.deadline.as_secs()),
            ),
            ended = child.lines(limits.stdout_bytes, each) => match ended {
                Ok(ended) => return Ok(ended),
                // what a tool writes of an input grows with what is in it
                Err(error) if error.kind() == io::ErrorKind::FileTooLarge => MediaError::new(
                    ErrorCode::InvalidInput,
                    format!("there is too much in it: {} was ended, as {error}", program.name()),
                ),
                Err(error) => failed_to("be listened to", program, &error),
            },
        };
        child.kill().await;
        Err(problem)
    }

    /// Starts a program in the sandbox, with its limits.
    pub(crate) async fn start(&self, call: Call) -> Result<Child, MediaError> {
        let Call { program, args, access, stdin, memory_bytes } = call;
        let started = async {
            let launch = self.sandbox.launch(self.programs.path(program), &args, &access)?;
            let resources = self.limits.resources;
            let memory_bytes = memory_bytes.min(resources.memory_bytes);
            Child::start(launch, stdin, ResourceLimits { memory_bytes, ..resources }).await
        };
        started.await.map_err(|error| failed_to("be started", program, &error))
    }

    /// What one pass over a whole input may take: the time of a run, and any number of lines.
    pub(crate) fn pass_limits(&self) -> CallLimits {
        CallLimits { deadline: self.limits.run_time, stdout_bytes: None }
    }
}

fn failed_to(verb: &str, program: Program, error: &io::Error) -> MediaError {
    MediaError::new(ErrorCode::Internal, format!("{} could not {verb}: {error}", program.name()))
}
