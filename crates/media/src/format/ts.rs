//! Transport streams (ISO/IEC 13818-1): packets, the tables that name streams (PAT and PMT), and what a
//! stream of H.264 in them begins with.

/// Bytes of a packet.
pub(crate) const PACKET_BYTES: usize = 188;

/// A transport packet (2.4.3.2).
pub(crate) struct TsPacket<'a> {
    pub pid: u16,
    /// `payload_unit_start_indicator`: whether a PES packet or a table begins in it.
    pub starts_unit: bool,
    /// Whether its adaptation field has a PCR.
    pub has_pcr: bool,
    /// `continuity_counter`, of four bits.
    pub continuity_counter: u8,
    pub payload: &'a [u8],
}

impl<'a> TsPacket<'a> {
    /// Reads a packet; none without its sync byte, or when the adaptation field is longer than the packet.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let [0x47, high, low, flags, rest @ ..] = bytes else { return None };
        let (has_adaptation_field, has_payload) = (flags & 0x20 != 0, flags & 0x10 != 0);
        let adaptation_bytes = if has_adaptation_field { usize::from(*rest.first()?) + 1 } else { 0 };
        Some(Self {
            pid: read_pid([*high, *low]),
            starts_unit: high & 0x40 != 0,
            has_pcr: adaptation_bytes > 1 && rest.get(1)? & 0x10 != 0,
            continuity_counter: flags & 0x0f,
            payload: if has_payload { rest.get(adaptation_bytes..)? } else { &[] },
        })
    }

    /// The table that begins here, without its header of 8 bytes and its checksum of 4 (2.4.4.1).
    pub(crate) fn section(&self) -> Option<&'a [u8]> {
        if !self.starts_unit {
            return None;
        }
        let pointer_field = usize::from(*self.payload.first()?);
        let table = self.payload.get(1 + pointer_field..)?;
        let section_length = read_length(table.get(1..3)?);
        table.get(8..(3 + section_length).checked_sub(4)?)
    }
}

/// The PID of the first program's PMT, by the section of a PAT. Program 0 is the network's table.
pub(crate) fn first_pmt_pid(pat: &[u8]) -> Option<u16> {
    let program = pat.chunks_exact(4).find(|entry| entry[..2] != [0, 0])?;
    Some(read_pid([program[2], program[3]]))
}

/// A program map table (2.4.4.8).
#[derive(Debug)]
pub(crate) struct Pmt {
    /// The PID of the packets with the program's clock.
    pub pcr_pid: u16,
    /// `stream_type` (table 2-34) and PID of each stream.
    pub streams: Vec<(u8, u16)>,
}

impl Pmt {
    /// Reads the section of a PMT.
    pub(crate) fn read(section: &[u8]) -> Option<Self> {
        let pcr_pid = read_pid(section.get(..2)?.try_into().ok()?);
        let mut rest = section.get(4 + read_length(section.get(2..4)?)..)?;
        let mut streams = Vec::new();
        while !rest.is_empty() {
            streams.push((rest[0], read_pid(rest.get(1..3)?.try_into().ok()?)));
            rest = rest.get(5 + read_length(rest.get(3..5)?)..)?;
        }
        Some(Self { pcr_pid, streams })
    }
}

/// A PID, in the low 13 bits of two bytes.
fn read_pid(bytes: [u8; 2]) -> u16 {
    u16::from_be_bytes(bytes) & 0x1fff
}

/// A length, in the low 12 bits of two bytes.
fn read_length(bytes: &[u8]) -> usize {
    usize::from(u16::from_be_bytes([bytes[0], bytes[1]]) & 0x0fff)
}

/// How the first access unit of a stream of H.264 begins (ITU-T H.264, table 7-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum H264Start {
    /// SPS and PPS, then an IDR picture.
    RandomAccess,
    /// An IDR picture without both parameter sets before it.
    NoParameterSets,
    /// A picture of another kind, or none.
    NotIdr,
}

/// Reads the NAL units of an access unit after their start codes (Annex B).
pub(crate) fn h264_start(access_unit: &[u8]) -> H264Start {
    let (mut has_sps, mut has_pps) = (false, false);
    for window in access_unit.windows(4).filter(|window| window[..3] == [0, 0, 1]) {
        match window[3] & 0x1f {
            7 => has_sps = true,
            8 => has_pps = true,
            5 if has_sps && has_pps => return H264Start::RandomAccess,
            5 => return H264Start::NoParameterSets,
            1..=4 => return H264Start::NotIdr,
            _ => {}
        }
    }
    H264Start::NotIdr
}
