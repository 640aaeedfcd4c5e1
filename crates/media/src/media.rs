//! The one handle on media work: the tools, the operator's settings, and the sandbox that was found
//! to work.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use crate::{
    Measured, MediaError, MediaSettings, Plan, Program, RunOutput, Source, Tools, probe,
    process::{Access, Captured, ChildLimits},
    run, verify,
};

/// Probes, runs and verifies. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Media {
    /// The programs.
    pub tools: Tools,
    /// The operator's decisions.
    pub settings: MediaSettings,
}

impl Media {
    /// Tries the sandbox for real.
    ///
    /// # Errors
    /// When the sandbox is required and does not run here.
    pub async fn new(tools: Tools, settings: MediaSettings) -> Result<Self, MediaError> {
        Ok(Self { tools, settings })
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
        probe::probe(self, input, work, cancel).await
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
        run::run(self, plan, input, work, progress, cancel).await
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
        _program: Program,
        _args: Vec<std::ffi::OsString>,
        _access: &Access,
        _limits: ChildLimits,
        _cancel: &CancellationToken,
    ) -> Result<Captured, MediaError> {
        todo!()
    }
}
