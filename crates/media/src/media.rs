//! The one handle on media work, for other crates: the tools and the operator's settings, and the steps
//! `probe`, `run` and `verify`. Nothing in this crate imports it.

use std::path::{Path, PathBuf};

use model::ErrorCode;
use tokio_util::sync::CancellationToken;

use crate::{
    error::MediaError,
    input::{GrowingInput, MediaInput},
    output::RunOutput,
    plan::Plan,
    probe,
    run::{self, RunContext, RunObserver},
    settings::MediaOptions,
    source::Source,
    tool::{Tools, programs::Programs},
    verify::{self, Measured},
};

/// Probes, runs and verifies. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Media {
    /// The programs, and how they are run.
    pub tools: Tools,
    /// The operator's decisions.
    pub settings: MediaOptions,
}

impl Media {
    /// Tries the sandbox for real.
    ///
    /// # Errors
    /// When the sandbox is required and does not run here.
    pub async fn new(programs: Programs, settings: MediaOptions) -> Result<Self, MediaError> {
        let tools = Tools::new(programs, &settings).await?;
        Ok(Self { tools, settings })
    }

    /// Finds out what an input is.
    ///
    /// # Errors
    /// [`model::ErrorCode::InputForbidden`] for playlists and the like, [`model::ErrorCode::InputOverLimit`],
    /// [`model::ErrorCode::InvalidInput`] for what is not media.
    pub async fn probe(&self, input: &Path, cancel: &CancellationToken) -> Result<Source, MediaError> {
        probe::probe(&self.tools, &self.settings.input, &absolute(input)?, cancel).await
    }

    /// Finds out what a growing input is, as `probe` would of the complete file, as soon as enough of it is
    /// there; none where only the complete file tells.
    ///
    /// # Errors
    /// As `probe`, where the index alone says so.
    pub async fn probe_growing(
        &self,
        input: &GrowingInput,
        cancel: &CancellationToken,
    ) -> Result<Option<Source>, MediaError> {
        probe::probe_growing(&self.tools, &self.settings.input, input, cancel).await
    }

    /// Makes the output of a plan. Files land in `<work>/out`: `main.<extension>` and, for segmented
    /// formats, `files/…`. `work` is an existing folder of the task's own.
    ///
    /// # Errors
    /// [`model::ErrorCode::InvalidInput`] when the input is to blame, [`model::ErrorCode::EncodingFailed`],
    /// [`model::ErrorCode::EncodingOverLimit`], [`model::ErrorCode::Cancelled`].
    pub async fn run(
        &self,
        plan: &Plan,
        input: MediaInput<'_>,
        work: &Path,
        observer: RunObserver<'_>,
        cancel: &CancellationToken,
    ) -> Result<RunOutput, MediaError> {
        let absolute_input;
        let input = match input {
            MediaInput::File(path) => {
                absolute_input = absolute(path)?;
                MediaInput::File(&absolute_input)
            }
            growing @ MediaInput::Growing(_) => growing,
        };
        let work = &absolute(work)?;
        let tools = &self.tools;
        run::run(&RunContext { tools, plan, input, work, resampled: &[], observer, cancel }).await
    }

    /// Inspects an output; only one that it finds right has succeeded.
    ///
    /// # Errors
    /// [`model::ErrorCode::EncodingFailed`] for whatever is not as planned;
    /// [`model::ErrorCode::InvalidInput`] when the input ended earlier than its index says.
    pub async fn verify(
        &self,
        plan: &Plan,
        source: &Source,
        output: &RunOutput,
        cancel: &CancellationToken,
    ) -> Result<Measured, MediaError> {
        verify::verify(&self.tools, plan, source, output, cancel).await
    }
}

/// Children have a current folder of their own, so that a relative path would mean another place.
fn absolute(path: &Path) -> Result<PathBuf, MediaError> {
    std::path::absolute(path).map_err(|error| {
        MediaError::new(ErrorCode::Internal, format!("the work folder has no path: {error}"))
    })
}
