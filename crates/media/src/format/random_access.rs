//! Whether a sample is a picture that refers to no other, by its own bytes.

use std::{fs::File, os::unix::fs::FileExt as _};

use super::mp4::boxes::number32;
use crate::PictureCodec;

/// Units of a sample that are looked at before its first picture.
const MOST_UNITS: usize = 10_000;

/// Whether it is one at this byte of a file.
pub(crate) fn stands_alone(file: &File, codec: PictureCodec, at: u64) -> bool {
    let sample = Sample { file, at };
    match codec {
        // an IDR picture (ITU-T H.264, table 7-1)
        PictureCodec::H264 => sample.first_unit(|nal| match nal[0] & 0x1f {
            5 => Some(true),
            1..=4 => Some(false),
            _ => None,
        }),
        // IDR, or a broken link: what follows refers to nothing before (ITU-T H.265, table 7-1)
        PictureCodec::H265 => sample.first_unit(|nal| match (nal[0] >> 1) & 0x3f {
            16..=20 => Some(true),
            0..=31 => Some(false),
            _ => None,
        }),
        PictureCodec::Av1 => sample.begins_with_key_frame(),
        // frame marker 2, profile, then neither a repeated nor an inter frame (VP9, 6.2)
        PictureCodec::Vp9 => sample.byte(at).is_some_and(|byte| {
            let in_profile_3 = u32::from(byte >> 4 & 3 == 3);
            byte >> 6 == 2 && (byte << (4 + in_profile_3)) >> 6 == 0
        }),
    }
}

struct Sample<'a> {
    file: &'a File,
    at: u64,
}

impl Sample<'_> {
    fn byte(&self, at: u64) -> Option<u8> {
        let mut byte = [0];
        self.file.read_exact_at(&mut byte, at).ok().map(|()| byte[0])
    }

    /// Walks units with their length before them (ISO/IEC 14496-15) to the first that `decides`.
    fn first_unit(&self, decides: impl Fn([u8; 2]) -> Option<bool>) -> bool {
        let mut at = self.at;
        for _ in 0..MOST_UNITS {
            let mut head = [0; 6];
            if self.file.read_exact_at(&mut head, at).is_err() {
                return false;
            }
            if let Some(decided) = decides([head[4], head[5]]) {
                return decided;
            }
            at += 4 + u64::from(number32(&head, 0).unwrap_or_default());
        }
        false
    }

    /// Walks OBUs (AV1, 5.3) over the sequence's header to the first frame: a key frame that is shown
    /// (AV1 Codec ISO Media File Format Binding, 2.4).
    fn begins_with_key_frame(&self) -> bool {
        let (mut at, mut has_sequence) = (self.at, false);
        for _ in 0..MOST_UNITS {
            let Some(head) = self.byte(at) else { return false };
            let (kind, has_extension, has_size) = (head >> 3 & 15, head >> 2 & 1, head >> 1 & 1);
            at += 1 + u64::from(has_extension);
            let mut size = 0;
            for byte in 0..8 * has_size {
                let Some(next) = self.byte(at) else { return false };
                size |= u64::from(next & 0x7f) << (7 * byte);
                at += 1;
                if next & 0x80 == 0 {
                    break;
                }
            }
            match kind {
                // a frame, or its header: not one shown again, of type 0, and shown
                3 | 6 => return has_sequence && self.byte(at).is_some_and(|byte| byte >> 4 == 1),
                1 => has_sequence = true,
                _ => {}
            }
            at += size;
        }
        false
    }
}
