//! Thumbnails: when, how large, and how they are laid out on sheets.

use model::{Box2d, Resolution, Template, Thumbnail, VideoCodec};

use super::size;
use crate::{plan::ThumbnailPlan, source::VideoStream};

/// Seconds from one thumbnail to the next when neither that nor their number is given.
const DEFAULT_INTERVAL_SECS: f64 = 10.0;
/// The short side of a thumbnail when no box is given.
const DEFAULT_SHORT_SIDE: u32 = 180;
/// The box of a thumbnail on a sheet, which is looked at in passing.
const SHEET_CELL: Box2d = Box2d { width: 320, height: 180 };
/// Thumbnails across and down a sheet, at most: 3200 × 1800 pixels, which every browser can hold.
const MAX_SHEET_COLUMNS: u32 = 10;
const MAX_SHEET_ROWS: u32 = 10;
/// Thumbnails in all, at most: of the longest inputs as well, without an object for every second.
const MAX_THUMBNAILS: f64 = 10_000.0;

/// The thumbnails of a video of this duration; none when the template asks for none. What begins
/// after the end is taken from the very end.
pub(super) fn plan(template: &Template, video: Option<&VideoStream>, duration: f64) -> Option<ThumbnailPlan> {
    let (asked, video) = (template.thumbnail.as_ref()?, video?);
    let frame = 1.0 / video.frame_rate.as_f64();
    let last = (duration - frame).max(0.0);
    let start = f64::from(asked.start_point).min(last);
    let interval = match (asked.interval, asked.number) {
        (0, 0) => DEFAULT_INTERVAL_SECS,
        (0, number) => (duration - start) / f64::from(number),
        (interval, _) => interval.into(),
    };
    let fitting = ((last - start) / interval.max(frame) + 1e-6).floor() + 1.0;
    let max = if asked.number == 0 { MAX_THUMBNAILS } else { asked.number.into() };
    let number = fitting.min(max).min(MAX_THUMBNAILS) as u32;
    let display_size = video.display_size();
    // JPEG, with the chroma subsampling and therefore the even sides of H.264
    let size = size::scaled(display_size, scale(asked, display_size), VideoCodec::H264);
    let full_size = (f64::from(size.width), f64::from(size.height));
    let cell = size::scaled(full_size, size::scale(Resolution::Fit(SHEET_CELL), full_size), VideoCodec::H264);
    let columns = number.min(MAX_SHEET_COLUMNS);
    let rows = number.div_ceil(columns).min(MAX_SHEET_ROWS);
    Some(ThumbnailPlan { start, interval, number, size, cell, columns, rows })
}

/// The box is taken as it stands: unlike that of a rendition it does not turn with the video.
fn scale(asked: &Thumbnail, (width, height): (f64, f64)) -> f64 {
    let side = |asked: u32, side: f64| if asked == 0 { f64::INFINITY } else { f64::from(asked) / side };
    match (asked.width, asked.height) {
        (0, 0) => size::scale(Resolution::ShortSide(DEFAULT_SHORT_SIDE), (width, height)),
        (across, down) => side(across, width).min(side(down, height)),
    }
}
