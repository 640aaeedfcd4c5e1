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
    settings::MediaSettings,
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
    pub settings: MediaSettings,
}

impl Media {
    /// Tries the sandbox for real.
    ///
    /// # Errors
    /// When the sandbox is required and does not run here.
    pub async fn new(programs: Programs, settings: MediaSettings) -> Result<Self, MediaError> {
        let tools = Tools::new(programs, settings.sandbox, settings.tools).await?;
        Ok(Self { tools, settings })
    }

    /// Says what came in.
    ///
    /// # Errors
    /// [`model::ErrorCode::InputForbidden`] for playlists and the like, [`model::ErrorCode::InputOverLimit`],
    /// [`model::ErrorCode::InvalidInput`] for what is not media.
    pub async fn probe(&self, input: &Path, cancel: &CancellationToken) -> Result<Source, MediaError> {
        probe::probe(&self.tools, &self.settings.input, &absolute(input)?, cancel).await
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
        probe::probe_growing(&self.tools, &self.settings.input, input, cancel).await
    }

    /// Does what the plan says. Files land in `<work>/out`: `main.<extension>` and, for segmented
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
        let (tools, resampled) = (&self.tools, [].as_slice());
        run::run(&RunContext { tools, plan, input, work, resampled, observer, cancel }).await
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
        verify::verify(&self.tools, plan, source, output, cancel).await
    }
}

/// Children have a current folder of their own, so that a relative path would mean another place.
fn absolute(path: &Path) -> Result<PathBuf, MediaError> {
    std::path::absolute(path).map_err(|error| {
        MediaError::new(ErrorCode::Internal, format!("the work folder has no path: {error}"))
    })
}
