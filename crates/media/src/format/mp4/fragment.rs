//! Movie fragments (`moof`; ISO/IEC 14496-12, 8.8).

use super::boxes::{child, children, read_u32, read_u64};

/// Flags of `tfhd` (8.8.7). Each optional field has four bytes, in the order of the flags.
const BASE_DATA_OFFSET: u32 = 0x1;
const SAMPLE_DESCRIPTION_INDEX: u32 = 0x2;
const DEFAULT_SAMPLE_DURATION: u32 = 0x8;
const DEFAULT_SAMPLE_SIZE: u32 = 0x10;

/// Flags of `trun` (8.8.8).
const DATA_OFFSET: u32 = 0x1;
const FIRST_SAMPLE_FLAGS: u32 = 0x4;
/// Flags of `trun` for a duration, a size, flags, and a composition time offset of each sample.
const SAMPLE_FIELDS: [u32; 4] = [0x100, 0x200, 0x400, 0x800];

/// What fragments take from the initialization segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrackDefaults {
    /// `track_ID`.
    pub track_id: u32,
    /// Units a second (`mdhd`).
    pub timescale: u32,
    /// Duration of a sample for which a fragment has none, in units of the timescale (`trex`).
    pub sample_duration: u32,
    /// Bytes of a sample for which a fragment has no size (`trex`).
    pub sample_size: u32,
}

/// A `moof` with one track.
#[derive(Debug)]
pub(crate) struct Fragment {
    /// `sequence_number` (`mfhd`).
    pub sequence_number: u32,
    /// `baseMediaDecodeTime` (`tfdt`), in units of the timescale.
    pub decode_time: u64,
    /// Of all samples together, in units of the timescale.
    pub duration: u64,
    /// Bytes of all samples together.
    pub bytes: u64,
    /// Bytes from the start of the `moof` to the first sample.
    pub data_offset: u64,
}

impl Fragment {
    /// Reads the body of a `moof`; none unless it has that track alone, whose offsets count from the start
    /// of the `moof` (CMAF, 7.3), with a decode time and samples.
    pub(crate) fn read(moof: &[u8], defaults: &TrackDefaults) -> Option<Self> {
        let mut tracks = children(moof).filter(|(kind, _)| *kind == b"traf").map(|(_, traf)| traf);
        let (Some(traf), None) = (tracks.next(), tracks.next()) else { return None };
        let tfhd = child(traf, b"tfhd")?;
        let flags = read_u32(tfhd, 0)?;
        if flags & BASE_DATA_OFFSET != 0 || read_u32(tfhd, 4)? != defaults.track_id {
            return None;
        }
        let field = |flag: u32, otherwise: u32| {
            if flags & flag == 0 {
                return Some(otherwise);
            }
            let fields = [SAMPLE_DESCRIPTION_INDEX, DEFAULT_SAMPLE_DURATION];
            let fields_before = fields.iter().filter(|field| **field < flag && flags & **field != 0);
            read_u32(tfhd, 8 + 4 * fields_before.count())
        };
        let sample_duration = field(DEFAULT_SAMPLE_DURATION, defaults.sample_duration)?;
        let sample_size = field(DEFAULT_SAMPLE_SIZE, defaults.sample_size)?;
        let tfdt = child(traf, b"tfdt")?;
        let mut fragment = Self {
            sequence_number: read_u32(child(moof, b"mfhd")?, 4)?,
            decode_time: if tfdt.first()? == &1 { read_u64(tfdt, 4)? } else { read_u32(tfdt, 4)?.into() },
            duration: 0,
            bytes: 0,
            data_offset: 0,
        };
        for (nth, (_, trun)) in children(traf).filter(|(kind, _)| *kind == b"trun").enumerate() {
            fragment.add_run(trun, nth == 0, sample_duration, sample_size)?;
        }
        if fragment.duration == 0 || fragment.data_offset == 0 {
            return None;
        }
        Some(fragment)
    }

    /// Adds the samples of a `trun`.
    fn add_run(
        &mut self,
        trun: &[u8],
        is_first: bool,
        default_duration: u32,
        default_size: u32,
    ) -> Option<()> {
        let (flags, sample_count) = (read_u32(trun, 0)?, read_u32(trun, 4)?);
        let mut offset = 8;
        if flags & DATA_OFFSET != 0 {
            if is_first {
                self.data_offset = u64::from(read_u32(trun, offset)?);
            }
            offset += 4;
        }
        if flags & FIRST_SAMPLE_FLAGS != 0 {
            offset += 4;
        }
        let [has_duration, has_size, ..] = SAMPLE_FIELDS.map(|flag| flags & flag != 0);
        let sample_bytes = 4 * SAMPLE_FIELDS.iter().filter(|flag| flags & **flag != 0).count();
        let size_offset = if has_duration { 4 } else { 0 };
        for _ in 0..sample_count {
            let duration = if has_duration { read_u32(trun, offset)? } else { default_duration };
            let size = if has_size { read_u32(trun, offset + size_offset)? } else { default_size };
            self.duration += u64::from(duration);
            self.bytes += u64::from(size);
            offset += sample_bytes;
        }
        Some(())
    }
}
