//! Damage to files: the same seed does the same damage.

use std::ops::Range;

/// SplitMix64: small, and the same on every machine and with every version of `rand`.
pub(crate) struct SplitMix64(u64);

impl SplitMix64 {
    /// Seeded with these numbers together.
    pub(crate) fn new(seeds: &[u64]) -> Self {
        let mut rng = Self(0);
        for seed in seeds {
            rng.0 ^= seed;
            rng.0 = rng.next();
        }
        rng
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number of this range.
    fn in_range(&mut self, range: Range<usize>) -> usize {
        range.start + (self.next() % range.len().max(1) as u64) as usize
    }

    /// A stretch of up to this many bytes.
    fn stretch(&mut self, bytes: &[u8], max: usize) -> Range<usize> {
        let length = self.in_range(1..max.min(bytes.len()));
        let start = self.in_range(0..bytes.len() - length);
        start..start + length
    }
}

/// A kind of damage.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Damage {
    /// 1 to 200 bits are flipped.
    FlippedBits,
    /// The end is missing.
    Truncated,
    /// A stretch is noise.
    Noise,
    /// A stretch is missing.
    Removed,
    /// A stretch is there twice.
    Repeated,
    /// Numbers at the start or the end, where headers and indexes are, are other numbers.
    Fields,
}

impl Damage {
    pub(crate) const ALL: [Self; 6] =
        [Self::FlippedBits, Self::Truncated, Self::Noise, Self::Removed, Self::Repeated, Self::Fields];

    const MAX_STRETCH_BYTES: usize = 4096;
    /// Bytes at either end that are taken for headers.
    const HEADER_BYTES: usize = 1024;

    /// Damages the bytes of a file.
    pub(crate) fn apply(self, bytes: &mut Vec<u8>, rng: &mut SplitMix64) {
        match self {
            Self::FlippedBits => {
                for _ in 0..rng.in_range(1..201) {
                    let at = rng.in_range(0..bytes.len());
                    bytes[at] ^= 1 << rng.in_range(0..8);
                }
            }
            Self::Truncated => bytes.truncate(rng.in_range(0..bytes.len())),
            Self::Noise => {
                let stretch = rng.stretch(bytes, Self::MAX_STRETCH_BYTES);
                bytes[stretch].fill_with(|| rng.next() as u8);
            }
            Self::Removed => {
                let stretch = rng.stretch(bytes, Self::MAX_STRETCH_BYTES);
                bytes.drain(stretch);
            }
            Self::Repeated => {
                let stretch = rng.stretch(bytes, Self::MAX_STRETCH_BYTES);
                let twice = bytes[stretch.clone()].to_vec();
                bytes.splice(stretch.end..stretch.end, twice);
            }
            Self::Fields => {
                for _ in 0..rng.in_range(1..5) {
                    let at = rng.in_range(0..Self::HEADER_BYTES.min(bytes.len() - 8));
                    let at = if rng.in_range(0..2) == 0 { at } else { bytes.len() - 8 - at };
                    let field = at..at + [1, 2, 4, 8][rng.in_range(0..4)];
                    match rng.in_range(0..4) {
                        0 => bytes[field].fill(0),
                        1 => bytes[field].fill(0xff),
                        2 => bytes[field].iter_mut().for_each(|byte| *byte = byte.wrapping_add(1)),
                        _ => bytes[field].fill_with(|| rng.next() as u8),
                    }
                }
            }
        }
    }
}
