//! VP9 as IVF has it: the size of every frame (VP9 bitstream specification, 6.2 and annex B).

use super::{Problem, StreamDigest, bits::Bits};

/// Bytes of IVF's header, and of the one before each packet.
const FILE_HEADER_BYTES: usize = 32;
const PACKET_HEADER_BYTES: usize = 12;
/// Bytes of a packet, at most.
const MAX_PACKET_BYTES: usize = 1 << 28;

/// Pixels across, and down.
type Size = (u64, u64);

/// What a stream of VP9 says of itself, from its first frame to its last.
#[derive(Default)]
pub(super) struct Vp9Stream {
    bytes: Vec<u8>,
    is_after_header: bool,
    size: Option<Size>,
    problem: Option<Problem>,
    digest: StreamDigest,
}

impl Vp9Stream {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.problem.is_some() {
            return;
        }
        let mut pending = std::mem::take(&mut self.bytes);
        pending.extend_from_slice(bytes);
        let mut position = 0;
        if !self.is_after_header && pending.len() >= FILE_HEADER_BYTES {
            self.is_after_header = true;
            position = FILE_HEADER_BYTES;
        }
        while self.is_after_header
            && let Some(length) = pending[position..].first_chunk::<4>()
        {
            let length = u32::from_le_bytes(*length) as usize;
            if length > MAX_PACKET_BYTES {
                return self.note(Problem::Unreadable);
            }
            let end = PACKET_HEADER_BYTES + length;
            let Some(packet) = pending[position..].get(PACKET_HEADER_BYTES..end) else { break };
            frames(packet).into_iter().for_each(|frame| self.add(frame));
            position += end;
        }
        pending.drain(..position);
        self.bytes = pending;
    }

    fn add(&mut self, frame: &[u8]) {
        self.digest.add_frame(frame);
        match frame_size(frame) {
            Some(Some(size)) if self.size.is_some_and(|first| first != size) => {
                self.note(Problem::SizeChanges);
            }
            Some(size) => self.size = self.size.or(size),
            None => self.note(Problem::Unreadable),
        }
    }

    pub(super) fn finish(self) -> Result<StreamDigest, Problem> {
        match self.problem {
            Some(problem) => Err(problem),
            None if self.size.is_none() || !self.bytes.is_empty() => Err(Problem::Unreadable),
            None => Ok(self.digest.with_headers(&self.size)),
        }
    }

    fn note(&mut self, problem: Problem) {
        self.problem.get_or_insert(problem);
    }
}

/// The frames of a packet: of a superframe there is an index of their sizes at its end, between two equal bytes.
fn frames(packet: &[u8]) -> Vec<&[u8]> {
    let marker = packet.last().copied().unwrap_or_default();
    let (count, bytes) = (usize::from(marker & 7) + 1, usize::from(marker >> 3 & 3) + 1);
    let index = packet.len().checked_sub(2 + count * bytes).and_then(|start| packet.get(start..));
    let Some(index) = index.filter(|index| marker >> 5 == 0b110 && index[0] == marker) else {
        return vec![packet];
    };
    let mut rest = packet;
    let mut frames = Vec::new();
    for size in index[1..1 + count * bytes].chunks(bytes) {
        let size = size.iter().rev().fold(0, |size, byte| size << 8 | usize::from(*byte));
        let Some((frame, after)) = rest.split_at_checked(size) else { break };
        frames.push(frame);
        rest = after;
    }
    frames.retain(|frame| !frame.is_empty());
    frames
}

/// The size that a frame states: none where it has that of one it refers to, or is only shown again.
fn frame_size(frame: &[u8]) -> Option<Option<Size>> {
    let mut bits = Bits::new(frame);
    bits.skip(2)?;
    let profile = bits.number(1)? + 2 * bits.number(1)?;
    if profile == 3 {
        bits.skip(1)?;
    }
    if bits.flag()? {
        return Some(None);
    }
    let (is_inter, is_shown, is_error_resilient) = (bits.flag()?, bits.flag()?, bits.flag()?);
    if !is_inter {
        bits.skip(24)?;
        skip_colours(&mut bits, profile)?;
        return read_size(&mut bits).map(Some);
    }
    let is_intra_only = if is_shown { false } else { bits.flag()? };
    bits.skip(if is_error_resilient { 0 } else { 2 })?;
    if is_intra_only {
        bits.skip(24)?;
        if profile > 0 {
            skip_colours(&mut bits, profile)?;
        }
        bits.skip(8)?;
        return read_size(&mut bits).map(Some);
    }
    // which frames are replaced, and three that are referred to
    bits.skip(8 + 3 * 4)?;
    for _ in 0..3 {
        if bits.flag()? {
            return Some(None);
        }
    }
    read_size(&mut bits).map(Some)
}

/// `color_config`.
fn skip_colours(bits: &mut Bits<'_>, profile: u64) -> Option<()> {
    const CS_RGB: u64 = 7;
    if profile >= 2 {
        bits.skip(1)?;
    }
    let has_subsampling = profile == 1 || profile == 3;
    match (bits.number(3)? == CS_RGB, has_subsampling) {
        (false, true) => bits.skip(4),
        (true, false) => Some(()),
        _ => bits.skip(1),
    }
}

fn read_size(bits: &mut Bits<'_>) -> Option<Size> {
    Some((bits.number(16)? + 1, bits.number(16)? + 1))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// A shown key frame of profile 0.
    fn key(width: u16, height: u16) -> Vec<u8> {
        // color_space 2 and color_range 0 are the first four bits after the sync code
        let size = (u64::from(width - 1) << 16 | u64::from(height - 1)) << 4 | 2 << 37;
        [&[0b1000_0010, 0x49, 0x83, 0x42][..], &size.to_be_bytes()[3..]].concat()
    }

    fn problem(packets: &[Vec<u8>]) -> Option<Problem> {
        let mut bytes = vec![0; FILE_HEADER_BYTES];
        for packet in packets {
            bytes.extend([&(packet.len() as u32).to_le_bytes()[..], &[0; 8], packet].concat());
        }
        let found = [1, 7, bytes.len()].map(|piece| {
            let mut stream = Vp9Stream::default();
            bytes.chunks(piece).for_each(|bytes| stream.push(bytes));
            stream.finish().err()
        });
        assert!(found.iter().all(|one| *one == found[0]), "{found:?}");
        found[0]
    }

    /// An inter frame of the size of the second frame that it refers to.
    const SAME: [u8; 5] = [0b1000_0110, 0, 0, 0b0000_0001, 0];

    #[rstest]
    #[case::same(&[key(640, 360), SAME.to_vec(), key(640, 360)], None)]
    #[case::turned(&[key(640, 360), SAME.to_vec(), key(360, 640)], Some(Problem::SizeChanges))]
    #[case::inter(&[key(640, 360), vec![0b1000_0110, 0, 0, 0b0000_0000, 0, 0, 0, 0, 0]], Some(Problem::SizeChanges))]
    #[case::cut_off(&[key(640, 360), vec![0b1000_0110]], Some(Problem::Unreadable))]
    #[case::nothing(&[], Some(Problem::Unreadable))]
    fn sizes(#[case] packets: &[Vec<u8>], #[case] found: Option<Problem>) {
        assert_eq!(problem(packets), found);
    }

    #[test]
    fn a_frame_within_a_superframe() {
        let superframe = |second: Vec<u8>| {
            let first = key(640, 360);
            let index = [0b1100_0001, first.len() as u8, second.len() as u8, 0b1100_0001];
            [first, second, index.to_vec()].concat()
        };
        assert_eq!(problem(&[superframe(SAME.to_vec())]), None);
        assert_eq!(problem(&[superframe(key(320, 180))]), Some(Problem::SizeChanges));
    }
}
