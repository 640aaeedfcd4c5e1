//! Transport streams (ISO/IEC 13818-1): packets, the tables that name streams (PAT, PMT), and what a H.264
//! stream in them begins with.

/// Bytes of a packet.
pub(crate) const PACKET: usize = 188;

/// A transport packet.
pub(crate) struct Packet<'a> {
    pub pid: u16,
    /// Whether a frame or a table starts in it.
    pub starts: bool,
    pub has_clock: bool,
    /// Of the packets of this stream.
    pub counter: u8,
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let [0x47, high, low, flags, rest @ ..] = bytes else { return None };
        let (has_adaptation, has_payload) = (flags & 0x20 != 0, flags & 0x10 != 0);
        let adaptation = if has_adaptation { usize::from(*rest.first()?) + 1 } else { 0 };
        let has_clock = adaptation > 1 && rest.get(1)? & 0x10 != 0;
        let payload = if has_payload { rest.get(adaptation..)? } else { &[] };
        let pid = u16::from_be_bytes([high & 0x1f, *low]);
        Some(Self { pid, starts: high & 0x40 != 0, has_clock, counter: flags & 0x0f, payload })
    }

    /// The table that starts here, without its header of 8 bytes and its checksum of 4.
    pub(crate) fn section(&self) -> Option<&'a [u8]> {
        let table = self.payload.get(1 + usize::from(*self.payload.first().filter(|_| self.starts)?)..)?;
        let length = usize::from(u16::from_be_bytes([table.get(1)? & 0x0f, *table.get(2)?]));
        table.get(8..(3 + length).checked_sub(4)?)
    }
}

/// The PID of the first programme's map.
pub(crate) fn first_map(table: &[u8]) -> Option<u16> {
    table.chunks_exact(4).find(|entry| entry[..2] != [0, 0]).map(|entry| pid(&entry[2..]))
}

/// The PID with the clock, then kind and PID of each stream.
pub(crate) fn streams(table: &[u8]) -> Option<(u16, Vec<(u8, u16)>)> {
    let clock = pid(table.get(..2)?);
    let mut rest = table.get(4 + length(table.get(2..4)?)..)?;
    let mut streams = Vec::new();
    while !rest.is_empty() {
        streams.push((rest[0], pid(rest.get(1..3)?)));
        rest = rest.get(5 + length(rest.get(3..5)?)..)?;
    }
    Some((clock, streams))
}

fn pid(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0] & 0x1f, bytes[1]])
}

fn length(bytes: &[u8]) -> usize {
    usize::from(u16::from_be_bytes([bytes[0] & 0x0f, bytes[1]]))
}

/// The parameter sets come before the first slice, and that is of an IDR picture (ITU-T H.264, table
/// 7-1).
pub(crate) fn stands_alone(picture: &[u8]) -> Result<(), String> {
    let units = picture.windows(4).filter(|window| window[..3] == [0, 0, 1]).map(|window| window[3] & 0x1f);
    let mut sets = [false; 2];
    for kind in units {
        match kind {
            7 => sets[0] = true,
            8 => sets[1] = true,
            5 if sets == [true; 2] => return Ok(()),
            5 => return Err("does not have its parameter sets before its first picture".to_owned()),
            1..=4 => break,
            _ => {}
        }
    }
    Err("does not begin with a picture that can be decoded alone".to_owned())
}
