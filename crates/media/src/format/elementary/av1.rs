//! AV1 as OBUs one after the other (AV1 bitstream specification, 5.3 and 7.5): its sequence headers, and frames of another
//! size than they say.

use super::{Problem, StreamDigest, bits::Bits};

/// Bytes of an OBU, at most: more than a frame of the largest level has.
const MAX_OBU_BYTES: u64 = 1 << 28;

/// Values of `obu_type`.
const OBU_SEQUENCE_HEADER: u8 = 1;
const OBU_FRAME_HEADER: u8 = 3;
const OBU_TILE_GROUP: u8 = 4;
const OBU_FRAME: u8 = 6;

/// `SELECT_SCREEN_CONTENT_TOOLS` and `SELECT_INTEGER_MV`: each frame says it.
const SELECT: u64 = 2;

/// What a stream of AV1 says of itself, from its first OBU to its last.
#[derive(Default)]
pub(super) struct ObuStream {
    bytes: Vec<u8>,
    sequence_header: Vec<u8>,
    has_frame: bool,
    problem: Option<Problem>,
    digest: StreamDigest,
}

impl ObuStream {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.problem.is_some() {
            return;
        }
        let mut pending = std::mem::take(&mut self.bytes);
        pending.extend_from_slice(bytes);
        let mut position = 0;
        while let Some((kind, body_start, end)) = read_header(&pending[position..]) {
            if end > MAX_OBU_BYTES {
                return self.note(Problem::Unreadable);
            }
            let end = end as usize;
            let Some(body) = pending[position..].get(body_start..end) else { break };
            self.add(kind, body);
            position += end;
        }
        pending.drain(..position);
        self.bytes = pending;
    }

    pub(super) fn finish(self) -> Result<StreamDigest, Problem> {
        match self.problem {
            Some(problem) => Err(problem),
            None if !self.has_frame || !self.bytes.is_empty() => Err(Problem::Unreadable),
            None => Ok(self.digest.with_headers(&self.sequence_header)),
        }
    }

    fn add(&mut self, kind: u8, body: &[u8]) {
        match kind {
            OBU_SEQUENCE_HEADER if self.sequence_header.is_empty() => self.sequence_header = body.to_owned(),
            OBU_SEQUENCE_HEADER if self.sequence_header != body => self.note(Problem::ParametersChange),
            OBU_TILE_GROUP => self.digest.add_frame(body),
            OBU_FRAME_HEADER | OBU_FRAME => {
                self.digest.add_frame(body);
                self.has_frame = true;
                match SequenceHeader::read(&self.sequence_header)
                    .and_then(|sequence| sequence.has_own_size(&mut Bits::new(body)))
                {
                    Some(false) => {}
                    Some(true) => self.note(Problem::SizeChanges),
                    None => self.note(Problem::Unreadable),
                }
            }
            _ => {}
        }
    }

    fn note(&mut self, problem: Problem) {
        self.problem.get_or_insert(problem);
    }
}

/// The type of an OBU, where its body begins, and where it ends; none where more bytes are needed.
fn read_header(bytes: &[u8]) -> Option<(u8, usize, u64)> {
    let header = *bytes.first()?;
    let mut position = 1 + usize::from(header >> 2 & 1);
    let mut size = 0;
    // leb128: seven bits a byte, at most eight bytes
    for number in 0..8 {
        let byte = *bytes.get(position)?;
        size |= u64::from(byte & 0x7f) << (7 * number);
        position += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some((header >> 3 & 15, position, position as u64 + size))
}

/// What of a sequence header (5.5.1) says how a frame header is read.
#[derive(Debug, Default, PartialEq, Eq)]
struct SequenceHeader {
    is_reduced: bool,
    /// Bits of `frame_presentation_time`, where shown frames have one.
    presentation_time_bits: u32,
    /// Bits of `current_frame_id`.
    frame_id_bits: u32,
    /// `seq_force_screen_content_tools` and `seq_force_integer_mv`.
    screen_content_tools: u64,
    integer_mv: u64,
}

impl SequenceHeader {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut bits = Bits::new(bytes);
        bits.skip(4)?;
        let mut header = Self { is_reduced: bits.flag()?, ..Self::default() };
        if header.is_reduced {
            return Some(header);
        }
        let (mut decoder_delay_bits, mut has_decoder_model) = (0, false);
        if bits.flag()? {
            bits.skip(64)?;
            let has_equal_intervals = bits.flag()?;
            if has_equal_intervals {
                bits.exp_golomb()?;
            }
            has_decoder_model = bits.flag()?;
            if has_decoder_model {
                decoder_delay_bits = bits.number(5)? as u32 + 1;
                bits.skip(37)?;
                let time_bits = bits.number(5)? as u32 + 1;
                header.presentation_time_bits = if has_equal_intervals { 0 } else { time_bits };
            }
        }
        let has_display_delay = bits.flag()?;
        for _ in 0..=bits.number(5)? {
            bits.skip(12)?;
            if bits.number(5)? > 7 {
                bits.skip(1)?;
            }
            if has_decoder_model && bits.flag()? {
                bits.skip(2 * decoder_delay_bits + 1)?;
            }
            if has_display_delay && bits.flag()? {
                bits.skip(4)?;
            }
        }
        let (width_bits, height_bits) = (bits.number(4)? as u32 + 1, bits.number(4)? as u32 + 1);
        bits.skip(width_bits + height_bits)?;
        if bits.flag()? {
            header.frame_id_bits = (bits.number(4)? + bits.number(3)?) as u32 + 3;
        }
        // use_128x128_superblock to enable_dual_filter
        bits.skip(7)?;
        if bits.flag()? {
            bits.skip(2)?;
        }
        header.screen_content_tools = if bits.flag()? { SELECT } else { bits.number(1)? };
        header.integer_mv =
            if header.screen_content_tools == 0 || bits.flag()? { SELECT } else { bits.number(1)? };
        Some(header)
    }

    /// Whether a frame (5.9.2) has a size of its own (`frame_size_override_flag`).
    fn has_own_size(&self, bits: &mut Bits<'_>) -> Option<bool> {
        const KEY_FRAME: u64 = 0;
        const SWITCH_FRAME: u64 = 3;
        if self.is_reduced || bits.flag()? {
            return Some(false);
        }
        let (frame_type, is_shown) = (bits.number(2)?, bits.flag()?);
        bits.skip(if is_shown { self.presentation_time_bits } else { 1 })?;
        if frame_type != SWITCH_FRAME && !(frame_type == KEY_FRAME && is_shown) {
            bits.skip(1)?;
        }
        bits.skip(1)?;
        let uses_screen_content_tools =
            if self.screen_content_tools == SELECT { bits.flag()? } else { self.screen_content_tools == 1 };
        if uses_screen_content_tools && self.integer_mv == SELECT {
            bits.skip(1)?;
        }
        bits.skip(self.frame_id_bits)?;
        // the size of a switch frame is always written out
        if frame_type == SWITCH_FRAME { Some(false) } else { bits.flag() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As SVT-AV1 writes it for 256x144.
    const SEQUENCE: [u8; 12] = [0, 0, 0, 2, 0xaf, 0xff, 0x1f, 0, 0, 0, 0, 0];

    fn obu(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind << 3 | 2, body.len() as u8], body].concat()
    }

    fn problem(obus: &[Vec<u8>]) -> Option<Problem> {
        let bytes = obus.concat();
        let found = [1, 3, bytes.len()].map(|piece| {
            let mut stream = ObuStream::default();
            bytes.chunks(piece).for_each(|bytes| stream.push(bytes));
            stream.finish().err()
        });
        assert!(found.iter().all(|one| *one == found[0]), "{found:?}");
        found[0]
    }

    #[test]
    fn frames_of_the_sequence_and_others() {
        let sequence = obu(OBU_SEQUENCE_HEADER, &SEQUENCE);
        // show_existing_frame 0, KEY_FRAME 00, show_frame 1, disable_cdf_update 0, frame_size_override_flag
        let (key, small_key) = (obu(OBU_FRAME, &[0b0001_0000, 0]), obu(OBU_FRAME, &[0b0001_0111, 0xff]));
        assert_eq!(problem(&[sequence.clone(), key.clone(), sequence.clone(), key.clone()]), None);
        let small = problem(&[sequence.clone(), key.clone(), small_key]);
        assert_eq!(small, Some(Problem::SizeChanges));
        let mut other = SEQUENCE;
        other[5] = 0xfe;
        let changed =
            problem(&[sequence.clone(), key.clone(), obu(OBU_SEQUENCE_HEADER, &other), key.clone()]);
        assert_eq!(changed, Some(Problem::ParametersChange));
        assert_eq!(problem(std::slice::from_ref(&key)), Some(Problem::Unreadable));
        let cut = [&sequence[..], &key[..], &key[..2]].concat();
        assert_eq!(problem(&[cut]), Some(Problem::Unreadable));
    }
}
