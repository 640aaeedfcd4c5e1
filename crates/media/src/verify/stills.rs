//! Pictures taken out of the video: as many as were planned, whole, each of its size.

use std::{fs, path::Path};

use model::Box2d;

use super::listing::wrong;
use crate::{error::MediaError, layout::OutputLayout, plan::Plan, source::Source};

/// Agrees, or says what is wrong. An input without an index may have ended before it said.
pub(super) fn check(plan: &Plan, source: &Source, dir: &Path) -> Result<(), MediaError> {
    let Some(wanted) = &plan.thumbnails else { return Ok(()) };
    let there = (1..=wanted.number).take_while(|number| dir.join(OutputLayout::thumbnail(*number)).is_file());
    let pictures = u32::try_from(there.count()).unwrap_or(u32::MAX);
    if pictures == 0 || (source.duration_is_indexed && pictures < wanted.number) {
        return Err(wrong(format!("there are {pictures} thumbnails, not {}", wanted.number)));
    }
    for number in 1..=pictures {
        check_picture(dir, &OutputLayout::thumbnail(number), wanted.size)?;
    }
    let across = wanted.cell.width * wanted.columns;
    let sheet = Box2d { width: across, height: wanted.cell.height * wanted.rows };
    for number in 1..=wanted.sheets(pictures) {
        check_picture(dir, &OutputLayout::sheet(number), sheet)?;
    }
    Ok(())
}

fn check_picture(folder: &Path, name: &str, size: Box2d) -> Result<(), MediaError> {
    let bytes =
        fs::read(folder.join(name)).map_err(|error| wrong(format!("`{name}` cannot be read: {error}")))?;
    match size_of_jpeg(&bytes) {
        Some(found) if found == size => Ok(()),
        Some(found) => Err(wrong(format!("`{name}` has {found} pixels, not {size}"))),
        None => Err(wrong(format!("`{name}` is no whole JPEG"))),
    }
}

/// The size in the frame header of a JPEG (ITU-T T.81, B.2.2) that has its end marker.
fn size_of_jpeg(bytes: &[u8]) -> Option<Box2d> {
    const START: [u8; 2] = [0xff, 0xd8];
    const END: [u8; 2] = [0xff, 0xd9];
    let mut rest = bytes.strip_prefix(&START)?.strip_suffix(&END)?;
    loop {
        let (marker, after) = rest.split_at_checked(2)?;
        let length = usize::from(u16::from_be_bytes(after.get(..2)?.try_into().ok()?));
        match marker {
            [0xff, 0xc0..=0xc2] => {
                let side = |at: usize| Some(u16::from_be_bytes(after.get(at..at + 2)?.try_into().ok()?));
                return Some(Box2d { width: side(5)?.into(), height: side(3)?.into() });
            }
            [0xff, _] => rest = after.get(length..)?,
            _ => return None,
        }
    }
}
