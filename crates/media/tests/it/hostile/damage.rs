//! Harm that is done to files: the same seed does the same harm.

use std::ops::Range;

/// A generator of numbers (SplitMix64): small, and the same on every machine.
pub(crate) struct Dice(u64);

impl Dice {
    /// Seeded with these numbers together.
    pub(crate) fn new(seeds: &[u64]) -> Self {
        let mut dice = Self(0);
        for seed in seeds {
            dice.0 ^= seed;
            dice.0 = dice.next();
        }
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of these numbers.
    fn of(&mut self, range: Range<usize>) -> usize {
        range.start + (self.next() % range.len().max(1) as u64) as usize
    }

    /// A stretch of up to this many bytes.
    fn stretch(&mut self, bytes: &[u8], most: usize) -> Range<usize> {
        let length = self.of(1..most.min(bytes.len()));
        let start = self.of(0..bytes.len() - length);
        start..start + length
    }
}

/// What is done.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Harm {
    /// 1 to 200 bits are turned over.
    Flips,
    /// The end is missing.
    Cut,
    /// A stretch is noise.
    Noise,
    /// A stretch is missing.
    Removed,
    /// A stretch is there twice.
    Doubled,
    /// Numbers at the start or the end, where headers and indexes are, are other numbers.
    Fields,
}

impl Harm {
    pub(crate) const ALL: [Self; 6] =
        [Self::Flips, Self::Cut, Self::Noise, Self::Removed, Self::Doubled, Self::Fields];

    /// Bytes of a stretch, at most.
    const STRETCH: usize = 4096;
    /// Bytes at either end that are taken for headers.
    const HEADER: usize = 1024;

    /// Does it.
    pub(crate) fn to(self, bytes: &mut Vec<u8>, dice: &mut Dice) {
        match self {
            Self::Flips => {
                for _ in 0..dice.of(1..201) {
                    let at = dice.of(0..bytes.len());
                    bytes[at] ^= 1 << dice.of(0..8);
                }
            }
            Self::Cut => bytes.truncate(dice.of(0..bytes.len())),
            Self::Noise => {
                let stretch = dice.stretch(bytes, Self::STRETCH);
                bytes[stretch].fill_with(|| dice.next() as u8);
            }
            Self::Removed => {
                let stretch = dice.stretch(bytes, Self::STRETCH);
                bytes.drain(stretch);
            }
            Self::Doubled => {
                let stretch = dice.stretch(bytes, Self::STRETCH);
                let twice = bytes[stretch.clone()].to_vec();
                bytes.splice(stretch.end..stretch.end, twice);
            }
            Self::Fields => {
                for _ in 0..dice.of(1..5) {
                    let at = dice.of(0..Self::HEADER.min(bytes.len() - 8));
                    let at = if dice.of(0..2) == 0 { at } else { bytes.len() - 8 - at };
                    let field = at..at + [1, 2, 4, 8][dice.of(0..4)];
                    match dice.of(0..4) {
                        0 => bytes[field].fill(0),
                        1 => bytes[field].fill(0xff),
                        2 => bytes[field].iter_mut().for_each(|byte| *byte = byte.wrapping_add(1)),
                        _ => bytes[field].fill_with(|| dice.next() as u8),
                    }
                }
            }
        }
    }
}
