//! Thumbnails and sprite sheets: as many as were planned, whole JPEG files, each of its size.

use model::Box2d;

use super::listing::wrong_output;
use crate::{error::MediaError, layout::OutputLayout, plan::Plan, source::Source, work_folder::WorkFolder};

/// Bytes of a thumbnail or a sheet, which are read whole: far more than any JPEG of its size has.
const MAX_JPEG_BYTES: u64 = model::limits::MAX_JPEG_BYTES as u64;

/// Checks all of them. Without an index in the source, it may have ended before it said, so that there are
/// fewer.
pub(super) fn check(plan: &Plan, source: &Source, dir: &WorkFolder) -> Result<(), MediaError> {
    let Some(planned) = &plan.thumbnails else { return Ok(()) };
    let names = (1..=planned.number).map(OutputLayout::thumbnail);
    let found = names.take_while(|name| dir.has_file(name)).count();
    let found = u32::try_from(found).unwrap_or(u32::MAX);
    if found == 0 || (source.duration_is_indexed && found < planned.number) {
        return Err(wrong_output(format!("there are {found} thumbnails, not {}", planned.number)));
    }
    for number in 1..=found {
        check_jpeg(dir, &OutputLayout::thumbnail(number), planned.size)?;
    }
    let width = planned.cell.width * planned.columns;
    let sheet_size = Box2d { width, height: planned.cell.height * planned.rows };
    for number in 1..=planned.sheets(found) {
        check_jpeg(dir, &OutputLayout::sheet(number), sheet_size)?;
    }
    Ok(())
}

fn check_jpeg(dir: &WorkFolder, name: &str, size: Box2d) -> Result<(), MediaError> {
    let bytes = dir
        .read(name, MAX_JPEG_BYTES)
        .map_err(|error| wrong_output(format!("`{name}` cannot be read: {error}")))?;
    match size_of_jpeg(&bytes) {
        Some(found) if found == size => Ok(()),
        Some(found) => Err(wrong_output(format!("`{name}` has {found} pixels, not {size}"))),
        None => Err(wrong_output(format!("`{name}` is no whole JPEG"))),
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
