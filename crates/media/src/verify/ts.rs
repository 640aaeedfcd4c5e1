//! The packets of transport streams (ISO/IEC 13818-1): what a player relies on that joins at any
//! segment (RFC 8216, 3.2). Read from the bytes; flags of keyframes are not believed.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read as _},
};

use super::{
    listing::{Piece, Track},
    segments::Wanted,
};
use crate::format::{
    mp4::audio_entry::AudioParams,
    ts::{H264Start, PACKET_BYTES, Pmt, TsPacket, first_pmt_pid, h264_start},
};
use model::{AudioCodec, VideoCodec};

/// Bytes in which the tables, the clock and the start of the first picture have to be.
const START: u64 = 1000 * PACKET_BYTES as u64;
/// Bytes that are read at once.
const READ: usize = 1000 * PACKET_BYTES;

/// Looks at the start of every segment of a track, and at the counters of all its packets; says what is
/// wrong.
pub(super) fn check(track: &Track, wanted: Wanted) -> Result<(), String> {
    let mut counters = Counters::default();
    for (index, segment) in track.segments.iter().enumerate() {
        begins_well(&segment.piece, wanted)
            .and_then(|()| continues(&segment.piece, &mut counters))
            .map_err(|problem| format!("segment {} {problem}", index + 1))?;
    }
    Ok(())
}

/// The kind of stream that a PMT should name (ISO/IEC 13818-1, table 2-34; ATSC A/53-3 for AC-3); none for what is never
/// in transport streams.
fn kind(wanted: Wanted) -> Option<u8> {
    match wanted {
        Wanted::Picture(VideoCodec::H264) => Some(0x1b),
        Wanted::Sound(AudioParams { codec: AudioCodec::Aac, .. }) => Some(0x0f),
        Wanted::Sound(AudioParams { codec: AudioCodec::Ac3, .. }) => Some(0x81),
        _ => None,
    }
}

/// The last counter of each stream of packets (ISO/IEC 13818-1, 2.4.3.3).
#[derive(Default)]
struct Counters(BTreeMap<u16, u8>);

impl Counters {
    /// Counters grow by one with each packet that carries something, over all segments: none is lost.
    fn advance(&mut self, packet: &TsPacket<'_>) -> Result<(), String> {
        let TsPacket { pid, continuity_counter: counter, .. } = *packet;
        let grows = u8::from(!packet.payload.is_empty());
        match self.0.insert(pid, counter) {
            Some(last) if counter != (last + grows) & 0x0f => {
                Err(format!("goes on with packet {counter} of stream {pid} after {last}"))
            }
            _ => Ok(()),
        }
    }
}

fn continues(piece: &Piece, counters: &mut Counters) -> Result<(), String> {
    let unreadable = |error| format!("cannot be read: {error}");
    let mut file = BufReader::with_capacity(READ, File::open(&piece.path).map_err(unreadable)?);
    let mut packet = [0; PACKET_BYTES];
    for _ in 0..piece.bytes / PACKET_BYTES as u64 {
        file.read_exact(&mut packet).map_err(unreadable)?;
        counters.advance(&TsPacket::read(&packet).ok_or("loses the packets' sync byte")?)?;
    }
    Ok(())
}

/// Tables, clock, and a picture that stands alone come first (RFC 8216, 3.2).
fn begins_well(piece: &Piece, wanted: Wanted) -> Result<(), String> {
    if !piece.bytes.is_multiple_of(PACKET_BYTES as u64) {
        return Err(format!("has {} bytes, which are not whole packets", piece.bytes));
    }
    let mut start = Vec::new();
    File::open(&piece.path)
        .and_then(|file| file.take(START).read_to_end(&mut start))
        .map_err(|error| format!("cannot be read: {error}"))?;
    let packets: Option<Vec<_>> = start.chunks_exact(PACKET_BYTES).map(TsPacket::read).collect();
    let packets = packets.ok_or("loses the packets' sync byte")?;
    let programme = packets.first().filter(|packet| packet.pid == 0).and_then(|packet| packet.section());
    let map = programme.and_then(first_pmt_pid).ok_or("does not begin with a PAT")?;
    let map = packets.get(1).filter(|packet| packet.pid == map).and_then(|packet| packet.section());
    let map = map.ok_or("has no PMT after its PAT")?;
    let Pmt { pcr_pid, streams } = Pmt::read(map).ok_or("has a PMT that cannot be read")?;
    let stream = match streams[..] {
        [(found, pid)] if Some(found) == kind(wanted) => pid,
        _ => return Err(format!("has a PMT with {streams:x?}, and {wanted:?} alone was planned")),
    };
    if !packets.iter().any(|packet| packet.pid == pcr_pid && packet.has_pcr) {
        return Err("does not have the clock (PCR) that its PMT names".to_owned());
    }
    let mut of_it = packets.iter().filter(|packet| packet.pid == stream);
    let first =
        of_it.next().filter(|packet| packet.starts_unit).ok_or("does not begin with a whole frame")?;
    if matches!(wanted, Wanted::Picture(_)) {
        let rest = of_it.take_while(|packet| !packet.starts_unit);
        let picture: Vec<u8> =
            [first].into_iter().chain(rest).flat_map(|packet| packet.payload).copied().collect();
        match h264_start(&picture) {
            H264Start::RandomAccess => {}
            H264Start::NoParameterSets => {
                return Err("does not have its parameter sets before its first picture".to_owned());
            }
            H264Start::NotIdr => {
                return Err("does not begin with a picture that can be decoded alone".to_owned());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const PMT: u16 = 0x20;
    const STREAM: u16 = 0x50;

    fn packet(pid: u16, starts: bool, clock: bool, payload: &[u8]) -> Vec<u8> {
        let [high, low] = pid.to_be_bytes();
        // what is left over is stuffed
        let adaptation = PACKET_BYTES - 4 - payload.len();
        let mut bytes = vec![0x47, high | u8::from(starts) << 6, low, 0x30];
        let mut stuffing = vec![0xff; adaptation];
        stuffing[0] = u8::try_from(adaptation - 1).expect("small");
        stuffing[1] = u8::from(clock) << 4;
        bytes.extend(stuffing);
        bytes.extend(payload);
        bytes
    }

    fn table(id: u8, body: &[u8]) -> Vec<u8> {
        let length = u8::try_from(5 + body.len() + 4).expect("small");
        [&[0, id, 0xb0, length, 0, 1, 0xc1, 0, 0][..], body, &[0; 4]].concat()
    }

    fn with(pid: u16) -> [u8; 2] {
        (0xe000 | pid).to_be_bytes()
    }

    fn programme() -> Vec<u8> {
        packet(0, true, false, &table(0, &[&[0, 1][..], &with(PMT)].concat()))
    }

    fn map(kind: u8) -> Vec<u8> {
        let body = [&with(STREAM)[..], &[0xf0, 0, kind], &with(STREAM), &[0xf0, 0]].concat();
        packet(PMT, true, false, &table(2, &body))
    }

    const PES: [u8; 9] = [0, 0, 1, 0xe0, 0, 0, 0x80, 0, 0];

    fn frame(units: &[u8]) -> Vec<u8> {
        let units = units.iter().flat_map(|kind| [0, 0, 1, *kind, 0xff]);
        packet(STREAM, true, true, &PES.into_iter().chain(units).collect::<Vec<_>>())
    }

    const PICTURE: Wanted = Wanted::Picture(VideoCodec::H264);
    const H264: u8 = 0x1b;

    fn check(packets: &[Vec<u8>], wanted: Wanted) -> Result<(), String> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let bytes = packets.concat();
        std::fs::write(file.path(), &bytes).expect("written");
        let piece = Piece { path: file.path().to_owned(), bytes: bytes.len() as u64 };
        begins_well(&piece, wanted).and_then(|()| continues(&piece, &mut Counters::default()))
    }

    /// More of the stream, with this counter.
    fn counted(counter: u8) -> Vec<u8> {
        let mut packet = packet(STREAM, false, false, &[0]);
        packet[3] |= counter;
        packet
    }

    #[test]
    fn what_is_right_is_agreed_to() {
        let picture = [programme(), map(H264), frame(&[9, 0x67, 0x68, 6, 0x65]), counted(1), counted(2)];
        assert_eq!(check(&picture, PICTURE), Ok(()));
        for (codec, kind) in [(AudioCodec::Aac, 0x0f), (AudioCodec::Ac3, 0x81)] {
            let sound = Wanted::Sound(AudioParams { codec, channels: 2, sample_rate: 48_000 });
            assert_eq!(check(&[programme(), map(kind), frame(&[])], sound), Ok(()));
        }
    }

    #[rstest]
    #[case::part_of_a_packet(vec![programme(), vec![0x47]], "not whole packets")]
    #[case::sync(vec![programme(), vec![0; PACKET_BYTES]], "sync byte")]
    #[case::no_programme(vec![map(H264), frame(&[0x67, 0x68, 0x65])], "does not begin with a PAT")]
    #[case::no_map(vec![programme(), frame(&[0x67, 0x68, 0x65])], "no PMT after its PAT")]
    #[case::another_kind(vec![programme(), map(0x24), frame(&[0x67, 0x68, 0x65])], "has a PMT with [(24, 50)], and Picture(H264) alone was planned")]
    #[case::no_clock(vec![programme(), map(H264), packet(STREAM, true, false, &PES)], "the clock (PCR)")]
    #[case::part_of_a_frame(vec![programme(), map(H264), packet(STREAM, false, true, &[0])], "a whole frame")]
    #[case::no_key(vec![programme(), map(H264), frame(&[0x67, 0x68, 0x41])], "decoded alone")]
    #[case::no_sets(vec![programme(), map(H264), frame(&[0x67, 0x65])], "parameter sets")]
    #[case::lost_packet(vec![programme(), map(H264), frame(&[0x67, 0x68, 0x65]), counted(2)], "goes on with packet 2 of stream 80 after 0")]
    #[case::packet_twice(vec![programme(), map(H264), frame(&[0x67, 0x68, 0x65]), counted(1), counted(1)], "packet 1 of stream 80 after 1")]
    #[case::late_key(vec![programme(), map(H264), frame(&[9]), frame(&[0x67, 0x68, 0x65])], "decoded alone")]
    fn what_is_wrong_is_refused(#[case] packets: Vec<Vec<u8>>, #[case] words: &str) {
        let problem = check(&packets, PICTURE).expect_err("refused");
        assert!(problem.contains(words), "{problem}");
    }
}
