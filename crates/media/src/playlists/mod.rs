//! Fixes up what the packager wrote: what is wrong in playlists and manifests, and what it does not write.
//!
//! [`relocate`] points a main playlist at the folder that its files end up in; [`growing`] has the playlists of an
//! output that is still being made.

pub(crate) mod dash;
mod growing;
mod hls;
mod relocate;
mod storyboard;
mod vp9_level;

use std::{io, path::Path, sync::Arc};

use model::{ErrorCode, Format};

use crate::{
    error::MediaError, format::MAX_PLAYLIST_BYTES, layout::OutputLayout, plan::Plan, work_folder::WorkFolder,
};
pub use growing::{growing_main_playlist, growing_media_playlist, is_growing};
pub use relocate::{relocate, relocate_main_file};

/// Rewrites the playlists in `dir`, and writes the storyboard of the thumbnails.
///
/// # Errors
/// [`ErrorCode::EncodingFailed`] when they are not as the packager writes them; what a full disk is called.
pub(crate) async fn fix_up(plan: &Plan, dir: &Arc<WorkFolder>) -> Result<(), MediaError> {
    let (plan, dir) = (plan.clone(), Arc::clone(dir));
    let fixed = tokio::task::spawn_blocking(move || {
        storyboard::write(&plan, &dir)?;
        vp9_level::write(&plan, &dir)?;
        for (format, file) in OutputLayout::manifests(&plan) {
            match format {
                Format::Mp4 | Format::Flv => {}
                Format::Hls => hls::fix_up(&plan, &dir)?,
                Format::Dash => fix_up_manifest(&plan, &dir, &file)?,
            }
        }
        Ok(())
    });
    fixed.await.unwrap_or_else(|panicked| Err(io::Error::other(panicked))).map_err(|error| {
        let detail = format!("the playlists cannot be read: {error}");
        MediaError::of_disk(&error, MediaError::new(ErrorCode::EncodingFailed, detail))
    })
}

fn fix_up_manifest(plan: &Plan, dir: &WorkFolder, manifest: &str) -> io::Result<()> {
    let text = dir.read_text(manifest, MAX_PLAYLIST_BYTES)?;
    let folder = Path::new(manifest).parent().unwrap_or(Path::new(""));
    let measure = |uri: &str| dir.bytes_of(folder.join(uri));
    dir.write(manifest, dash::fix_up(&text, &measure, &plan.videos)?)
}
