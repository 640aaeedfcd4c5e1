//! Bits of a header, the highest of each byte first.

/// Reads the bits of bytes that may end too early.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.position / 8)?;
        let bit = byte >> (7 - self.position % 8) & 1;
        self.position += 1;
        Some(bit == 1)
    }

    /// A number of at most 64 bits.
    pub(super) fn number(&mut self, bits: u32) -> Option<u64> {
        let mut number = 0;
        for _ in 0..bits {
            number = number << 1 | u64::from(self.flag()?);
        }
        Some(number)
    }

    pub(super) fn skip(&mut self, bits: u32) -> Option<()> {
        for _ in 0..bits {
            self.flag()?;
        }
        Some(())
    }

    /// `ue(v)` of ITU-T H.264 and H.265, which is `uvlc()` of AV1: as many zeros as there are bits after the first one.
    pub(super) fn exp_golomb(&mut self) -> Option<u64> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
        }
        if zeros > 32 {
            return None;
        }
        Some((1 << zeros) - 1 + self.number(zeros)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_both_kinds() {
        let mut bits = Bits::new(&[0b1010_0110, 0b0001_0100]);
        assert_eq!((bits.exp_golomb(), bits.exp_golomb(), bits.exp_golomb()), (Some(0), Some(1), Some(2)));
        assert_eq!((bits.skip(1), bits.exp_golomb(), bits.number(2)), (Some(()), Some(9), None));
        assert_eq!(Bits::new(&[0b1100_0000]).number(3), Some(6));
        assert_eq!(Bits::new(&[0; 9]).exp_golomb(), None, "it does not end");
    }
}
