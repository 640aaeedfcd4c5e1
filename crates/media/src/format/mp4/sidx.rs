//! Segment indexes (`sidx`; ISO/IEC 14496-12, 8.16.3): where a player may begin within a segment.

use super::boxes::read_u32;

/// One reference of an index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference {
    /// Bytes that it refers to.
    pub bytes: u64,
    /// Their duration, in units of the timescale of the index.
    pub duration: u64,
    /// Whether they begin with a stream access point of type 1: a frame that is decoded, and shown, first.
    pub starts_with_sap_1: bool,
}

/// Reads the references of a `sidx`; none when its body ends before they do.
pub(crate) fn read_references(sidx: &[u8]) -> Option<Vec<Reference>> {
    // version and flags, reference_ID, timescale; then earliest_presentation_time and first_offset, of 4 or
    // 8 bytes each; then reserved and reference_count, of 2 bytes each
    let count_offset = if sidx.first()? == &0 { 20 } else { 28 };
    let count = (read_u32(sidx, count_offset)? & 0xffff) as usize;
    let mut references = Vec::new();
    for index in 0..count {
        let offset = count_offset + 4 + 12 * index;
        references.push(Reference {
            // the highest bit (reference_type) says that it refers to another index: no bytes of ours are
            // that many
            bytes: u64::from(read_u32(sidx, offset)?),
            duration: u64::from(read_u32(sidx, offset + 4)?),
            // starts_with_SAP has one bit, SAP_type the three after it
            starts_with_sap_1: read_u32(sidx, offset + 8)? >> 28 == 0b1001,
        });
    }
    Some(references)
}
