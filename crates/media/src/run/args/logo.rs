//! The logo: a second input, scaled and laid over each rendition at its final size.

use std::{ffi::OsString, path::Path};

use model::{Distance, Length, LogoOffset, LogoSize};

use crate::{
    logo::logo_file,
    plan::{LogoPlan, Plan, VideoPlan},
    tool::ffmpeg::{file_url, words},
};

/// The input, if the plan has a logo: a PNG, whatever the file looks like.
pub(super) fn open(plan: &Plan, work: &Path) -> Vec<OsString> {
    if plan.logo.is_none() || plan.videos.is_empty() {
        return Vec::new();
    }
    let mut arguments = words(&["-protocol_whitelist", "file,fd", "-f", "png_pipe", "-i"]);
    arguments.push(file_url(&logo_file(work)));
    arguments
}

/// One logo for each rendition, as `[l0]`, `[l1]`, ….
pub(super) fn split(count: usize) -> String {
    let labels: String = (0..count).map(|number| format!("[l{number}]")).collect();
    format!(";[1:0]split={count}{labels}")
}

/// Lays the logo over the rendition with this number, from `[b0]` to `[v0]`. It is never larger than the
/// frame and never stands out of it.
pub(super) fn overlay(logo: &LogoPlan, video: &VideoPlan, number: usize) -> String {
    let across = bound(logo.size, |size| size.width, video.width, "iw");
    let down = bound(logo.size, |size| size.height, video.height, "ih");
    let LogoOffset { x, y } = logo.offset;
    let (x, y) = (offset(x, video.width, 'W', 'w'), offset(y, video.height, 'H', 'h'));
    let matrix = &video.colour.matrix;
    let (with_alpha, mixed) =
        if video.bit_depth > 8 { ("yuva420p10le", "yuv420p10") } else { ("yuva420p", "yuv420") };
    format!(
        ";[l{number}]scale=w='{across}':h='{down}':force_original_aspect_ratio=decrease:out_range=limited:out_color_matrix={matrix},\
         format={with_alpha}[o{number}];[b{number}][o{number}]overlay=x='{x}':y='{y}':format={mixed}:eval=init[v{number}]"
    )
}

/// A side of the box that the logo fits into.
fn bound(
    size: Option<LogoSize>,
    side: impl Fn(&LogoSize) -> Option<Length>,
    whole: u32,
    own: &str,
) -> String {
    match size {
        None => format!("min({own},{whole})"),
        Some(size) => side(&size).map_or(whole, |length| length.in_pixels(whole).clamp(1, whole)).to_string(),
    }
}

/// FFmpeg's expression for how far the logo is from the left or the top edge of the frame.
fn offset(distance: Distance, whole: u32, frame: char, logo: char) -> String {
    let pixels = distance.length.in_pixels(whole);
    let room = format!("{frame}-{logo}");
    if distance.from_end { format!("max(0,{room}-{pixels})") } else { format!("max(0,min({pixels},{room}))") }
}
