//! The logo that is laid over a video: its header is checked before any program reads it.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use model::ErrorCode;

use crate::error::MediaError;

/// Bytes of a logo's file.
pub const MAX_LOGO_BYTES: u64 = 10 << 20;
/// Pixels across, and down.
const MAX_SIDE_PIXELS: u32 = 4096;

/// Where a task's logo lies before it runs.
pub fn logo_file(work: &Path) -> PathBuf {
    work.join("logo.png")
}

/// Whether a file is a PNG of a size that can be laid over a video.
///
/// # Errors
/// [`ErrorCode::InvalidInput`] when it is no PNG, [`ErrorCode::InputOverLimit`] when it is too large.
pub fn check_logo(file: &Path) -> Result<(), MediaError> {
    let head = read_head(file)
        .map_err(|error| MediaError::new(ErrorCode::Internal, format!("the logo cannot be read: {error}")))?;
    let Some((width, height)) = png_size(&head) else {
        return Err(MediaError::new(ErrorCode::InvalidInput, "logo_path is not a PNG"));
    };
    let is_allowed = |side| (1..=MAX_SIDE_PIXELS).contains(&side);
    if is_allowed(width) && is_allowed(height) {
        return Ok(());
    }
    let detail =
        format!("logo_path has {width}x{height} pixels; at most {MAX_SIDE_PIXELS} a side are allowed");
    Err(MediaError::new(ErrorCode::InputOverLimit, detail))
}

fn read_head(file: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(file)?.take(24).read_to_end(&mut head)?;
    Ok(head)
}

/// Width and height, after the signature, in the first chunk (PNG, 5.2 and 11.2.2).
fn png_size(head: &[u8]) -> Option<(u32, u32)> {
    let rest = head.strip_prefix(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR")?;
    let side = |at: usize| Some(u32::from_be_bytes(rest.get(at..at + 4)?.try_into().ok()?));
    Some((side(0)?, side(4)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        [b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".as_slice(), &width.to_be_bytes(), &height.to_be_bytes()].concat()
    }

    #[test]
    fn only_a_png_of_a_bounded_size_will_do() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let check = |bytes: &[u8]| {
            std::fs::write(file.path(), bytes).expect("written");
            check_logo(file.path()).map_err(|error| (error.code, error.detail))
        };
        assert_eq!(check(&png(4096, 1)), Ok(()));
        let over = "logo_path has 4097x1 pixels; at most 4096 a side are allowed".to_owned();
        assert_eq!(check(&png(4097, 1)), Err((ErrorCode::InputOverLimit, over)));
        let no_png = Err((ErrorCode::InvalidInput, "logo_path is not a PNG".to_owned()));
        for bytes in [b"".as_slice(), b"<svg/>", &png(1, 1)[..20], b"\xff\xd8\xff\xe0"] {
            assert_eq!(check(bytes), no_png);
        }
    }
}
