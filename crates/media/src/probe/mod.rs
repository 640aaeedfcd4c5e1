//! Says what came in.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use crate::{Media, MediaError, Source};

pub(crate) async fn probe(
    _media: &Media,
    _input: &Path,
    _work: &Path,
    _cancel: &CancellationToken,
) -> Result<Source, MediaError> {
    todo!()
}
