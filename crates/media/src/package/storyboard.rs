//! The storyboard of pictures taken out of the video: WebVTT whose cues name a part of a sheet by a
//! media fragment (`#xywh=`), as players show it above their seek bar.

use std::{fs, io, path::Path};

use crate::{Plan, ThumbnailPlan, formats::stills};

/// Writes it for the pictures that are there: an input may have ended before it said.
pub(super) fn write(plan: &Plan, dir: &Path) -> io::Result<()> {
    let Some(wanted) = &plan.thumbnails else { return Ok(()) };
    let folder = dir.join(stills::FOLDER);
    let there = (1..=wanted.number).take_while(|number| folder.join(stills::picture(*number)).is_file());
    let pictures = u32::try_from(there.count()).unwrap_or(u32::MAX);
    fs::write(folder.join(stills::STORYBOARD), storyboard(wanted, pictures, plan.duration))
}

/// Each picture stands until the next one; the last until the end, unless more would have followed.
fn storyboard(stills: &ThumbnailPlan, pictures: u32, duration: f64) -> String {
    let mut text = "WEBVTT\n".to_owned();
    let begin = |index: u32| stills.start + f64::from(index) * stills.interval;
    for index in 0..pictures {
        let end = begin(index + 1).min(duration);
        let (from, to) = (clock(begin(index)), clock(end));
        text.push_str(&format!("\n{from} --> {to}\n{}\n", part(stills, index)));
    }
    text
}

/// Such as `sprite_001.jpg#xywh=160,0,160,90`.
fn part(stills: &ThumbnailPlan, index: u32) -> String {
    let (sheet, place) = (index / (stills.columns * stills.rows), index % (stills.columns * stills.rows));
    let (column, row) = (place % stills.columns, place / stills.columns);
    let cell = stills.cell;
    format!(
        "{}#xywh={},{},{},{}",
        stills::sheet(sheet + 1),
        column * cell.width,
        row * cell.height,
        cell.width,
        cell.height
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
    use model::Box2d;

    use super::*;

    #[test]
    fn every_picture_has_its_time_and_its_place() {
        let stills = ThumbnailPlan {
            start: 5.0,
            interval: 1800.0,
            number: 4,
            size: Box2d { width: 640, height: 360 },
            cell: Box2d { width: 320, height: 180 },
            columns: 2,
            rows: 1,
        };
        assert_eq!(
            storyboard(&stills, 4, 6000.5),
            "WEBVTT\n\n\
             00:00:05.000 --> 00:30:05.000\nsprite_001.jpg#xywh=0,0,320,180\n\n\
             00:30:05.000 --> 01:00:05.000\nsprite_001.jpg#xywh=320,0,320,180\n\n\
             01:00:05.000 --> 01:30:05.000\nsprite_002.jpg#xywh=0,0,320,180\n\n\
             01:30:05.000 --> 01:40:00.500\nsprite_002.jpg#xywh=320,0,320,180\n"
        );
    }
}
