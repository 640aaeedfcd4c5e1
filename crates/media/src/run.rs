//! Does what a plan says: one FFmpeg for single files, FFmpeg and the packager side by side for
//! segmented outputs.

use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use crate::{Media, MediaError, Plan};

/// What a run left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOutput {
    /// The folder with `main.<extension>` and, for segmented formats, `files/…`.
    pub dir: PathBuf,
}

pub(crate) async fn run(
    _media: &Media,
    _plan: &Plan,
    _input: &Path,
    _work: &Path,
    _progress: &(dyn Fn(f64) + Send + Sync),
    _cancel: &CancellationToken,
) -> Result<RunOutput, MediaError> {
    todo!()
}
