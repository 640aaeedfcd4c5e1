//! Files of an output that no playlist names: they would never be played, and stored all the same.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::listing::{Listing, Track, wrong_output};
use crate::{error::MediaError, layout::OutputLayout, plan::Plan, work_folder::WorkFolder};

/// Refuses the first file in `dir` that is not listed. Thumbnails have a check of their own.
pub(super) fn check(plan: &Plan, dir: &WorkFolder, listings: &[&Listing]) -> Result<(), MediaError> {
    let mut listed = BTreeSet::new();
    for listing in listings {
        listed.extend(listing.manifest_files.iter().map(PathBuf::as_path));
        listed.extend(listing.tracks.iter().flat_map(Track::files).map(|file| file.path.as_path()));
    }
    let thumbnails = plan.thumbnails.as_ref().map(|_| dir.path().join(OutputLayout::thumbnails_folder()));
    let is_unlisted = |file: &Path| {
        let is_thumbnail = thumbnails.is_some() && file.parent() == thumbnails.as_deref();
        !is_thumbnail && !listed.contains(file)
    };
    let files = dir.files().map_err(|error| wrong_output(format!("the output cannot be read: {error}")))?;
    match files.iter().find(|file| is_unlisted(&dir.path().join(&file.path))) {
        Some(file) => Err(wrong_output(format!("`{}` is there and is not listed", file.path))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rstest::rstest;

    use super::*;
    use crate::verify::listing::MediaFile;

    /// An output with one segment, its playlist, and this file.
    fn check_with(file: &str) -> Result<(), MediaError> {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |path: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(&path, "x").expect("written");
            path
        };
        let mut output = crate::verify::tests::Output::right();
        let track = &mut output.listing.tracks[0];
        track.segments.truncate(1);
        track.segments[0].file = MediaFile { path: write("files/360p/seg_00001.ts"), bytes: 1 };
        output.listing.tracks.truncate(1);
        output.listing.manifest_files = ["main.m3u8", "files/360p/playlist.m3u8"].map(write).into();
        write(file);
        let dir = WorkFolder::open(folder.path()).expect("opened");
        check(&output.plan, &dir, &[&output.listing])
    }

    #[rstest]
    #[case("files/360p/seg_00002.ts")]
    #[case("files/720p/seg_00001.ts")]
    #[case("files/360p/old.m3u8")]
    #[case("main.mp4")]
    #[case("files/thumbnails/thumb_00001.jpg")]
    fn what_is_left_over_is_refused(#[case] file: &str) {
        check_with("files/360p/seg_00001.ts").expect("right");
        let error = check_with(file).expect_err("refused");
        assert_eq!(error.detail, format!("`{file}` is there and is not listed"));
    }
}
