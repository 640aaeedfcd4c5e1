//! What an initialization segment tells a decoder of its sound: channels and Hz.

use super::boxes::{child, number32};
use crate::SoundCodec;

/// Bytes of a sound's sample entry before its boxes (ISO/IEC 14496-12, 12.2.3), and where it says the rate.
const ENTRY: usize = 28;
const RATE: usize = 24;

/// AAC among the codecs of MPEG-4 (ISO/IEC 14496-1, 7.2.6.6), and its kind LC (ISO/IEC 14496-3, 1.5.1.1).
const AAC: u8 = 0x40;
const LC: u32 = 2;

/// Hz by their numbers in AAC (ISO/IEC 14496-3, 1.6.3.4).
const AAC_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
/// Channels by the numbers of configurations in AAC (1.6.3.5).
const AAC_CHANNELS: [u32; 8] = [0, 1, 2, 3, 4, 5, 6, 8];

/// Hz and channels by their numbers in AC-3 (ATSC A/52, 5.4.1.3 and 5.4.2.3); the low frequencies come on top.
const AC3_RATES: [u32; 3] = [48_000, 44_100, 32_000];
const AC3_CHANNELS: [u32; 8] = [2, 1, 2, 3, 3, 4, 4, 5];

/// What a decoder is told of an audio track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AudioParams {
    /// The codec.
    pub codec: SoundCodec,
    /// Channels.
    pub channels: u32,
    /// Hz.
    pub sample_rate: u32,
}

/// Reads a sample entry; none when it does not say what has to be said of this codec.
pub(crate) fn read(codec: SoundCodec, entry: &[u8]) -> Option<AudioParams> {
    let boxes = entry.get(ENTRY..)?;
    let (channels, sample_rate) = match codec {
        SoundCodec::Aac => aac(child(boxes, b"esds")?.get(4..)?)?,
        // always at 48 kHz, which the entry has to say (Opus in ISO files, 4.3.1 and 4.3.2)
        SoundCodec::Opus => ((*child(boxes, b"dOps")?.get(1)?).into(), number32(entry, RATE)? >> 16),
        SoundCodec::Ac3 => ac3(child(boxes, b"dac3")?)?,
        // never in fragments
        SoundCodec::Mp3 => return None,
    };
    Some(AudioParams { codec, channels, sample_rate })
}

/// The `AudioSpecificConfig` (ISO/IEC 14496-3, 1.6.2.1) in the descriptors of a stream (ISO/IEC 14496-1, 7.2.6).
fn aac(descriptors: &[u8]) -> Option<(u32, u32)> {
    let stream = descriptor(descriptors, 3)?;
    let flags = *stream.get(2)?;
    // an address and a stream that this one depends on, which files do not have
    let config = if flags & 0xe0 == 0 { descriptor(stream.get(3..)?, 4)? } else { return None };
    let specific = descriptor(config.get(13..)?, 5)?;
    let bits = u32::from_be_bytes([*specific.first()?, *specific.get(1)?, 0, 0]);
    let (kind, rate, channels) = (bits >> 27, bits >> 23 & 0xf, bits >> 19 & 0xf);
    if config.first() != Some(&AAC) || kind != LC {
        return None;
    }
    Some((*AAC_CHANNELS.get(channels as usize)?, *AAC_RATES.get(rate as usize)?))
}

/// The body of a descriptor, whose length is in the low bits of up to four bytes.
fn descriptor(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let (found, mut rest) = bytes.split_first()?;
    let mut length = 0;
    for _ in 0..4 {
        let (byte, after) = rest.split_first()?;
        length = length << 7 | usize::from(byte & 0x7f);
        rest = after;
        if byte & 0x80 == 0 {
            break;
        }
    }
    rest.get(..length).filter(|_| *found == tag)
}

/// `AC3SpecificBox` (ETSI TS 102 366, F.4).
fn ac3(body: &[u8]) -> Option<(u32, u32)> {
    let bits = u32::from_be_bytes([0, *body.first()?, *body.get(1)?, *body.get(2)?]);
    let (rate, speakers, low) = (bits >> 22, bits >> 11 & 7, bits >> 10 & 1);
    Some((AC3_CHANNELS[speakers as usize] + low, *AC3_RATES.get(rate as usize)?))
}
