//! Segments in transport streams (ISO/IEC 13818-1): what a player relies on that joins at any of them (RFC
//! 8216, 3.2). Read from the bytes: flags of key frames are not believed.

use std::{
    collections::BTreeMap,
    io::{BufReader, Read as _},
};

use model::{AudioCodec, VideoCodec};

use super::listing::{ExpectedTrack, MediaFile, Track};
use crate::{
    format::{
        mp4::audio_entry::AudioParams,
        ts::{H264Start, PACKET_BYTES, Pmt, TsPacket, first_pmt_pid, h264_start},
    },
    work_folder::WorkFolder,
};

/// Bytes in which the tables, the PCR and the start of the first access unit have to be.
const START_BYTES: u64 = 1000 * PACKET_BYTES as u64;
/// Bytes that are read at once.
const BUFFER_BYTES: usize = 1000 * PACKET_BYTES;

/// Checks the start of every segment of a track, and the continuity counters of all its packets; says what
/// is wrong.
pub(super) fn check(track: &Track, expected: ExpectedTrack, dir: &WorkFolder) -> Result<(), String> {
    let mut counters = ContinuityCounters::default();
    for (index, segment) in track.segments.iter().enumerate() {
        check_start(&segment.file, expected, dir)
            .and_then(|()| check_continuity(&segment.file, &mut counters, dir))
            .map_err(|problem| format!("segment {} {problem}", index + 1))?;
    }
    Ok(())
}

/// The `stream_type` that a PMT should have (ISO/IEC 13818-1, table 2-34; ATSC A/53-3 for AC-3); none for
/// what is never in transport streams.
fn stream_type(expected: ExpectedTrack) -> Option<u8> {
    match expected {
        ExpectedTrack::Video(VideoCodec::H264) => Some(0x1b),
        ExpectedTrack::Audio(AudioParams { codec: AudioCodec::Aac, .. }) => Some(0x0f),
        ExpectedTrack::Audio(AudioParams { codec: AudioCodec::Ac3, .. }) => Some(0x81),
        _ => None,
    }
}

/// The last `continuity_counter` by PID (ISO/IEC 13818-1, 2.4.3.3).
#[derive(Default)]
struct ContinuityCounters(BTreeMap<u16, u8>);

impl ContinuityCounters {
    /// Counters grow by one with each packet that has a payload, over all segments: none is lost.
    fn advance(&mut self, packet: &TsPacket<'_>) -> Result<(), String> {
        let TsPacket { pid, continuity_counter, .. } = *packet;
        let growth = u8::from(!packet.payload.is_empty());
        match self.0.insert(pid, continuity_counter) {
            Some(last) if continuity_counter != (last + growth) & 0x0f => {
                Err(format!("has the continuity counter {continuity_counter} of PID {pid} after {last}"))
            }
            _ => Ok(()),
        }
    }
}

fn check_continuity(
    file: &MediaFile,
    counters: &mut ContinuityCounters,
    dir: &WorkFolder,
) -> Result<(), String> {
    let unreadable = |error| format!("cannot be read: {error}");
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, dir.open_file(&file.path).map_err(unreadable)?);
    let mut packet = [0; PACKET_BYTES];
    for _ in 0..file.bytes / PACKET_BYTES as u64 {
        reader.read_exact(&mut packet).map_err(unreadable)?;
        counters.advance(&TsPacket::read(&packet).ok_or("loses the packets' sync byte")?)?;
    }
    Ok(())
}

/// PAT, PMT, PCR and an IDR picture come first (RFC 8216, 3.2).
fn check_start(file: &MediaFile, expected: ExpectedTrack, dir: &WorkFolder) -> Result<(), String> {
    if !file.bytes.is_multiple_of(PACKET_BYTES as u64) {
        return Err(format!("has {} bytes, which are not whole packets", file.bytes));
    }
    let mut start = Vec::new();
    dir.open_file(&file.path)
        .and_then(|file| file.take(START_BYTES).read_to_end(&mut start))
        .map_err(|error| format!("cannot be read: {error}"))?;
    let packets: Option<Vec<_>> = start.chunks_exact(PACKET_BYTES).map(TsPacket::read).collect();
    let packets = packets.ok_or("loses the packets' sync byte")?;
    let pat = packets.first().filter(|packet| packet.pid == 0).and_then(TsPacket::section);
    let pmt_pid = pat.and_then(first_pmt_pid).ok_or("does not begin with a PAT")?;
    let pmt = packets.get(1).filter(|packet| packet.pid == pmt_pid).and_then(TsPacket::section);
    let pmt = pmt.ok_or("has no PMT after its PAT")?;
    let Pmt { pcr_pid, streams } = Pmt::read(pmt).ok_or("has a PMT that cannot be read")?;
    let stream_pid = match streams[..] {
        [(found, pid)] if Some(found) == stream_type(expected) => pid,
        _ => return Err(format!("has a PMT with {streams:x?}, and only {expected:?} was planned")),
    };
    if !packets.iter().any(|packet| packet.pid == pcr_pid && packet.has_pcr) {
        return Err("does not have the PCR that its PMT names".to_owned());
    }
    let mut packets = packets.iter().filter(|packet| packet.pid == stream_pid);
    let first = packets.next().filter(|packet| packet.starts_unit);
    let first = first.ok_or("does not begin with a whole frame")?;
    if matches!(expected, ExpectedTrack::Audio(_)) {
        return Ok(());
    }
    let mut access_unit = first.payload.to_vec();
    for packet in packets.take_while(|packet| !packet.starts_unit) {
        access_unit.extend_from_slice(packet.payload);
    }
    match h264_start(&access_unit) {
        H264Start::RandomAccess => Ok(()),
        H264Start::NoParameterSets => {
            Err("does not have its parameter sets before its first picture".to_owned())
        }
        H264Start::NotIdr => Err("does not begin with an IDR picture".to_owned()),
    }
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

    const VIDEO: ExpectedTrack = ExpectedTrack::Video(VideoCodec::H264);
    const H264: u8 = 0x1b;

    fn check(packets: &[Vec<u8>], expected: ExpectedTrack) -> Result<(), String> {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = WorkFolder::open(folder.path()).expect("opened");
        let bytes = packets.concat();
        dir.write("1.ts", &bytes).expect("written");
        let file = MediaFile { path: folder.path().join("1.ts"), bytes: bytes.len() as u64 };
        check_start(&file, expected, &dir)
            .and_then(|()| check_continuity(&file, &mut ContinuityCounters::default(), &dir))
    }

    /// More of the stream, with this counter.
    fn counted(counter: u8) -> Vec<u8> {
        let mut packet = packet(STREAM, false, false, &[0]);
        packet[3] |= counter;
        packet
    }

    #[test]
    fn what_is_right_is_agreed_to() {
        let video = [programme(), map(H264), frame(&[9, 0x67, 0x68, 6, 0x65]), counted(1), counted(2)];
        assert_eq!(check(&video, VIDEO), Ok(()));
        for (codec, kind) in [(AudioCodec::Aac, 0x0f), (AudioCodec::Ac3, 0x81)] {
            let audio = ExpectedTrack::Audio(AudioParams { codec, channels: 2, sample_rate: 48_000 });
            assert_eq!(check(&[programme(), map(kind), frame(&[])], audio), Ok(()));
        }
    }

    #[rstest]
    #[case::part_of_a_packet(vec![programme(), vec![0x47]], "not whole packets")]
    #[case::sync(vec![programme(), vec![0; PACKET_BYTES]], "sync byte")]
    #[case::no_programme(vec![map(H264), frame(&[0x67, 0x68, 0x65])], "does not begin with a PAT")]
    #[case::no_map(vec![programme(), frame(&[0x67, 0x68, 0x65])], "no PMT after its PAT")]
    #[case::another_kind(vec![programme(), map(0x24), frame(&[0x67, 0x68, 0x65])], "has a PMT with [(24, 50)], and only Video(H264) was planned")]
    #[case::no_clock(vec![programme(), map(H264), packet(STREAM, true, false, &PES)], "does not have the PCR")]
    #[case::part_of_a_frame(vec![programme(), map(H264), packet(STREAM, false, true, &[0])], "a whole frame")]
    #[case::no_key(vec![programme(), map(H264), frame(&[0x67, 0x68, 0x41])], "an IDR picture")]
    #[case::no_sets(vec![programme(), map(H264), frame(&[0x67, 0x65])], "parameter sets")]
    #[case::lost_packet(vec![programme(), map(H264), frame(&[0x67, 0x68, 0x65]), counted(2)], "has the continuity counter 2 of PID 80 after 0")]
    #[case::packet_twice(vec![programme(), map(H264), frame(&[0x67, 0x68, 0x65]), counted(1), counted(1)], "the continuity counter 1 of PID 80 after 1")]
    #[case::late_key(vec![programme(), map(H264), frame(&[9]), frame(&[0x67, 0x68, 0x65])], "an IDR picture")]
    fn what_is_wrong_is_refused(#[case] packets: Vec<Vec<u8>>, #[case] words: &str) {
        let problem = check(&packets, VIDEO).expect_err("refused");
        assert!(problem.contains(words), "{problem}");
    }
}
