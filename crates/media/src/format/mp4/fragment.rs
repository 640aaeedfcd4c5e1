//! Movie fragments (ISO/IEC 14496-12, 8.8).

use super::boxes::{child, children, number32, number64};

/// Flags of `tfhd` (8.8.7).
const BASE_DATA_OFFSET: u32 = 0x1;
/// The fields that a `tfhd` may have before its defaults, and these: each has four bytes.
const DESCRIPTION_INDEX: u32 = 0x2;
const DEFAULT_DURATION: u32 = 0x8;
const DEFAULT_SIZE: u32 = 0x10;

/// Flags of `trun` (8.8.8).
const DATA_OFFSET: u32 = 0x1;
const FIRST_SAMPLE_FLAGS: u32 = 0x4;
/// Duration, size, flags and time offset of each sample.
const OF_SAMPLES: [u32; 4] = [0x100, 0x200, 0x400, 0x800];

/// What fragments go by, from an initialization segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrackHeader {
    /// `track_ID`.
    pub track: u32,
    /// Units a second (`mdhd`).
    pub timescale: u32,
    /// Duration of a sample of which nothing is said, in units of the timescale (`trex`).
    pub sample_duration: u32,
    /// Its bytes.
    pub sample_size: u32,
}

/// What is read of a `moof`.
#[derive(Debug)]
pub(crate) struct Fragment {
    /// Counted from the first one.
    pub number: u32,
    /// Ticks at which decoding begins.
    pub begins: u64,
    /// Ticks of all its samples.
    pub lasts: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes from the start of the `moof` to the first one.
    pub first_sample: u64,
}

/// One track's fragment, whose offsets count from the start of its `moof`.
pub(crate) fn read(body: &[u8], header: &TrackHeader) -> Option<Fragment> {
    let number = number32(child(body, b"mfhd")?, 4)?;
    let mut tracks = children(body).filter(|(kind, _)| *kind == b"traf").map(|(_, body)| body);
    let (Some(track), None) = (tracks.next(), tracks.next()) else { return None };
    let defaults = child(track, b"tfhd")?;
    let flags = number32(defaults, 0)?;
    if flags & BASE_DATA_OFFSET != 0 || number32(defaults, 4)? != header.track {
        return None;
    }
    let default = |flag: u32, otherwise: u32| {
        let before =
            [DESCRIPTION_INDEX, DEFAULT_DURATION].iter().filter(|one| **one < flag && flags & **one != 0);
        if flags & flag == 0 { Some(otherwise) } else { number32(defaults, 8 + 4 * before.count()) }
    };
    let defaults =
        [default(DEFAULT_DURATION, header.sample_duration)?, default(DEFAULT_SIZE, header.sample_size)?];
    let time = child(track, b"tfdt")?;
    let begins = if time.first()? == &1 { number64(time, 4)? } else { u64::from(number32(time, 4)?) };
    let mut fragment = Fragment { number, begins, lasts: 0, bytes: 0, first_sample: 0 };
    for (nth, (_, run)) in children(track).filter(|(kind, _)| *kind == b"trun").enumerate() {
        fragment.add(run, nth == 0, defaults)?;
    }
    (fragment.lasts > 0 && fragment.first_sample > 0).then_some(fragment)
}

impl Fragment {
    /// Takes in a `trun`.
    fn add(&mut self, run: &[u8], is_first: bool, [duration, size]: [u32; 2]) -> Option<()> {
        let (flags, count) = (number32(run, 0)?, number32(run, 4)?);
        let mut at = 8;
        if flags & DATA_OFFSET != 0 {
            if is_first {
                self.first_sample = u64::from(number32(run, at)?);
            }
            at += 4;
        }
        if flags & FIRST_SAMPLE_FLAGS != 0 {
            at += 4;
        }
        let has = |field: usize| usize::from(flags & OF_SAMPLES[field] != 0);
        let width = 4 * (0..OF_SAMPLES.len()).map(has).sum::<usize>();
        for _ in 0..count {
            let own = |field: usize, at: usize, otherwise| match has(field) {
                0 => Some(otherwise),
                _ => number32(run, at),
            };
            self.lasts += u64::from(own(0, at, duration)?);
            self.bytes += u64::from(own(1, at + 4 * has(0), size)?);
            at += width;
        }
        Some(())
    }
}
