//! The tables of a track (ISO/IEC 14496-12, 8.6 and 8.7): its clock, how long its samples last, and where they lie.

use super::boxes::{child, number32, number64};

/// Whether a track is of picture or sound.
pub(super) fn is_shown(media: &[u8]) -> bool {
    let handler = child(media, b"hdlr").and_then(|body| body.get(8..12)).unwrap_or_default();
    handler == b"vide" || handler == b"soun"
}

/// Ticks of a second, by a media header.
pub(super) fn ticks(header: &[u8]) -> Option<u32> {
    number32(header, if *header.first()? == 1 { 20 } else { 12 })
}

/// Ticks of a second, and of the track, by a media header.
pub(super) fn said(header: &[u8]) -> Option<(u32, u64)> {
    let said = match header.first()? {
        1 => number64(header, 24)?,
        _ => u64::from(number32(header, 16)?),
    };
    ticks(header).filter(|second| *second > 0).map(|second| (second, said))
}

/// Ticks that all samples of a table last together; those that would be negative are not believed.
pub(super) fn summed(times: &[u8]) -> Option<u64> {
    let count = (number32(times, 4)? as usize).min(times.len().saturating_sub(8) / 8);
    let entry = |at: usize| Some((number32(times, 8 + at * 8)?, number32(times, 12 + at * 8)?));
    let entries = (0..count).map_while(entry).filter(|(_, lasts)| i32::try_from(*lasts).is_ok());
    Some(
        entries
            .fold(0_u64, |sum, (samples, lasts)| sum.saturating_add(u64::from(samples) * u64::from(lasts))),
    )
}

/// The end of the last byte that a track's tables name.
pub(super) fn reach(table: &[u8]) -> Option<u64> {
    let chunks = Chunks::read(table)?;
    let sizes = child(table, b"stsz")?;
    let (same, count) = (u64::from(number32(sizes, 4)?), u64::from(number32(sizes, 8)?));
    let runs = child(table, b"stsc")?;
    let in_run =
        |run: usize| Some((u64::from(number32(runs, 8 + run * 12)?), number32(runs, 12 + run * 12)?));
    let (mut run, mut sample, mut reach) = (0, 0_u64, 0_u64);
    for chunk in 0..chunks.count() {
        while in_run(run + 1).is_some_and(|(first, _)| first <= chunk as u64 + 1) {
            run += 1;
        }
        let last = (sample + u64::from(in_run(run)?.1)).min(count);
        let bytes = if same > 0 {
            same.saturating_mul(last - sample)
        } else {
            (sample..last)
                .map_while(|at| number32(sizes, 12 + usize::try_from(at).ok()? * 4))
                .map(u64::from)
                .sum()
        };
        if last > sample {
            reach = reach.max(chunks.offset(chunk)?.saturating_add(bytes));
        }
        sample = last;
    }
    Some(reach)
}

pub(super) enum Chunks<'a> {
    Short(&'a [u8]),
    Long(&'a [u8]),
}

impl<'a> Chunks<'a> {
    pub(super) fn read(table: &'a [u8]) -> Option<Self> {
        child(table, b"stco").map(Self::Short).or_else(|| child(table, b"co64").map(Self::Long))
    }

    /// As many as there are, whatever the table says.
    pub(super) fn count(&self) -> usize {
        let (body, width) = match self {
            Self::Short(body) => (body, 4),
            Self::Long(body) => (body, 8),
        };
        let said = number32(body, 4).unwrap_or(0) as usize;
        said.min(body.len().saturating_sub(8) / width)
    }

    pub(super) fn offset(&self, chunk: usize) -> Option<u64> {
        match self {
            Self::Short(body) => number32(body, 8 + chunk * 4).map(u64::from),
            Self::Long(body) => number64(body, 8 + chunk * 8),
        }
    }
}
