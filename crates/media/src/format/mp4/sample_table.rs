//! The tables of a track (`mdhd`, `stbl`; ISO/IEC 14496-12, 8.4 to 8.7): its timescale, how long its samples
//! last, and where they lie in the file. Counts in them are not believed beyond the bytes that are there.

use super::boxes::{child, read_u32, read_u64};

/// Whether the handler of a `mdia` is that of video or audio.
pub(super) fn is_video_or_audio(mdia: &[u8]) -> bool {
    let handler = child(mdia, b"hdlr").and_then(|body| body.get(8..12)).unwrap_or_default();
    handler == b"vide" || handler == b"soun"
}

/// The timescale of a `mdhd`, in units a second; may be 0.
pub(super) fn timescale(mdhd: &[u8]) -> Option<u32> {
    read_u32(mdhd, if *mdhd.first()? == 1 { 20 } else { 12 })
}

/// Timescale and duration of a `mdhd`; none without a timescale.
pub(super) fn timescale_and_duration(mdhd: &[u8]) -> Option<(u32, u64)> {
    let duration = match mdhd.first()? {
        1 => read_u64(mdhd, 24)?,
        _ => u64::from(read_u32(mdhd, 16)?),
    };
    match timescale(mdhd)? {
        0 => None,
        timescale => Some((timescale, duration)),
    }
}

/// What all samples of a `stts` last together, in units of the timescale. Durations with the highest bit
/// set are negative to FFmpeg, and are not believed.
pub(super) fn duration_of_samples(stts: &[u8]) -> Option<u64> {
    let entries = (read_u32(stts, 4)? as usize).min(stts.len().saturating_sub(8) / 8);
    let mut sum = 0_u64;
    for entry in 0..entries {
        let (samples, duration) = (read_u32(stts, 8 + entry * 8)?, read_u32(stts, 12 + entry * 8)?);
        if i32::try_from(duration).is_ok() {
            sum = sum.saturating_add(u64::from(samples) * u64::from(duration));
        }
    }
    Some(sum)
}

/// The end of the last byte of the file that a `stbl` names as data: what a whole file has to have.
pub(super) fn last_indexed_byte(stbl: &[u8]) -> Option<u64> {
    let chunks = ChunkOffsets::read(stbl)?;
    let stsz = child(stbl, b"stsz")?;
    // a sample size of 0 says that a table with a size for each sample follows
    let (common_size, sample_count) = (u64::from(read_u32(stsz, 4)?), u64::from(read_u32(stsz, 8)?));
    let mut runs = ChunkRuns::read(stbl)?;
    let (mut sample, mut last_byte) = (0_u64, 0_u64);
    for chunk in 0..chunks.count() {
        let next_sample = (sample + u64::from(runs.samples_in(chunk)?)).min(sample_count);
        let bytes: u64 = if common_size > 0 {
            common_size.saturating_mul(next_sample - sample)
        } else {
            (sample..next_sample)
                .map_while(|index| read_u32(stsz, 12 + usize::try_from(index).ok()? * 4))
                .map(u64::from)
                .sum()
        };
        if next_sample > sample {
            last_byte = last_byte.max(chunks.offset(chunk)?.saturating_add(bytes));
        }
        sample = next_sample;
    }
    Some(last_byte)
}

/// Where each chunk begins in the file, in 32 or 64 bits.
pub(super) enum ChunkOffsets<'a> {
    /// The body of a `stco`.
    Stco(&'a [u8]),
    /// The body of a `co64`.
    Co64(&'a [u8]),
}

impl<'a> ChunkOffsets<'a> {
    pub(super) fn read(stbl: &'a [u8]) -> Option<Self> {
        child(stbl, b"stco").map(Self::Stco).or_else(|| child(stbl, b"co64").map(Self::Co64))
    }

    /// As many as there are, whatever the count in the table is.
    pub(super) fn count(&self) -> usize {
        let (body, width) = match self {
            Self::Stco(body) => (body, 4),
            Self::Co64(body) => (body, 8),
        };
        let entry_count = read_u32(body, 4).unwrap_or(0) as usize;
        entry_count.min(body.len().saturating_sub(8) / width)
    }

    pub(super) fn offset(&self, chunk: usize) -> Option<u64> {
        match self {
            Self::Stco(body) => read_u32(body, 8 + chunk * 4).map(u64::from),
            Self::Co64(body) => read_u64(body, 8 + chunk * 8),
        }
    }
}

/// How many samples each chunk has (`stsc`): an entry holds from its first chunk to that of the next entry.
/// Chunks are asked for in ascending order.
pub(super) struct ChunkRuns<'a> {
    stsc: &'a [u8],
    entry: usize,
}

impl<'a> ChunkRuns<'a> {
    pub(super) fn read(stbl: &'a [u8]) -> Option<Self> {
        Some(Self { stsc: child(stbl, b"stsc")?, entry: 0 })
    }

    /// Samples of a chunk, which is counted from 0.
    pub(super) fn samples_in(&mut self, chunk: usize) -> Option<u32> {
        // `first_chunk` is counted from 1
        while self.first_chunk(self.entry + 1).is_some_and(|first| first as usize <= chunk + 1) {
            self.entry += 1;
        }
        read_u32(self.stsc, 12 + self.entry * 12)
    }

    /// Of an entry that is whole up to its count of samples.
    fn first_chunk(&self, entry: usize) -> Option<u32> {
        read_u32(self.stsc, 12 + entry * 12)?;
        read_u32(self.stsc, 8 + entry * 12)
    }
}
