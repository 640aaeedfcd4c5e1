//! What an initialization segment tells a decoder of its video: parameter sets, or the codec's own box.

use super::boxes::child;
use crate::PictureCodec;

/// Bytes of a video sample entry before its boxes (ISO/IEC 14496-12, 12.1.3).
const ENTRY: usize = 78;

/// Whether what a decoder needs before the first frame is in a sample entry: parameter sets (ISO/IEC 14496-15,
/// 5.3.3.1.2 and 8.3.3.1.2), or the codec's own box.
pub(crate) fn has_parameters(codec: PictureCodec, entry: &[u8]) -> bool {
    let boxes = entry.get(ENTRY..);
    let found = boxes.and_then(|boxes| match codec {
        PictureCodec::H264 => avc_sets(child(boxes, b"avcC")?),
        PictureCodec::H265 => hevc_sets(child(boxes, b"hvcC")?),
        PictureCodec::Av1 => child(boxes, b"av1C").map(|_| ()),
        PictureCodec::Vp9 => child(boxes, b"vpcC").map(|_| ()),
    });
    found.is_some()
}

/// An SPS, then a PPS, of which none is empty.
fn avc_sets(record: &[u8]) -> Option<()> {
    let mut rest = record.get(5..)?;
    for (mask, kind) in [(0x1f, 7), (0xff, 8)] {
        let count = rest.first()? & mask;
        rest = &rest[1..];
        for _ in 0..count {
            rest = unit(rest, |head| head & 0x1f == kind)?;
        }
        (count > 0).then_some(())?;
    }
    Some(())
}

/// VPS, SPS and PPS, of which none is empty.
fn hevc_sets(record: &[u8]) -> Option<()> {
    let (arrays, mut rest) = (*record.get(22)?, record.get(23..)?);
    let mut kinds = Vec::new();
    for _ in 0..arrays {
        let kind = rest.first()? & 0x3f;
        let count = u16::from_be_bytes([*rest.get(1)?, *rest.get(2)?]);
        rest = &rest[3..];
        for _ in 0..count {
            rest = unit(rest, |head| head >> 1 & 0x3f == kind)?;
            kinds.push(kind);
        }
    }
    [32, 33, 34].iter().all(|kind| kinds.contains(kind)).then_some(())
}

/// What follows a unit with its length of two bytes before it, if its head is right.
fn unit(bytes: &[u8], is_right: impl Fn(u8) -> bool) -> Option<&[u8]> {
    let length = usize::from(u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]));
    let unit = bytes.get(2..2 + length)?;
    unit.first().is_some_and(|head| is_right(*head)).then_some(&bytes[2 + length..])
}
