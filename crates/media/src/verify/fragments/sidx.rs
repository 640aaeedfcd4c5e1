//! Segment indexes (ISO/IEC 14496-12, 8.16.3): where a player may begin within a segment.

use super::Fragment;
use crate::probe::boxes::number32;

/// What an index lists: bytes, ticks, and whether it begins with what stands alone.
pub(super) struct Index(Vec<(u64, u64, bool)>);

impl Index {
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        // version and flags, id, ticks a second; then time and offset, of 4 or 8 bytes each; then the count
        let count_at = if body.first()? == &0 { 20 } else { 28 };
        let count = (number32(body, count_at)? & 0xffff) as usize;
        let entry = |index: usize| {
            let at = count_at + 4 + 12 * index;
            let (size, ticks, sap) = (number32(body, at)?, number32(body, at + 4)?, number32(body, at + 8)?);
            // the highest bit of the size is of an index of indexes; SAP is a bit, then 3 bits of its type
            Some((u64::from(size), u64::from(ticks), sap >> 28 == 9))
        };
        (0..count).map(entry).collect::<Option<Vec<_>>>().map(Self)
    }

    /// It lists these fragments, which are so many bytes, and that each begins with what stands alone.
    pub(super) fn is_true(&self, bytes: u64, fragments: &[Fragment]) -> Result<(), String> {
        let listed: (u64, u64) = self.0.iter().fold((0, 0), |sum, entry| (sum.0 + entry.0, sum.1 + entry.1));
        let ticks = fragments.iter().map(|fragment| fragment.lasts).sum();
        if listed != (bytes, ticks) {
            let (listed_bytes, listed_ticks) = listed;
            return Err(format!(
                "has an index of {listed_bytes} bytes and {listed_ticks} ticks, and is {bytes} and {ticks}"
            ));
        }
        if self.0.len() != fragments.len() || !self.0.iter().all(|(.., alone)| *alone) {
            return Err("has an index that does not list its fragments as points to begin at".to_owned());
        }
        Ok(())
    }
}
