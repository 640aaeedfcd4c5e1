//! The packets of a file: what its time stamps, not its header, say about how long and how fast it is.
//! Nothing is decoded.

use std::collections::BTreeMap;

use super::{
    clock::{self, DemuxedPacket, Role, StreamClock, TrackStats},
    clock_reset::ResetTracker,
    described::{FfprobeOutput, Stream},
};
use crate::source::TimestampCorrection;

/// What the packets of a file say.
#[derive(Clone, Debug, Default)]
pub(super) struct PacketStats {
    /// By stream index.
    pub streams: BTreeMap<u32, TrackStats>,
    /// What corrects their time stamps, where others contradict them.
    pub corrections: Vec<TimestampCorrection>,
}

/// Reads ffprobe's list of packets, line by line.
#[derive(Clone, Debug, Default)]
pub(super) struct PacketReader {
    clocks: BTreeMap<u32, StreamClock>,
    /// In formats whose time stamps may jump.
    resets: Option<ResetTracker>,
}

impl PacketReader {
    /// What ffprobe is asked for, in the order in which it writes it.
    pub(super) const ENTRIES: &'static str = "packet=stream_index,pts,dts,duration,size,flags";

    /// Of all streams of a file.
    pub(super) fn new(described: &FfprobeOutput) -> Self {
        let role = |stream: &Stream| match stream.kind.as_str() {
            "subtitle" => Role::Ignored,
            "video" if stream.is_attached_image => Role::Ignored,
            "audio" => Role::Audio,
            _ => Role::Other,
        };
        let clock = |stream: &Stream| {
            let timescale = 1.0 / stream.time_base?.as_f64();
            Some((stream.index, StreamClock::new(timescale, role(stream))))
        };
        let resets = if described.may_reset_timestamps() { Some(ResetTracker::new(described)) } else { None };
        Self { clocks: described.streams.iter().filter_map(clock).collect(), resets }
    }

    /// Reads a line of CSV without section names; what is no such line is passed over.
    pub(super) fn read_line(&mut self, line: &[u8]) {
        let Ok(line) = std::str::from_utf8(line) else { return };
        let mut fields = line.trim_end().split(',');
        let mut next = || fields.next().unwrap_or_default();
        let Ok(stream) = next().parse() else { return };
        let (pts, dts, duration, size, flags) = (next(), next(), next(), next(), next());
        let clock = self.clocks.entry(stream).or_insert_with(|| StreamClock::new(f64::INFINITY, Role::Other));
        // AV_PKT_FLAG_DISCARD: an edit list cuts it off, so it is decoded and not shown
        if flags.contains('D') {
            return clock.skip_packet();
        }
        let packet = DemuxedPacket {
            pts: pts.parse().ok(),
            dts: dts.parse().ok(),
            duration: duration.parse().unwrap_or(0).max(0),
            bytes: size.parse().unwrap_or(0),
        };
        clock.add(match &mut self.resets {
            Some(resets) => resets.adjust(stream, packet),
            None => packet,
        });
    }

    /// What all packets together say.
    pub(super) fn finish(mut self) -> PacketStats {
        clock::settle(&mut self.clocks);
        let corrections = self.clocks.iter().flat_map(|(stream, clock)| clock.corrections(*stream));
        let streams = self.clocks.iter().map(|(stream, clock)| (*stream, clock.stats()));
        PacketStats {
            corrections: corrections.collect(),
            streams: streams.filter(|(_, track)| track.count > 0).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    /// The packets of streams of these kinds, whose timescale is 1000, in a container; packets are index,
    /// pts, dts and duration.
    fn read(container: &str, kinds: &[&str], packets: &[(u32, i64, i64, i64)]) -> PacketStats {
        let mut reader = PacketReader::new(&described(container, kinds));
        for (stream, pts, dts, duration) in packets {
            reader.read_line(format!("{stream},{pts},{dts},{duration},9,K__\n").as_bytes());
        }
        reader.finish()
    }

    fn described(container: &str, kinds: &[&str]) -> FfprobeOutput {
        let stream = |(index, kind): (u32, &&str)| Stream {
            index,
            kind: (*kind).to_owned(),
            time_base: model::Rational::new(1, 1000),
            ..Stream::default()
        };
        let streams = (0..).zip(kinds).map(stream).collect();
        FfprobeOutput { container: container.to_owned(), streams, ..FfprobeOutput::default() }
    }

    /// A format whose time stamps do not jump, and one whose may.
    const STEADY: &str = "matroska,webm";
    const MAY_RESET: &str = "mpegts";

    /// Packets of a stream with a duration of 40 ms, shown when they are decoded.
    fn at(stream: u32, times: &[i64]) -> Vec<(u32, i64, i64, i64)> {
        times.iter().map(|at| (stream, *at, *at, 40)).collect()
    }

    fn off(stream: u32, packet: u64, offset: i64, pts_only: bool) -> TimestampCorrection {
        TimestampCorrection { stream, packet, offset, pts_only }
    }

    #[test]
    fn packets_are_summed_up() {
        let mut reader = PacketReader::default();
        for line in ["0,0,-2,40,900,K__\n", "0,80,-1,40,100,___\n", "0,40,0,N/A,50,___\n", "1,5,5,7,9,K__,\n"]
        {
            reader.read_line(line.as_bytes());
        }
        let packets = reader.finish();
        let video = &packets.streams[&0];
        assert_eq!((video.count, video.bytes), (3, 1050));
        assert_eq!((video.first, video.last, video.end), (Some(0), Some(80), Some(120)));
        assert_eq!(video.times, [0, 80, 40]);
        assert_eq!(packets.streams[&1].end, Some(12));
    }

    #[test]
    fn hidden_and_untimed_packets() {
        let mut reader = PacketReader::default();
        reader.read_line(b"0,0,0,40,900,KD_\n");
        reader.read_line(b"0,N/A,N/A,40,900,K__\n");
        reader.read_line(b"0,N/A,8,40,900,K__\n");
        let packets = reader.finish();
        let track = &packets.streams[&0];
        assert_eq!((track.count, track.first), (2, Some(8)));
    }

    /// A step forwards, one back, and a pause that is none.
    #[test]
    fn a_new_clock_goes_on_where_the_old_one_was() {
        let times = [(0, 40), (40, 80), (90_000, 90_040), (90_040, 90_080), (20, 60), (9000, 9040)];
        let packets = read(MAY_RESET, &["video"], &times.map(|(dts, pts)| (0, pts, dts, 40)));
        let track = &packets.streams[&0];
        assert_eq!(track.times, [40, 80, 120, 160, 200, 9180]);
        assert_eq!((track.first, track.end), (Some(40), Some(9220)));
        assert_eq!(packets.corrections, [], "FFmpeg does so by itself");
    }

    #[test]
    fn a_clock_that_one_stream_sees_begin_anew_is_new_for_all() {
        let times = [(0, 0), (1, 0), (1, 500), (0, 1000), (1, 0), (0, 1100)];
        let packets = read(MAY_RESET, &["video", "audio"], &times.map(|(stream, at)| (stream, at, at, 500)));
        assert_eq!(packets.streams[&1].times, [0, 500, 1000]);
        assert_eq!(packets.streams[&0].times, [0, 1000, 2100]);
    }

    /// What follows goes on from them, so that they are right.
    #[rstest]
    #[case::a_gap(&at(0, &[0, 180_000, 180_040]))]
    #[case::a_still_at_the_end(&at(0, &[0, 40, 180_000]))]
    #[case::a_little_back(&at(0, &[0, 40, 4_000, 80]))]
    // the second is decoded before what is shown before it, and a still follows the third
    #[case::reordered_beside_a_still(&[(0, 0, -80, 40), (0, 20_040, -40, 40), (0, 40, 0, 40), (0, 20_000, 40, 40),
        (0, 20_120, 20_000, 40), (0, 20_080, 20_040, 40)])]
    #[case::slow_video(&[(0, 40_000, 0, 20_000), (0, 100_000, 20_000, 20_000), (0, 60_000, 40_000, 20_000)])]
    #[case::the_end_is_reordered_beside_a_still(&[(0, 0, -40, 40), (0, 20_040, 0, 40), (0, 40, 40, 40)])]
    fn a_time_stamp_that_nothing_contradicts_stays(#[case] packets: &[(u32, i64, i64, i64)]) {
        let stats = read(STEADY, &["video"], packets);
        assert_eq!(stats.corrections, []);
        let mut times: Vec<_> = packets.iter().map(|(_, pts, ..)| *pts).collect();
        times.sort_unstable();
        let mut kept = stats.streams[&0].times.clone();
        kept.sort_unstable();
        assert_eq!(kept, times);
    }

    #[rstest]
    #[case::leaps_and_comes_back(at(0, &[0, 40, 180_000, 180_040, 160, 200]),
        &[off(0, 2, 179_920, false), off(0, 4, -179_920, false)], (0, 240))]
    #[case::falls_and_comes_back(at(0, &[90_000, 90_040, 0, 90_120]),
        &[off(0, 2, -90_080, false), off(0, 3, 90_080, false)], (90_000, 90_160))]
    #[case::the_first_is_far_ahead(at(0, &[180_000, 0, 40, 80]),
        &[off(0, 0, 180_040, false), off(0, 1, -180_040, false)], (-40, 120))]
    #[case::is_shown_long_before_it_is_decoded(vec![(0, 0, 0, 40), (0, -99_960, 40, 40), (0, 80, 80, 40)],
        &[off(0, 1, -100_000, true), off(0, 2, 100_000, true)], (0, 120))]
    fn a_time_stamp_that_others_contradict_is_put_right(
        #[case] packets: Vec<(u32, i64, i64, i64)>,
        #[case] corrections: &[TimestampCorrection],
        #[case] (first, end): (i64, i64),
    ) {
        let packets = read(STEADY, &["video"], &packets);
        assert_eq!(packets.corrections, corrections);
        assert_eq!((packets.streams[&0].first, packets.streams[&0].end), (Some(first), Some(end)));
    }

    /// Where clocks may begin anew as well: it is decoded in its turn.
    #[rstest]
    fn a_frame_that_would_be_shown_when_nothing_near_is_decoded(
        #[values(MAY_RESET, STEADY)] container: &str,
    ) {
        let shown = |number: i64| if number == 3 { 180_000 } else { number * 40 };
        let packets: Vec<_> = (0..30).map(|number| (0, shown(number), number * 40, 40)).collect();
        let stats = read(container, &["video"], &packets);
        assert_eq!(stats.corrections, [off(0, 3, 179_880, true), off(0, 4, -179_880, true)]);
        assert_eq!(stats.streams[&0].end, Some(1200));
    }

    #[test]
    fn a_leap_to_where_no_other_stream_is_leads_nowhere() {
        let mut packets = at(0, &[0, 40, 80, 120]);
        packets.extend(at(1, &[0, 40, 174_000, 174_040, 999_000]));
        let stats = read(STEADY, &["video", "audio"], &packets);
        assert_eq!(stats.corrections, [off(1, 2, 173_920, false), off(1, 4, 824_920, false)]);
        assert_eq!(stats.streams[&1].times, [0, 40, 80, 120, 160]);
        let packets: Vec<_> = packets.into_iter().chain(at(0, &[999_040])).collect();
        assert_eq!(read(STEADY, &["video", "audio"], &packets).corrections, [], "the video is there too");
    }

    /// The last frame is presented where the audio seems to be, which is nowhere.
    #[test]
    fn what_leaps_is_no_witness_of_what_is_in_doubt() {
        let mut packets = at(0, &[0, 40, 80]);
        packets.extend([(0, 60_000, 120, 40), (0, 160, 160, 40)]);
        packets.extend(at(1, &[0, 40, 480_000]));
        let stats = read(STEADY, &["video", "audio"], &packets);
        let corrections = [off(0, 3, 59_880, true), off(0, 4, -59_880, true), off(1, 2, 479_920, false)];
        assert_eq!(stats.corrections, corrections);
        assert_eq!(stats.streams[&0].end, Some(200));
    }

    #[test]
    fn subtitles_are_no_witness() {
        let packets = [at(0, &[0, 40, 80, 90_000]), at(1, &[0, 40])].concat();
        assert_eq!(read(STEADY, &["video", "subtitle"], &packets).corrections, []);
        assert_eq!(read(STEADY, &["video", "data"], &packets).corrections, [off(0, 3, 89_880, false)]);
    }

    #[test]
    fn a_frame_may_stand_still_when_the_audio_has_ended() {
        let packets = [at(0, &[0, 40, 30_000]), at(1, &[0, 40])].concat();
        assert_eq!(read(STEADY, &["video", "audio"], &packets).corrections, []);
        assert_eq!(read(STEADY, &["audio", "video"], &packets).corrections, [off(0, 2, 29_920, false)]);
    }

    #[test]
    fn a_leap_that_is_short_beside_all_else_is_believed() {
        let times: Vec<_> = (0..1000).map(|number| number * 40).collect();
        let (mut packets, mut late) = (at(0, &times), times.clone());
        late.push(70_000);
        packets.extend(at(1, &late));
        assert_eq!(read(STEADY, &["audio", "video"], &packets).corrections, []);
    }

    #[test]
    fn no_packet_of_audio_has_a_duration_of_minutes() {
        let times = [(0, 0), (1, 0), (1, 20)];
        let packets = read(STEADY, &["video", "audio"], &times.map(|(stream, at)| (stream, at, at, 174_000)));
        let ends = packets.streams.values().map(|track| track.end);
        assert_eq!(ends.collect::<Vec<_>>(), [Some(174_000), Some(20)]);
    }

    #[test]
    fn what_ends_is_what_begins_last() {
        let packets = read(STEADY, &["video"], &[(0, 0, 0, 1_310_720), (0, 40, 40, 40)]);
        assert_eq!(packets.streams[&0].end, Some(80));
    }

    proptest! {
        #[test]
        fn any_line_is_read(
            line in prop::collection::vec(any::<u8>(), 0..60),
            fields in prop::collection::vec("[01],-?[0-9]{1,20},-?[0-9]{1,20},[0-9]{1,20},9,K__", 0..40),
            may_reset in any::<bool>(),
        ) {
            let container = if may_reset { MAY_RESET } else { STEADY };
            let mut reader = PacketReader::new(&described(container, &["video", "audio"]));
            reader.read_line(&line);
            for fields in fields {
                reader.read_line(fields.as_bytes());
            }
            reader.finish();
        }
    }
}
