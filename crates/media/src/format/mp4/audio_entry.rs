//! Audio sample entries (ISO/IEC 14496-12, 12.2.3): the channels and the sample rate that a decoder is told.

use super::boxes::{child, read_u32};
use model::AudioCodec;

/// Bytes of an audio sample entry before its boxes.
const ENTRY_BYTES: usize = 28;
/// Offset of its sample rate, in 16.16 fixed point.
const SAMPLE_RATE_OFFSET: usize = 24;

/// `objectTypeIndication` of MPEG-4 audio (ISO/IEC 14496-1, 7.2.6.6).
const OBJECT_TYPE_MPEG4_AUDIO: u8 = 0x40;
/// `audioObjectType` of AAC-LC (ISO/IEC 14496-3, 1.5.1.1).
const AUDIO_OBJECT_TYPE_AAC_LC: u32 = 2;

/// Hz by `samplingFrequencyIndex` (ISO/IEC 14496-3, 1.6.3.4).
const AAC_SAMPLE_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
/// Channels by `channelConfiguration` (ISO/IEC 14496-3, 1.6.3.5).
const AAC_CHANNELS: [u32; 8] = [0, 1, 2, 3, 4, 5, 6, 8];

/// Hz by `fscod` (ATSC A/52, 5.4.1.3).
const AC3_SAMPLE_RATES: [u32; 3] = [48_000, 44_100, 32_000];
/// Full-bandwidth channels by `acmod` (ATSC A/52, 5.4.2.3); `lfeon` adds one.
const AC3_CHANNELS: [u32; 8] = [2, 1, 2, 3, 3, 4, 4, 5];

/// What a decoder is told of an audio track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AudioParams {
    /// The codec.
    pub codec: AudioCodec,
    /// Channels.
    pub channels: u32,
    /// Hz.
    pub sample_rate: u32,
}

impl AudioParams {
    /// Reads a sample entry; none when it lacks what a decoder of this codec needs.
    pub(crate) fn read(codec: AudioCodec, entry: &[u8]) -> Option<Self> {
        let boxes = entry.get(ENTRY_BYTES..)?;
        match codec {
            AudioCodec::Aac => read_esds(child(boxes, b"esds")?),
            AudioCodec::Opus => read_dops(child(boxes, b"dOps")?, entry),
            AudioCodec::Ac3 => read_dac3(child(boxes, b"dac3")?),
            // never planned in fragments
            AudioCodec::Mp3 => None,
        }
    }
}

/// `AudioSpecificConfig` (ISO/IEC 14496-3, 1.6.2.1) within the descriptors of a stream (ISO/IEC 14496-1,
/// 7.2.6): `ES_Descriptor`, `DecoderConfigDescriptor`, `DecoderSpecificInfo`.
fn read_esds(esds: &[u8]) -> Option<AudioParams> {
    let stream = descriptor(esds.get(4..)?, 3)?;
    // streamDependenceFlag, URL_Flag and OCRstreamFlag would put more before the next descriptor
    if *stream.get(2)? & 0xe0 != 0 {
        return None;
    }
    let decoder_config = descriptor(stream.get(3..)?, 4)?;
    let specific_info = descriptor(decoder_config.get(13..)?, 5)?;
    let bits = u32::from_be_bytes([*specific_info.first()?, *specific_info.get(1)?, 0, 0]);
    let (audio_object_type, frequency_index, channel_configuration) =
        (bits >> 27, bits >> 23 & 0xf, bits >> 19 & 0xf);
    if decoder_config.first() != Some(&OBJECT_TYPE_MPEG4_AUDIO)
        || audio_object_type != AUDIO_OBJECT_TYPE_AAC_LC
    {
        return None;
    }
    Some(AudioParams {
        codec: AudioCodec::Aac,
        channels: *AAC_CHANNELS.get(channel_configuration as usize)?,
        sample_rate: *AAC_SAMPLE_RATES.get(frequency_index as usize)?,
    })
}

/// The body of a descriptor, whose length is in the low seven bits of up to four bytes (ISO/IEC 14496-1,
/// 8.3.3).
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
    if *found != tag {
        return None;
    }
    rest.get(..length)
}

/// `OutputChannelCount` of `dOps`; the rate is always 48 kHz, and the entry has to say it (Opus in ISO Base
/// Media File Format, 4.3.1 and 4.3.2).
fn read_dops(dops: &[u8], entry: &[u8]) -> Option<AudioParams> {
    Some(AudioParams {
        codec: AudioCodec::Opus,
        channels: u32::from(*dops.get(1)?),
        sample_rate: read_u32(entry, SAMPLE_RATE_OFFSET)? >> 16,
    })
}

/// `AC3SpecificBox` (ETSI TS 102 366, F.4).
fn read_dac3(dac3: &[u8]) -> Option<AudioParams> {
    let bits = u32::from_be_bytes([0, *dac3.first()?, *dac3.get(1)?, *dac3.get(2)?]);
    let (fscod, acmod, lfeon) = (bits >> 22, bits >> 11 & 7, bits >> 10 & 1);
    Some(AudioParams {
        codec: AudioCodec::Ac3,
        channels: AC3_CHANNELS[acmod as usize] + lfeon,
        sample_rate: *AC3_SAMPLE_RATES.get(fscod as usize)?,
    })
}
