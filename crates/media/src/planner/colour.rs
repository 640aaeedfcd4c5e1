//! Colour: what the samples of a source mean, and what those of the output will.
//!
//! What a source does not tag is what players take it for: BT.601 for small video, BT.709 for other.

use crate::{
    colour::{Colour, MATRICES, Names, PRIMARIES, TRANSFERS, code_point},
    source::VideoStream,
};

/// What a source's samples mean: its tags where they are known, else what players take it for.
pub(super) fn of_source(video: &VideoStream) -> Colour {
    let is_rgb = is_rgb(&video.pixel_format);
    let default = default_of(video);
    let tag = |tag: &str, known: Names, default: String| {
        if code_point(known, tag).is_some() { tag.to_owned() } else { default }
    };
    let matrix = if is_rgb { "gbr".to_owned() } else { tag(&video.color_space, MATRICES, default.matrix) };
    let has_wide_matrix = matrix.starts_with("bt2020") || matrix == "ictcp";
    let default_primaries = if has_wide_matrix { "bt2020".to_owned() } else { default.primaries };
    Colour {
        full_range: is_rgb || video.color_range == "pc" || video.pixel_format.starts_with("yuvj"),
        matrix,
        transfer: tag(&video.color_transfer, TRANSFERS, default.transfer),
        primaries: tag(&video.color_primaries, PRIMARIES, default_primaries),
    }
}

/// What an SDR output has: the source's own colour where every player knows it, else BT.709.
pub(super) fn sdr(source: &Colour) -> Colour {
    let is_known = matches!(source.matrix.as_str(), "bt709" | "bt470bg" | "smpte170m");
    if is_known && !source.is_wide() && source.transfer != "linear" {
        Colour { full_range: false, ..source.clone() }
    } else {
        Colour::bt709()
    }
}

/// What an output has that keeps HDR; none where the source is not HDR, or is coded with a matrix that players do not
/// know.
pub(super) fn hdr(source: &Colour) -> Option<Colour> {
    let is_known = matches!(source.matrix.as_str(), "bt2020nc" | "bt709");
    if source.is_hdr() && is_known { Some(Colour { full_range: false, ..source.clone() }) } else { None }
}

/// By the number of lines: 576 and 288 are those of PAL, other small video is taken for NTSC.
fn default_of(video: &VideoStream) -> Colour {
    let is_small = video.width < 1280 && video.height <= 576;
    if !is_small || is_rgb(&video.pixel_format) {
        Colour::bt709()
    } else if matches!(video.height, 576 | 288) {
        Colour::limited("bt470bg", "smpte170m", "bt470bg")
    } else {
        Colour::limited("smpte170m", "smpte170m", "smpte170m")
    }
}

fn is_rgb(pixel_format: &str) -> bool {
    const PREFIXES: &[&str] =
        &["rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "pal8", "x2rgb", "x2bgr", "bayer"];
    PREFIXES.iter().any(|prefix| pixel_format.starts_with(prefix))
}
