//! Thumbnails: a branch of the video's graph, and two outputs of JPEG files, single ones and sheets.

use std::{ffi::OsString, path::Path};

use crate::{
    layout::OutputLayout,
    plan::{Plan, ThumbnailPlan},
    tool::ffmpeg::words,
};

/// Of frames at this rate, those that are shown at the planned times, as `[p0]`; and sheets of them, as
/// `[p1]`. JPEG has full range and BT.601 (JFIF).
pub(super) fn graph(thumbnails: &ThumbnailPlan, frame_rate: f64) -> String {
    let ThumbnailPlan { start, interval, number, size, cell, columns, rows } = thumbnails;
    // the frame that is shown at a time began less than a frame before it
    let tolerance = 1.0 / frame_rate - 0.001;
    let scaled = |width: u32, height: u32| {
        format!("scale=w={width}:h={height}:out_range=full:out_color_matrix=bt601,format=yuv420p,setsar=1")
    };
    format!(
        "select='lt(selected_n,{number})*gt(t,{start}+selected_n*{interval}-{tolerance:.6})',split[p][q];\
         [p]{}[p0];[q]{},tile={columns}x{rows}[p1]",
        scaled(size.width, size.height),
        scaled(cell.width, cell.height),
    )
}

/// The two outputs. Their names are relative to the work folder: a `%` in its path would be read as a
/// number's place.
pub(super) fn outputs(plan: &Plan) -> Vec<OsString> {
    if plan.thumbnails.is_none() {
        return Vec::new();
    }
    let output = |label: &str, pattern: String| {
        let file = format!("file:{}", OutputLayout::dir(Path::new("")).join(pattern).display());
        words(&[
            "-map",
            label,
            "-c:v",
            "mjpeg",
            "-q:v",
            "3",
            "-fps_mode",
            "passthrough",
            "-f",
            "image2",
            &file,
        ])
    };
    [output("[p0]", OutputLayout::thumbnail_pattern()), output("[p1]", OutputLayout::sheet_pattern())]
        .concat()
}
