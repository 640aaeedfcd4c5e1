//! The storyboard of thumbnails: WebVTT whose cues name a part of a sheet by a media fragment (`#xywh=`), as
//! players show it above their seek bar.

use std::io;

use model::Box2d;

use crate::{
    layout::OutputLayout,
    plan::{Plan, ThumbnailPlan},
    work_folder::WorkFolder,
};

/// Writes it for the thumbnails that there are: an input may end before its declared duration.
pub(super) fn write(plan: &Plan, dir: &WorkFolder) -> io::Result<()> {
    let Some(thumbnails) = &plan.thumbnails else { return Ok(()) };
    let written = (1..=thumbnails.number).take_while(|number| dir.has_file(OutputLayout::thumbnail(*number)));
    let count = u32::try_from(written.count()).unwrap_or(u32::MAX);
    dir.write(OutputLayout::storyboard(), storyboard(thumbnails, count, plan.duration))
}

/// Each thumbnail stands until the next one; the last until the end, unless more would have followed.
fn storyboard(thumbnails: &ThumbnailPlan, count: u32, duration: f64) -> String {
    let mut text = "WEBVTT\n".to_owned();
    let start = |index: u32| thumbnails.start + f64::from(index) * thumbnails.interval;
    for index in 0..count {
        let end = start(index + 1).min(duration);
        let (from, to) = (clock(start(index)), clock(end));
        text.push_str(&format!("\n{from} --> {to}\n{}\n", sheet_part(thumbnails, index)));
    }
    text
}

/// Such as `sprite_001.jpg#xywh=160,0,160,90`.
fn sheet_part(thumbnails: &ThumbnailPlan, index: u32) -> String {
    let per_sheet = thumbnails.columns * thumbnails.rows;
    let (sheet, cell_index) = (index / per_sheet, index % per_sheet);
    let (column, row) = (cell_index % thumbnails.columns, cell_index / thumbnails.columns);
    let Box2d { width, height } = thumbnails.cell;
    format!(
        "{}#xywh={},{},{width},{height}",
        OutputLayout::sheet_name(sheet + 1),
        column * width,
        row * height
    )
}

/// `HH:MM:SS.mmm`.
fn clock(seconds: f64) -> String {
    let millis = (seconds * 1000.0).round() as u64;
    let (hours, minutes) = (millis / 3_600_000, millis / 60_000 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{:03}", millis / 1000 % 60, millis % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thumbnail_has_its_time_and_its_place() {
        let thumbnails = ThumbnailPlan {
            start: 5.0,
            interval: 1800.0,
            number: 4,
            size: Box2d { width: 640, height: 360 },
            cell: Box2d { width: 320, height: 180 },
            columns: 2,
            rows: 1,
        };
        assert_eq!(
            storyboard(&thumbnails, 4, 6000.5),
            "WEBVTT\n\n\
             00:00:05.000 --> 00:30:05.000\nsprite_001.jpg#xywh=0,0,320,180\n\n\
             00:30:05.000 --> 01:00:05.000\nsprite_001.jpg#xywh=320,0,320,180\n\n\
             01:00:05.000 --> 01:30:05.000\nsprite_002.jpg#xywh=0,0,320,180\n\n\
             01:30:05.000 --> 01:40:00.500\nsprite_002.jpg#xywh=320,0,320,180\n"
        );
    }
}
