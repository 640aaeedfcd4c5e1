//! AAC as ADTS has it (ISO/IEC 14496-3, 1.A.2.2): the header of every frame.

use super::{Problem, StreamDigest};

/// Bytes of a header without its checksum.
const HEADER_BYTES: usize = 7;

/// What a stream of AAC says of itself, from its first frame to its last.
#[derive(Default)]
pub(super) struct AdtsStream {
    bytes: Vec<u8>,
    /// `profile`, `sampling_frequency_index` and `channel_configuration` of the first frame.
    first: Option<(u8, u8, u8)>,
    problem: Option<Problem>,
}

impl AdtsStream {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.problem.is_some() {
            return;
        }
        self.bytes.extend_from_slice(bytes);
        let mut position = 0;
        while let Some(header) = self.bytes[position..].first_chunk::<HEADER_BYTES>() {
            let length =
                usize::from(header[3] & 3) << 11 | usize::from(header[4]) << 3 | usize::from(header[5] >> 5);
            if header[0] != 0xff || header[1] & 0xf0 != 0xf0 || length < HEADER_BYTES {
                self.problem.get_or_insert(Problem::Unreadable);
                break;
            }
            if self.bytes.len() < position + length {
                break;
            }
            let channels = (header[2] & 1) << 2 | header[3] >> 6;
            let config = (header[2] >> 6, header[2] >> 2 & 15, channels);
            if channels == 0 {
                self.problem.get_or_insert(Problem::ChannelsByElement);
            } else if *self.first.get_or_insert(config) != config {
                self.problem.get_or_insert(Problem::ParametersChange);
            }
            position += length;
        }
        self.bytes.drain(..position);
    }

    pub(super) fn finish(self) -> Result<StreamDigest, Problem> {
        match self.problem {
            Some(problem) => Err(problem),
            None if self.first.is_none() || !self.bytes.is_empty() => Err(Problem::Unreadable),
            None => Ok(StreamDigest::default().with_headers(&self.first)),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// A frame of AAC-LC with a byte after its header.
    fn frame(frequency: u8, channels: u8) -> Vec<u8> {
        vec![0xff, 0xf1, 1 << 6 | frequency << 2 | channels >> 2, channels << 6, 1, 0x1f, 0xfc, 9]
    }

    #[rstest]
    #[case::same(&[frame(3, 6), frame(3, 6)], None)]
    #[case::by_element(&[frame(3, 0)], Some(Problem::ChannelsByElement))]
    #[case::by_element_later(&[frame(3, 2), frame(3, 0)], Some(Problem::ChannelsByElement))]
    #[case::channels(&[frame(3, 2), frame(3, 1)], Some(Problem::ParametersChange))]
    #[case::rate(&[frame(3, 2), frame(4, 2)], Some(Problem::ParametersChange))]
    #[case::no_frame(&[frame(3, 2), vec![0; 8]], Some(Problem::Unreadable))]
    #[case::cut_off(&[frame(3, 2), frame(3, 2)[..7].to_vec()], Some(Problem::Unreadable))]
    #[case::nothing(&[], Some(Problem::Unreadable))]
    fn headers(#[case] frames: &[Vec<u8>], #[case] found: Option<Problem>) {
        for piece in [1, 5, 100] {
            let mut stream = AdtsStream::default();
            frames.concat().chunks(piece).for_each(|bytes| stream.push(bytes));
            assert_eq!(stream.finish().err(), found);
        }
    }
}
