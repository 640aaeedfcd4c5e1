//! Whether a sample is a random access point, by its own bytes: the flags of containers are not believed.

use std::{fs::File, os::unix::fs::FileExt as _};

use super::mp4::boxes::read_u32;
use model::VideoCodec;

/// NAL units or OBUs of a sample that are read before its first slice or frame.
const MAX_UNITS: usize = 10_000;

/// Whether the sample at this offset in a file is one that decoding can begin with, as no later frame
/// refers to anything before it: IDR of H.264; IDR or BLA of H.265; a shown key frame of AV1 after its
/// sequence header; a key frame of VP9. CRA and I-frames with a recovery point are not.
pub(crate) fn is_random_access(file: &File, codec: VideoCodec, offset: u64) -> bool {
    let sample = Sample { file, offset };
    match codec {
        // nal_unit_type (ITU-T H.264, table 7-1): 5 is a slice of an IDR picture, 1 to 4 are those of others
        VideoCodec::H264 => sample.first_nal_unit(|header| match header[0] & 0x1f {
            5 => Some(true),
            1..=4 => Some(false),
            _ => None,
        }),
        // nal_unit_type (ITU-T H.265, table 7-1): 16 to 18 are BLA, 19 and 20 IDR; all below 32 are slices
        VideoCodec::H265 => sample.first_nal_unit(|header| match (header[0] >> 1) & 0x3f {
            16..=20 => Some(true),
            0..=31 => Some(false),
            _ => None,
        }),
        VideoCodec::Av1 => sample.begins_with_av1_key_frame(),
        VideoCodec::Vp9 => sample.byte(offset).is_some_and(is_vp9_key_frame),
    }
}

/// The first byte of a VP9 frame (VP9 bitstream specification, 6.2): frame_marker 2, the profile, of which
/// 3 has a bit more, show_existing_frame 0, frame_type 0.
fn is_vp9_key_frame(byte: u8) -> bool {
    let reserved_bits = u32::from(byte >> 4 & 3 == 3);
    byte >> 6 == 2 && (byte << (4 + reserved_bits)) >> 6 == 0
}

struct Sample<'a> {
    file: &'a File,
    offset: u64,
}

impl Sample<'_> {
    fn byte(&self, offset: u64) -> Option<u8> {
        let mut byte = [0];
        self.file.read_exact_at(&mut byte, offset).ok()?;
        Some(byte[0])
    }

    /// Goes through NAL units with a length of four bytes before each (ISO/IEC 14496-15) to the first for
    /// whose header `decide` has an answer.
    fn first_nal_unit(&self, decide: impl Fn([u8; 2]) -> Option<bool>) -> bool {
        let mut offset = self.offset;
        for _ in 0..MAX_UNITS {
            let mut head = [0; 6];
            if self.file.read_exact_at(&mut head, offset).is_err() {
                return false;
            }
            if let Some(answer) = decide([head[4], head[5]]) {
                return answer;
            }
            offset += 4 + u64::from(read_u32(&head, 0).unwrap_or_default());
        }
        false
    }

    /// Goes through OBUs (AV1 bitstream specification, 5.3) over the sequence header to the first frame,
    /// which has to be a key frame that is shown (AV1 Codec ISO Media File Format Binding, 2.4).
    fn begins_with_av1_key_frame(&self) -> bool {
        let (mut offset, mut has_sequence_header) = (self.offset, false);
        for _ in 0..MAX_UNITS {
            let Some(header) = self.byte(offset) else { return false };
            let (obu_type, has_extension, has_size) = (header >> 3 & 15, header >> 2 & 1, header >> 1 & 1);
            offset += 1 + u64::from(has_extension);
            let mut size = 0;
            // leb128: seven bits a byte, at most eight bytes
            for byte in 0..8 * has_size {
                let Some(next) = self.byte(offset) else { return false };
                size |= u64::from(next & 0x7f) << (7 * byte);
                offset += 1;
                if next & 0x80 == 0 {
                    break;
                }
            }
            match obu_type {
                // OBU_FRAME_HEADER or OBU_FRAME: show_existing_frame 0, frame_type KEY_FRAME (0),
                // show_frame 1
                3 | 6 => {
                    return has_sequence_header && self.byte(offset).is_some_and(|byte| byte >> 4 == 1);
                }
                1 => has_sequence_header = true,
                _ => {}
            }
            offset += size;
        }
        false
    }
}
