//! Nothing lies in an output but what is listed: what no playlist names is never played, and is stored all
//! the same.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use super::listing::{Listing, Track, wrong};
use crate::{error::MediaError, layout::OutputLayout, plan::Plan};

/// Looks at every file of an output, which lies in `dir`. Pictures that were taken out have a check of their
/// own.
pub(super) fn check(plan: &Plan, dir: &Path, listings: &[&Listing]) -> Result<(), MediaError> {
    let listed = |listing: &Listing| -> Vec<PathBuf> {
        let pieces = listing.tracks.iter().flat_map(Track::pieces).map(|piece| piece.path.clone());
        listing.lists.iter().cloned().chain(pieces).collect()
    };
    let listed: BTreeSet<PathBuf> = listings.iter().flat_map(|listing| listed(listing)).collect();
    let stills = plan.thumbnails.as_ref().map(|_| dir.join(OutputLayout::thumbnails_folder()));
    let expected = |file: &Path| {
        listed.contains(file) || stills.as_ref().is_some_and(|folder| file.parent() == Some(folder))
    };
    match first(dir, &|file| !expected(file)) {
        Ok(None) => Ok(()),
        Ok(Some(file)) => {
            let name = file.strip_prefix(dir).unwrap_or(&file).display();
            Err(wrong(format!("`{name}` is there and is not listed")))
        }
        Err(error) => Err(wrong(format!("the output cannot be read: {error}"))),
    }
}

/// A file in the folder or below of which this is so.
fn first(dir: &Path, is_so: &dyn Fn(&Path) -> bool) -> io::Result<Option<PathBuf>> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let found = if path.is_dir() { first(&path, is_so)? } else { Some(path).filter(|path| is_so(path)) };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::verify::listing::Piece;

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
        track.segments[0].piece = Piece { path: write("files/360p/seg_00001.ts"), bytes: 1 };
        output.listing.tracks.truncate(1);
        output.listing.lists = ["main.m3u8", "files/360p/playlist.m3u8"].map(write).into();
        write(file);
        check(&output.plan, folder.path(), &[&output.listing])
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
