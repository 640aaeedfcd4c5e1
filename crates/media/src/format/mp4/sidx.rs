//! Segment indexes (ISO/IEC 14496-12, 8.16.3): where a player may begin within a segment.

use super::boxes::number32;

/// One reference of an index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference {
    /// Bytes.
    pub bytes: u64,
    /// Units of the index's timescale.
    pub duration: u64,
    /// Whether it begins with a stream access point of type 1.
    pub starts_with_sap: bool,
}

/// Reads the references; none when the body ends before they do.
pub(crate) fn read(body: &[u8]) -> Option<Vec<Reference>> {
    // version and flags, reference_ID, timescale; then earliest time and offset, of 4 or 8 bytes each; then the count
    let count_at = if body.first()? == &0 { 20 } else { 28 };
    let count = (number32(body, count_at)? & 0xffff) as usize;
    let reference = |index: usize| {
        let at = count_at + 4 + 12 * index;
        let (size, duration, sap) = (number32(body, at)?, number32(body, at + 4)?, number32(body, at + 8)?);
        // the highest bit of the size is set for an index of indexes, which is then longer than any segment of ours
        Some(Reference {
            bytes: u64::from(size),
            duration: u64::from(duration),
            // starts_with_SAP is one bit, SAP_type the three after it
            starts_with_sap: sap >> 28 == 0b1001,
        })
    };
    (0..count).map(reference).collect()
}
