//! Video sample entries (ISO/IEC 14496-12, 12.1.3): the parameter sets, or the codec's own configuration
//! box.

use super::boxes::child;
use model::VideoCodec;

/// Bytes of a video sample entry before its boxes.
const ENTRY_BYTES: usize = 78;

/// NAL unit types of parameter sets (ITU-T H.264, table 7-1; ITU-T H.265, table 7-1).
const AVC_SPS: u8 = 7;
const AVC_PPS: u8 = 8;
const HEVC_VPS: u8 = 32;
const HEVC_SPS: u8 = 33;
const HEVC_PPS: u8 = 34;

/// Whether a sample entry holds what a decoder needs before the first frame: parameter sets (ISO/IEC
/// 14496-15, 5.3.3.1.2 and 8.3.3.1.2), or the codec's configuration box.
pub(crate) fn has_decoder_config(codec: VideoCodec, entry: &[u8]) -> bool {
    let Some(boxes) = entry.get(ENTRY_BYTES..) else { return false };
    match codec {
        VideoCodec::H264 => child(boxes, b"avcC").and_then(check_avc_parameter_sets).is_some(),
        VideoCodec::H265 => child(boxes, b"hvcC").and_then(check_hevc_parameter_sets).is_some(),
        VideoCodec::Av1 => child(boxes, b"av1C").is_some(),
        VideoCodec::Vp9 => child(boxes, b"vpcC").is_some(),
    }
}

/// `AVCDecoderConfigurationRecord`: SPS, then PPS, at least one of each, none of them empty.
fn check_avc_parameter_sets(record: &[u8]) -> Option<()> {
    let mut rest = record.get(5..)?;
    // the count of SPS has five bits, that of PPS eight
    for (count_mask, nal_unit_type) in [(0x1f, AVC_SPS), (0xff, AVC_PPS)] {
        let count = rest.first()? & count_mask;
        if count == 0 {
            return None;
        }
        rest = &rest[1..];
        for _ in 0..count {
            rest = skip_nal_unit(rest, |header| header & 0x1f == nal_unit_type)?;
        }
    }
    Some(())
}

/// `HEVCDecoderConfigurationRecord`: arrays with VPS, SPS and PPS among them, none of them empty.
fn check_hevc_parameter_sets(record: &[u8]) -> Option<()> {
    let (array_count, mut rest) = (*record.get(22)?, record.get(23..)?);
    let mut found = Vec::new();
    for _ in 0..array_count {
        let nal_unit_type = rest.first()? & 0x3f;
        let count = u16::from_be_bytes([*rest.get(1)?, *rest.get(2)?]);
        rest = &rest[3..];
        for _ in 0..count {
            rest = skip_nal_unit(rest, |header| header >> 1 & 0x3f == nal_unit_type)?;
            found.push(nal_unit_type);
        }
    }
    if [HEVC_VPS, HEVC_SPS, HEVC_PPS].iter().all(|wanted| found.contains(wanted)) { Some(()) } else { None }
}

/// What follows a NAL unit with its length of two bytes before it; none unless the first byte of the unit
/// is right.
fn skip_nal_unit(bytes: &[u8], is_right: impl Fn(u8) -> bool) -> Option<&[u8]> {
    let length = usize::from(u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]));
    let unit = bytes.get(2..2 + length)?;
    if is_right(*unit.first()?) { Some(&bytes[2 + length..]) } else { None }
}
