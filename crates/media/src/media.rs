//! The one handle on media work: the tools, the operator's settings, and the sandbox that was found
//! to work.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use model::ErrorCode;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    GrowingInput, Measured, MediaError, MediaInput, MediaSettings, Plan, Program, RunOutput, Source, Told,
    Tools, probe,
    process::{Access, Captured, Child, ChildLimits, Ended, ResourceLimits},
    run,
    sandbox::Sandbox,
    verify,
};

/// Probes, runs and verifies. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Media {
    /// The programs.
    pub tools: Tools,
    /// The operator's decisions.
    pub settings: MediaSettings,
    sandbox: Sandbox,
}

impl Media {
    /// Tries the sandbox for real.
    ///
    /// # Errors
    /// When the sandbox is required and does not run here.
    pub async fn new(tools: Tools, settings: MediaSettings) -> Result<Self, MediaError> {
        let sandbox = Sandbox::find(settings.sandbox, &tools.ffmpeg).await?;
        if let Some(reason) = sandbox.missing() {
            tracing::warn!("media tools run without a sandbox: {reason}");
        }
        Ok(Self { tools, settings, sandbox })
    }

    /// Says what came in. `work` is an existing folder of the task's own.
    ///
    /// # Errors
    /// [`model::ErrorCode::InputForbidden`] for playlists and the like, [`model::ErrorCode::InputOverLimit`],
    /// [`model::ErrorCode::InvalidInput`] for what is not media.
    pub async fn probe(
        &self,
        input: &Path,
        work: &Path,
        cancel: &CancellationToken,
    ) -> Result<Source, MediaError> {
        probe::probe(self, &absolute(input)?, &absolute(work)?, cancel).await
    }

    /// Says what is coming in, as `probe` will of the whole, once as much is there as that takes; none
    /// where it takes the whole.
    ///
    /// # Errors
    /// As `probe`, where the index alone says so.
    pub async fn probe_growing(
        &self,
        input: &GrowingInput,
        cancel: &CancellationToken,
    ) -> Result<Option<Source>, MediaError> {
        probe::probe_growing(self, input, cancel).await
    }

    /// Does what the plan says. Files land in `<work>/out`: `main.<extension>` and, for segmented
    /// formats, `files/…`. `progress` goes from 0 to 1 and never back.
    ///
    /// # Errors
    /// [`model::ErrorCode::InvalidInput`] when the input is to blame, [`model::ErrorCode::EncodingFailed`],
    /// [`model::ErrorCode::EncodingOverLimit`], [`model::ErrorCode::Cancelled`].
    pub async fn run(
        &self,
        plan: &Plan,
        input: &Path,
        work: &Path,
        progress: &(dyn Fn(f64) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<RunOutput, MediaError> {
        self.run_watched(plan, MediaInput::File(input), work, (progress, &|_| {}), cancel).await
    }

    /// As `run`; the second of `told` hears of every segment, initialization segment and playlist as
    /// soon as it has been written, by its path below the output's folder. A playlist is written again
    /// and again, and everything where a sound turned out to change on the way.
    ///
    /// # Errors
    /// As `run`.
    pub async fn run_watched(
        &self,
        plan: &Plan,
        input: MediaInput<'_>,
        work: &Path,
        told: Told<'_>,
        cancel: &CancellationToken,
    ) -> Result<RunOutput, MediaError> {
        let whole;
        let input = match input {
            MediaInput::File(path) => {
                whole = absolute(path)?;
                MediaInput::File(&whole)
            }
            growing @ MediaInput::Growing(_) => growing,
        };
        run::run(self, plan, input, &absolute(work)?, told, cancel).await
    }

    /// Looks at what came out; only what it agrees to has succeeded.
    ///
    /// # Errors
    /// [`model::ErrorCode::EncodingFailed`] for whatever is not as planned;
    /// [`model::ErrorCode::InvalidInput`] when the input ended before its index says.
    pub async fn verify(
        &self,
        plan: &Plan,
        source: &Source,
        output: &RunOutput,
        cancel: &CancellationToken,
    ) -> Result<Measured, MediaError> {
        verify::verify(self, plan, source, output, cancel).await
    }

    /// Runs a program to its end and keeps what it says. A bad exit status is not an error here.
    pub(crate) async fn capture(
        &self,
        call: Call<'_>,
        cancel: &CancellationToken,
    ) -> Result<Captured, MediaError> {
        let mut stdout = Vec::new();
        let ended = self.lines(call, cancel, |line| stdout.extend_from_slice(line)).await?;
        Ok(Captured { status: ended.status, stdout, stderr_tail: ended.stderr_tail })
    }

    /// Runs a program to its end and hands over every line of what it says, with its line break. A
    /// bad exit status is not an error here.
    pub(crate) async fn lines(
        &self,
        call: Call<'_>,
        cancel: &CancellationToken,
        each: impl FnMut(&[u8]),
    ) -> Result<Ended, MediaError> {
        let Call { program, args, access, stdin, limits } = call;
        let mut child = self.start(program, &args, access, stdin).await?;
        let over = |what: String| MediaError::new(ErrorCode::EncodingOverLimit, what);
        let problem = tokio::select! {
            biased;
            () = cancel.cancelled() => MediaError::new(ErrorCode::Cancelled, ""),
            () = sleep(limits.deadline) => {
                over(format!("{} took longer than {} s", program.name(), limits.deadline.as_secs()))
            }
            ended = child.lines(limits.stdout, each) => match ended {
                Ok(ended) => return Ok(ended),
                Err(error) => cannot("be listened to", program, &error),
            },
        };
        child.kill().await;
        Err(problem)
    }

    /// Starts a program, walled in and limited.
    pub(crate) async fn start(
        &self,
        program: Program,
        args: &[OsString],
        access: &Access,
        stdin: Option<io::PipeReader>,
    ) -> Result<Child, MediaError> {
        let command = self.sandbox.command(self.tools.path(program), args, access);
        let limits = &self.settings.limits;
        let resources = ResourceLimits {
            address_space: limits.address_space,
            cpu_time: limits.cpu_time,
            file_size: limits.output_bytes,
            open_files: limits.open_files,
        };
        Child::start(command, stdin, resources).await.map_err(|error| cannot("be started", program, &error))
    }
}

/// One call of a program.
pub(crate) struct Call<'a> {
    /// Which.
    pub program: Program,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// What it may see.
    pub access: &'a Access,
    /// What it reads; closed when none.
    pub stdin: Option<io::PipeReader>,
    /// How long it may take, and say.
    pub limits: ChildLimits,
}

fn cannot(what: &str, program: Program, error: &io::Error) -> MediaError {
    MediaError::new(ErrorCode::Internal, format!("{} could not {what}: {error}", program.name()))
}

/// Children have a current folder of their own, so that a relative path would mean another place.
fn absolute(path: &Path) -> Result<PathBuf, MediaError> {
    std::path::absolute(path).map_err(|error| {
        MediaError::new(ErrorCode::Internal, format!("the work folder has no path: {error}"))
    })
}
