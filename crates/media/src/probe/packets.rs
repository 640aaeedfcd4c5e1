//! A walk over the packets of a file: what its time stamps, not its header, say about how long and
//! how fast it is. Nothing is decoded.

use std::collections::BTreeMap;

use super::{
    clock::{self, Clock, Kind, Track},
    described::{Described, Stream},
    follow::Follow,
};
use crate::TimestampCorrection;

/// What the packets of a file say.
#[derive(Clone, Debug, Default)]
pub(super) struct Packets {
    /// By index.
    pub streams: BTreeMap<u32, Track>,
    /// What puts their time stamps right, where others contradict them.
    pub corrections: Vec<TimestampCorrection>,
}

/// What a packet says, in ticks and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Packet {
    pub pts: Option<i64>,
    pub dts: Option<i64>,
    pub duration: i64,
    pub bytes: u64,
}

/// A walk that goes on.
#[derive(Clone, Debug, Default)]
pub(super) struct Walk {
    clocks: BTreeMap<u32, Clock>,
    /// Where clocks may begin anew.
    follow: Option<Follow>,
}

impl Walk {
    /// The entries that ffprobe is asked for, in the order that it writes them in.
    pub(super) const ENTRIES: &'static str = "packet=stream_index,pts,dts,duration,size,flags";

    /// The beginning, of a file where clocks may begin anew or not.
    pub(super) fn new(described: &Described, begins_anew: bool) -> Self {
        let kind = |stream: &Stream| match stream.kind.as_str() {
            "subtitle" => Kind::Aside,
            "video" if stream.is_still => Kind::Aside,
            "audio" => Kind::Sound,
            _ => Kind::Other,
        };
        let clock = |stream: &Stream| {
            let second = 1.0 / stream.time_base?.as_f64();
            Some((stream.index, Clock::new(second, kind(stream))))
        };
        Self {
            clocks: described.streams.iter().filter_map(clock).collect(),
            follow: begins_anew.then(|| Follow::new(described)),
        }
    }

    /// Reads one line of ffprobe's CSV without section names; what is no such line is passed over.
    pub(super) fn read(&mut self, line: &[u8]) {
        let Ok(line) = std::str::from_utf8(line) else { return };
        let mut fields = line.trim_end().split(',');
        let mut next = || fields.next().unwrap_or_default();
        let Ok(stream) = next().parse() else { return };
        let (pts, dts, duration, size, flags) = (next(), next(), next(), next(), next());
        let clock = self.clocks.entry(stream).or_insert_with(|| Clock::new(f64::INFINITY, Kind::Other));
        // packets that an edit list cuts off are decoded and not shown
        if flags.contains('D') {
            return clock.hide();
        }
        let packet = Packet {
            pts: pts.parse().ok(),
            dts: dts.parse().ok(),
            duration: duration.parse().unwrap_or(0).max(0),
            bytes: size.parse().unwrap_or(0),
        };
        clock.add(self.follow.as_mut().map_or(packet, |follow| follow.moved(stream, packet)));
    }

    /// The end.
    pub(super) fn end(mut self) -> Packets {
        clock::settle(&mut self.clocks);
        let corrections = self.clocks.iter().flat_map(|(stream, clock)| clock.corrections(*stream));
        let streams = self.clocks.iter().map(|(stream, clock)| (*stream, clock.track()));
        Packets {
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

    /// A walk over streams of these kinds, whose clocks tick in milliseconds; packets are index, pts, dts and
    /// duration.
    fn walk(kinds: &[&str], begins_anew: bool, packets: &[(u32, i64, i64, i64)]) -> Packets {
        let stream = |(index, kind): (u32, &&str)| Stream {
            index,
            kind: (*kind).to_owned(),
            time_base: model::Rational::new(1, 1000),
            ..Stream::default()
        };
        let streams = (0..).zip(kinds).map(stream).collect();
        let mut walk = Walk::new(&Described { streams, ..Described::default() }, begins_anew);
        for (stream, pts, dts, duration) in packets {
            walk.read(format!("{stream},{pts},{dts},{duration},9,K__\n").as_bytes());
        }
        walk.end()
    }

    /// Packets of a stream that last 40 ms and are shown when they are decoded.
    fn at(stream: u32, times: &[i64]) -> Vec<(u32, i64, i64, i64)> {
        times.iter().map(|at| (stream, *at, *at, 40)).collect()
    }

    fn off(stream: u32, packet: u64, offset: i64, pts_only: bool) -> TimestampCorrection {
        TimestampCorrection { stream, packet, offset, pts_only }
    }

    #[test]
    fn packets_are_summed_up() {
        let mut walk = Walk::default();
        for line in ["0,0,-2,40,900,K__\n", "0,80,-1,40,100,___\n", "0,40,0,N/A,50,___\n", "1,5,5,7,9,K__,\n"]
        {
            walk.read(line.as_bytes());
        }
        let packets = walk.end();
        let picture = &packets.streams[&0];
        assert_eq!((picture.count, picture.bytes), (3, 1050));
        assert_eq!((picture.first, picture.last, picture.end), (Some(0), Some(80), Some(120)));
        assert_eq!(picture.times, [0, 80, 40]);
        assert_eq!(packets.streams[&1].end, Some(12));
    }

    #[test]
    fn hidden_and_untimed_packets() {
        let mut walk = Walk::default();
        walk.read(b"0,0,0,40,900,KD_\n");
        walk.read(b"0,N/A,N/A,40,900,K__\n");
        walk.read(b"0,N/A,8,40,900,K__\n");
        let packets = walk.end();
        let track = &packets.streams[&0];
        assert_eq!((track.count, track.first), (2, Some(8)));
    }

    /// A step forwards, one back, and a pause that is none.
    #[test]
    fn a_new_clock_goes_on_where_the_old_one_was() {
        let times = [(0, 40), (40, 80), (90_000, 90_040), (90_040, 90_080), (20, 60), (9000, 9040)];
        let packets = walk(&["video"], true, &times.map(|(dts, pts)| (0, pts, dts, 40)));
        let track = &packets.streams[&0];
        assert_eq!(track.times, [40, 80, 120, 160, 200, 9180]);
        assert_eq!((track.first, track.end), (Some(40), Some(9220)));
        assert_eq!(packets.corrections, [], "FFmpeg does so by itself");
    }

    #[test]
    fn a_clock_that_one_stream_sees_begin_anew_is_new_for_all() {
        let times = [(0, 0), (1, 0), (1, 500), (0, 1000), (1, 0), (0, 1100)];
        let packets = walk(&["video", "audio"], true, &times.map(|(stream, at)| (stream, at, at, 500)));
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
    #[case::a_slow_picture(&[(0, 40_000, 0, 20_000), (0, 100_000, 20_000, 20_000), (0, 60_000, 40_000, 20_000)])]
    #[case::the_end_is_reordered_beside_a_still(&[(0, 0, -40, 40), (0, 20_040, 0, 40), (0, 40, 40, 40)])]
    fn a_time_stamp_that_nothing_contradicts_stays(#[case] packets: &[(u32, i64, i64, i64)]) {
        let walked = walk(&["video"], false, packets);
        assert_eq!(walked.corrections, []);
        let mut times: Vec<_> = packets.iter().map(|(_, pts, ..)| *pts).collect();
        times.sort_unstable();
        let mut kept = walked.streams[&0].times.clone();
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
        let packets = walk(&["video"], false, &packets);
        assert_eq!(packets.corrections, corrections);
        assert_eq!((packets.streams[&0].first, packets.streams[&0].end), (Some(first), Some(end)));
    }

    /// Where clocks may begin anew as well: it is decoded in its turn.
    #[rstest]
    fn a_picture_that_would_be_shown_when_nothing_near_is_decoded(#[values(true, false)] begins_anew: bool) {
        let shown = |number: i64| if number == 3 { 180_000 } else { number * 40 };
        let packets: Vec<_> = (0..30).map(|number| (0, shown(number), number * 40, 40)).collect();
        let walked = walk(&["video"], begins_anew, &packets);
        assert_eq!(walked.corrections, [off(0, 3, 179_880, true), off(0, 4, -179_880, true)]);
        assert_eq!(walked.streams[&0].end, Some(1200));
    }

    #[test]
    fn a_leap_to_where_no_other_stream_is_leads_nowhere() {
        let mut packets = at(0, &[0, 40, 80, 120]);
        packets.extend(at(1, &[0, 40, 174_000, 174_040, 999_000]));
        let walked = walk(&["video", "audio"], false, &packets);
        assert_eq!(walked.corrections, [off(1, 2, 173_920, false), off(1, 4, 824_920, false)]);
        assert_eq!(walked.streams[&1].times, [0, 40, 80, 120, 160]);
        let packets: Vec<_> = packets.into_iter().chain(at(0, &[999_040])).collect();
        assert_eq!(walk(&["video", "audio"], false, &packets).corrections, [], "the picture is there too");
    }

    /// The last picture is shown where the sound seems to be, which is nowhere.
    #[test]
    fn what_leaps_is_no_witness_of_what_is_in_doubt() {
        let mut packets = at(0, &[0, 40, 80]);
        packets.extend([(0, 60_000, 120, 40), (0, 160, 160, 40)]);
        packets.extend(at(1, &[0, 40, 480_000]));
        let walked = walk(&["video", "audio"], false, &packets);
        let corrections = [off(0, 3, 59_880, true), off(0, 4, -59_880, true), off(1, 2, 479_920, false)];
        assert_eq!(walked.corrections, corrections);
        assert_eq!(walked.streams[&0].end, Some(200));
    }

    #[test]
    fn subtitles_are_no_witness() {
        let packets = [at(0, &[0, 40, 80, 90_000]), at(1, &[0, 40])].concat();
        assert_eq!(walk(&["video", "subtitle"], false, &packets).corrections, []);
        assert_eq!(walk(&["video", "data"], false, &packets).corrections, [off(0, 3, 89_880, false)]);
    }

    #[test]
    fn a_picture_may_stand_still_when_the_sound_has_ended() {
        let packets = [at(0, &[0, 40, 30_000]), at(1, &[0, 40])].concat();
        assert_eq!(walk(&["video", "audio"], false, &packets).corrections, []);
        assert_eq!(walk(&["audio", "video"], false, &packets).corrections, [off(0, 2, 29_920, false)]);
    }

    #[test]
    fn a_leap_that_is_short_beside_all_else_is_believed() {
        let times: Vec<_> = (0..1000).map(|number| number * 40).collect();
        let (mut packets, mut late) = (at(0, &times), times.clone());
        late.push(70_000);
        packets.extend(at(1, &late));
        assert_eq!(walk(&["audio", "video"], false, &packets).corrections, []);
    }

    #[test]
    fn no_packet_of_sound_lasts_minutes() {
        let times = [(0, 0), (1, 0), (1, 20)];
        let packets = walk(&["video", "audio"], false, &times.map(|(stream, at)| (stream, at, at, 174_000)));
        let ends = packets.streams.values().map(|track| track.end);
        assert_eq!(ends.collect::<Vec<_>>(), [Some(174_000), Some(20)]);
    }

    #[test]
    fn what_ends_is_what_begins_last() {
        let packets = walk(&["video"], false, &[(0, 0, 0, 1_310_720), (0, 40, 40, 40)]);
        assert_eq!(packets.streams[&0].end, Some(80));
    }

    proptest! {
        #[test]
        fn any_line_is_read(
            line in prop::collection::vec(any::<u8>(), 0..60),
            fields in prop::collection::vec("[01],-?[0-9]{1,20},-?[0-9]{1,20},[0-9]{1,20},9,K__", 0..40),
            begins_anew in any::<bool>(),
        ) {
            let described = ["video", "audio"].map(|kind| Stream {
                index: u32::from(kind == "audio"),
                kind: kind.to_owned(),
                time_base: model::Rational::new(1, 1000),
                ..Stream::default()
            });
            let described = Described { streams: described.into(), ..Described::default() };
            let mut walk = Walk::new(&described, begins_anew);
            walk.read(&line);
            for fields in fields {
                walk.read(fields.as_bytes());
            }
            walk.end();
        }
    }
}
