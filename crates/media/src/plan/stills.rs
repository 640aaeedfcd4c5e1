//! Pictures taken out of the video: when, how large, and how they are laid out on sheets.

use model::{Box2d, Resolution, Template, Thumbnail, VideoCodec};

use super::size;
use crate::{VideoStream, formats};

/// Seconds from one picture to the next when neither that nor their number is given.
const USUAL_INTERVAL: f64 = 10.0;
/// The short side of a picture when no box is given.
const USUAL_SIDE: u32 = 180;
/// The box of a picture on a sheet, which is looked at in passing.
const CELL: Box2d = Box2d { width: 320, height: 180 };
/// Pictures across and down a sheet, at most: 3200 × 1800 pixels, which every browser can hold.
const ACROSS: u32 = 10;
/// As many rows.
const DOWN: u32 = 10;
/// Pictures in all, at most: of the longest inputs as well, without an object for every second.
const MOST: f64 = 10_000.0;

/// Pictures taken out of the video.
#[derive(Clone, Debug, PartialEq)]
pub struct ThumbnailPlan {
    /// The time of the first one, in seconds.
    pub start: f64,
    /// Seconds from one to the next.
    pub interval: f64,
    /// How many: all of them lie before the end.
    pub number: u32,
    /// Of each.
    pub size: Box2d,
    /// Of each on a sheet.
    pub cell: Box2d,
    /// Pictures across a sheet.
    pub columns: u32,
    /// Pictures down a sheet.
    pub rows: u32,
}

impl ThumbnailPlan {
    /// The path of the first picture below the folder of an output's other objects.
    pub fn first_picture(&self) -> String {
        formats::stills::below_files(&formats::stills::picture(1))
    }

    /// The path of the storyboard below the folder of an output's other objects.
    pub fn storyboard(&self) -> String {
        formats::stills::below_files(formats::stills::STORYBOARD)
    }

    /// How many sheets so many pictures fill.
    pub(crate) fn sheets(&self, pictures: u32) -> u32 {
        pictures.div_ceil(self.columns * self.rows)
    }
}

/// What is taken out of a picture that lasts so long; none when nothing is asked for. What begins
/// after the end is taken from the very end.
pub(super) fn stills(
    template: &Template,
    picture: Option<&VideoStream>,
    duration: f64,
) -> Option<ThumbnailPlan> {
    let (wish, picture) = (template.thumbnail.as_ref()?, picture?);
    let frame = 1.0 / picture.rate.as_f64();
    let last = (duration - frame).max(0.0);
    let start = f64::from(wish.start_point).min(last);
    let interval = match (wish.interval, wish.number) {
        (0, 0) => USUAL_INTERVAL,
        (0, number) => (duration - start) / f64::from(number),
        (interval, _) => interval.into(),
    };
    let fitting = ((last - start) / interval.max(frame) + 1e-6).floor() + 1.0;
    let asked = if wish.number == 0 { MOST } else { wish.number.into() };
    let number = fitting.min(asked).min(MOST) as u32;
    let size = size::scaled(picture.shown(), scale(wish, picture.shown()), VideoCodec::H264);
    let shown = (f64::from(size.width), f64::from(size.height));
    let cell = size::scaled(shown, size::scale(Resolution::Fit(CELL), shown), VideoCodec::H264);
    let columns = number.min(ACROSS);
    Some(ThumbnailPlan {
        start,
        interval,
        number,
        size,
        cell,
        columns,
        rows: number.div_ceil(columns).min(DOWN),
    })
}

/// The box is taken as it stands: unlike that of a rendition it does not turn.
fn scale(wish: &Thumbnail, shown: (f64, f64)) -> f64 {
    let side = |wish: u32, side: f64| if wish == 0 { f64::INFINITY } else { f64::from(wish) / side };
    match (wish.width, wish.height) {
        (0, 0) => size::scale(Resolution::ShortSide(USUAL_SIDE), shown),
        (width, height) => side(width, shown.0).min(side(height, shown.1)),
    }
}
