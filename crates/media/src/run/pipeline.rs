//! The children of one run: FFmpeg, and the packager that reads its pipes.
//!
//! Whichever of the two fails first has the true cause; the other one is killed and not asked.

use std::{io, sync::Arc, time::Duration};

use model::ErrorCode;
use tokio::time::timeout;

use super::{
    RunContext,
    args::{Commands, pipes_dir},
    failure,
    pipes::Pipes,
};
use crate::{
    error::MediaError,
    layout::OutputLayout,
    memory,
    tool::{
        Call,
        child::{Access, Child, ChildError, Ended},
        programs::Program,
        progress::Progress,
    },
    work_folder::WorkFolder,
};

/// A few lines are all that the packager has to say.
const MAX_PACKAGER_STDOUT_BYTES: usize = 1 << 20;

/// FFmpeg, alone or with the packager.
pub(super) struct Pipeline {
    ffmpeg: Child,
    packager: Option<Child>,
    pipes: Pipes,
}

impl Pipeline {
    /// Starts the reader before the writer.
    pub(super) async fn start(
        context: &RunContext<'_>,
        commands: Commands,
        pipes: Pipes,
    ) -> Result<Self, MediaError> {
        let RunContext { tools, input, work, .. } = *context;
        // what was fetched lies beside the output, where no child writes
        let output_only = Access {
            // a pipe can be written to all the same
            readable: vec![pipes_dir(work)],
            writable: vec![OutputLayout::dir(work)],
            current: Some(work.to_owned()),
        };
        let packager = match commands.packager {
            Some(args) => {
                let access = output_only.clone();
                let (program, memory_bytes) = (Program::Packager, memory::of_packager(context.plan));
                Some(tools.start(Call { program, args, access, stdin: None, memory_bytes }).await?)
            }
            None => None,
        };
        let mut access = output_only;
        access.readable.extend(context.readable());
        let (args, stdin) = (commands.ffmpeg, input.stdin()?);
        let (program, memory_bytes) = (Program::Ffmpeg, memory::of_run(context.plan));
        let ffmpeg = tools.start(Call { program, args, access, stdin, memory_bytes }).await?;
        Ok(Self { ffmpeg, packager, pipes })
    }

    /// Waits for both; gives the end of FFmpeg's log.
    pub(super) async fn finish(
        &mut self,
        context: &RunContext<'_>,
        dir: &Arc<WorkFolder>,
        on_progress: impl FnMut(Progress),
    ) -> Result<String, MediaError> {
        let Self { ffmpeg, packager, pipes } = self;
        let stall_timeout = context.tools.limits.stall_timeout;
        let follow = ffmpeg.follow(stall_timeout, || context.input.was_starved(), on_progress);
        let Some(packager) = packager else {
            return failure::check(Program::Ffmpeg, follow.await);
        };
        let mut packager_ended = std::pin::pin!(packager.lines(Some(MAX_PACKAGER_STDOUT_BYTES), |_| {}));
        let log = tokio::select! {
            ended = follow => failure::check(Program::Ffmpeg, ended)?,
            // the pipes are held open, so that it cannot have come to their end
            ended = &mut packager_ended => {
                failure::check(Program::Packager, ended.map_err(ChildError::Io))?;
                return Err(MediaError::new(ErrorCode::Internal, "the packager stopped before the encoder"));
            }
        };
        let close_pipes = async {
            pipes.drained().await;
            match pipes.close().await {}
        };
        let ended = tokio::select! {
            ended = while_output_grows(dir, stall_timeout, packager_ended) => ended,
            never = close_pipes => never,
        };
        failure::check(Program::Packager, ended)?;
        Ok(log)
    }

    /// Ends both.
    pub(super) async fn kill(&mut self) {
        let packager = async {
            if let Some(packager) = &mut self.packager {
                packager.kill().await;
            }
        };
        tokio::join!(self.ffmpeg.kill(), packager);
    }
}

/// Waits for the packager as long as it writes: on a busy machine its end may take a while.
async fn while_output_grows(
    dir: &Arc<WorkFolder>,
    stall_timeout: Duration,
    mut packager_ended: impl Future<Output = io::Result<Ended>> + Unpin,
) -> Result<Ended, ChildError> {
    let mut bytes = bytes_in(dir).await?;
    loop {
        if let Ok(ended) = timeout(stall_timeout, &mut packager_ended).await {
            return Ok(ended?);
        }
        let bytes_now = bytes_in(dir).await?;
        if bytes_now == bytes {
            return Err(ChildError::Stalled(stall_timeout));
        }
        bytes = bytes_now;
    }
}

/// Bytes of all files in a folder and below.
async fn bytes_in(dir: &Arc<WorkFolder>) -> io::Result<u64> {
    let dir = Arc::clone(dir);
    let files = tokio::task::spawn_blocking(move || dir.files()).await.map_err(io::Error::other)??;
    Ok(files.iter().map(|file| file.bytes).sum())
}
