//! A walk over the packets of a file: what its time stamps, not its header, say about how long and
//! how fast it is. Nothing is decoded.

use std::collections::BTreeMap;

use super::described::{Described, Stream};
use crate::command::{FAR, FAR_PICTURES};

/// Time stamps of one stream that are kept to measure its rate by.
const MOST_TIMES: usize = 20_000;
/// Seconds forwards and back from which FFmpeg takes a step of a clock for a new clock.
const STEP: f64 = 10.0;
const STEP_BACK: f64 = 0.1;
/// Seconds that no packet of sound lasts, whatever it says: FFmpeg counts its samples.
const TOO_LONG: f64 = 10.0;

/// What the packets of a file say, by stream index.
#[derive(Clone, Debug, Default)]
pub(super) struct Packets {
    pub streams: BTreeMap<u32, Track>,
    clocks: BTreeMap<u32, Clock>,
    /// Seconds by which the clock of a programme, having begun anew, is ahead of what it was: for all of
    /// its streams, whichever showed it, as FFmpeg has it.
    ahead: BTreeMap<usize, f64>,
}

/// The packets of one stream; times in ticks of its time base.
#[derive(Clone, Debug, Default)]
pub(super) struct Track {
    pub count: u64,
    pub bytes: u64,
    pub first: Option<i64>,
    /// The end of the latest packet, as far as packets say how long they last.
    pub end: Option<i64>,
    /// The latest beginning of a packet.
    pub last: Option<i64>,
    /// The beginnings of the first packets.
    pub times: Vec<i64>,
}

impl Track {
    fn add(&mut self, packet: Packet) {
        let Some(at) = packet.pts.or(packet.dts) else { return };
        let end = at.saturating_add(packet.duration);
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
        self.end = Some(self.end.map_or(end, |known| known.max(end)));
        if self.times.len() < MOST_TIMES {
            self.times.push(at);
        }
    }
}

/// The time stamps of one packet, and how long it lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Packet {
    pts: Option<i64>,
    dts: Option<i64>,
    duration: i64,
}

/// What tells true time stamps of a stream from wrong ones.
#[derive(Clone, Debug)]
struct Clock {
    /// Ticks of a second.
    second: f64,
    is_sound: bool,
    /// Whose clock it is, where clocks may begin anew.
    programme: Option<usize>,
    /// Seconds when the next packet is decoded, by the first clock.
    next: Option<f64>,
    /// The latest packet: the next one tells whether it is right.
    held: Option<Packet>,
}

impl Clock {
    /// Follows a clock that steps, as FFmpeg does where it may: what is shown goes on. `ahead` is that of the
    /// programme.
    fn follow(&mut self, packet: Packet, ahead: &mut f64) -> Packet {
        let Some(decoded) = packet.dts.or(packet.pts).map(|ticks| ticks as f64 / self.second) else {
            return packet;
        };
        let step = self.next.map_or(0.0, |next| decoded - *ahead - next);
        if !(-STEP_BACK..=STEP).contains(&step) {
            *ahead += step;
        }
        self.next = Some(decoded - *ahead + packet.duration as f64 / self.second);
        let moved = |ticks: i64| ticks.saturating_sub((*ahead * self.second).round() as i64);
        Packet { pts: packet.pts.map(moved), dts: packet.dts.map(moved), ..packet }
    }

    /// Leaves out the time stamps that are wrong, as the command line makes FFmpeg do.
    fn judged(&self, packet: Packet, next: Option<Packet>) -> Packet {
        let far = (FAR * self.second) as i64;
        let (pts, dts) = (packet.pts, packet.dts);
        let next = next.and_then(|next| next.dts);
        let leaps = dts.zip(next).is_some_and(|(dts, next)| dts.saturating_sub(next) > far);
        let shown_late = far.max(packet.duration.saturating_mul(FAR_PICTURES));
        let apart =
            pts.zip(dts).is_some_and(|(pts, dts)| pts.saturating_sub(dts).saturating_abs() > shown_late);
        Packet { pts: pts.filter(|_| !leaps && !apart), dts: dts.filter(|_| !leaps), ..packet }
    }
}

impl Packets {
    /// The entries that ffprobe is asked for, in the order that it writes them in.
    pub(super) const ENTRIES: &'static str = "packet=stream_index,pts,dts,duration,size,flags";

    /// None yet, of a file whose clocks may begin anew or not.
    pub(super) fn of(described: &Described, begins_anew: bool) -> Self {
        let programme = |index: u32| described.programs.iter().position(|streams| streams.contains(&index));
        let clock = |stream: &Stream| Clock {
            second: stream.time_base.map_or(f64::INFINITY, |base| 1.0 / base.as_f64()),
            is_sound: stream.kind == "audio",
            programme: begins_anew.then(|| programme(stream.index).unwrap_or(usize::MAX)),
            next: None,
            held: None,
        };
        let clocks = described.streams.iter().map(|stream| (stream.index, clock(stream)));
        Self { clocks: clocks.collect(), ..Self::default() }
    }

    /// Reads one line of ffprobe's CSV without section names; what is no such line is passed over.
    pub(super) fn read(&mut self, line: &[u8]) {
        let Ok(line) = std::str::from_utf8(line) else { return };
        let mut fields = line.trim_end().split(',');
        let mut next = || fields.next().unwrap_or_default();
        let Ok(stream) = next().parse() else { return };
        let (pts, dts, duration, size, flags) = (next(), next(), next(), next(), next());
        // packets that an edit list cuts off are decoded and not shown
        if flags.contains('D') {
            return;
        }
        let track = self.streams.entry(stream).or_default();
        track.count += 1;
        track.bytes += size.parse().unwrap_or(0);
        let duration = duration.parse().unwrap_or(0).max(0);
        let mut packet = Packet { pts: pts.parse().ok(), dts: dts.parse().ok(), duration };
        let Some(clock) = self.clocks.get_mut(&stream) else { return track.add(packet) };
        if clock.is_sound && duration as f64 > TOO_LONG * clock.second {
            packet.duration = 0;
        }
        if let Some(programme) = clock.programme {
            packet = clock.follow(packet, self.ahead.entry(programme).or_default());
        }
        if let Some(before) = clock.held.replace(packet) {
            track.add(clock.judged(before, Some(packet)));
        }
    }

    /// Ends the walk: what was held back is added.
    pub(super) fn end(mut self) -> Self {
        for (stream, clock) in &mut self.clocks {
            if let Some((last, track)) = clock.held.take().zip(self.streams.get_mut(stream)) {
                track.add(clock.judged(last, None));
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    /// Of streams whose clocks tick in milliseconds.
    fn walk(kinds: &[&str], begins_anew: bool, packets: &[(u32, i64, i64, i64)]) -> Packets {
        let stream = |(index, kind): (u32, &&str)| Stream {
            index,
            kind: (*kind).to_owned(),
            time_base: model::Rational::new(1, 1000),
            ..Stream::default()
        };
        let streams = (0..).zip(kinds).map(stream).collect();
        let mut walked = Packets::of(&Described { streams, ..Described::default() }, begins_anew);
        for (stream, pts, dts, duration) in packets {
            walked.read(format!("{stream},{pts},{dts},{duration},9,K__\n").as_bytes());
        }
        walked.end()
    }

    #[test]
    fn packets_are_summed_up() {
        let mut packets = Packets::default();
        for line in ["0,0,-2,40,900,K__\n", "0,80,-1,40,100,___\n", "0,40,0,N/A,50,___\n", "1,5,5,7,9,K__,\n"]
        {
            packets.read(line.as_bytes());
        }
        let picture = &packets.streams[&0];
        assert_eq!((picture.count, picture.bytes), (3, 1050));
        assert_eq!((picture.first, picture.last, picture.end), (Some(0), Some(80), Some(120)));
        assert_eq!(picture.times, [0, 80, 40]);
        assert_eq!(packets.streams[&1].end, Some(12));
    }

    #[test]
    fn hidden_and_untimed_packets() {
        let mut packets = Packets::default();
        packets.read(b"0,0,0,40,900,KD_\n");
        packets.read(b"0,N/A,N/A,40,900,K__\n");
        packets.read(b"0,N/A,8,40,900,K__\n");
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
    }

    #[test]
    fn a_clock_that_one_stream_sees_begin_anew_is_new_for_all() {
        let times = [(0, 0), (1, 0), (1, 500), (0, 1000), (1, 0), (0, 1100)];
        let packets = walk(&["video", "audio"], true, &times.map(|(stream, at)| (stream, at, at, 500)));
        assert_eq!(packets.streams[&1].times, [0, 500, 1000]);
        assert_eq!(packets.streams[&0].times, [0, 1000, 2100]);
    }

    /// Each is pts and dts; the middle one is what it is about.
    #[rstest]
    #[case::pts_alone([(40, 0), (180_040, 40), (120, 80)], &[40, 40, 120])]
    #[case::both([(0, 0), (180_000, 180_000), (80, 80)], &[0, 80])]
    #[case::a_real_gap([(0, 0), (180_000, 180_000), (180_040, 180_040)], &[0, 180_000, 180_040])]
    #[case::reordered([(40, 0), (9_040, 40), (120, 80)], &[40, 9_040, 120])]
    #[case::a_little_back([(40, 0), (9_040, 9_000), (120, 80)], &[40, 9_040, 120])]
    fn a_time_stamp_that_others_contradict_is_none(#[case] packets: [(i64, i64); 3], #[case] times: &[i64]) {
        let packets = walk(&["video"], false, &packets.map(|(pts, dts)| (0, pts, dts, 40)));
        assert_eq!(packets.streams[&0].times, times);
    }

    #[test]
    fn slow_pictures_are_shown_long_after_they_are_decoded() {
        let packets = [(40_000, 0), (100_000, 20_000), (60_000, 40_000)];
        let packets = walk(&["video"], false, &packets.map(|(pts, dts)| (0, pts, dts, 20_000)));
        assert_eq!(packets.streams[&0].times, [40_000, 100_000, 60_000]);
    }

    #[test]
    fn no_packet_of_sound_lasts_minutes() {
        let times = [(0, 0), (1, 0), (1, 20)];
        let packets = walk(&["video", "audio"], false, &times.map(|(stream, at)| (stream, at, at, 174_000)));
        let ends = packets.streams.values().map(|track| track.end);
        assert_eq!(ends.collect::<Vec<_>>(), [Some(174_000), Some(20)]);
    }

    proptest! {
        #[test]
        fn any_line_is_read(line in prop::collection::vec(any::<u8>(), 0..60), fields in "[0-9,N/A-]{0,40}") {
            let mut packets = walk(&["video", "audio"], true, &[]);
            packets.read(&line);
            packets.read(fields.as_bytes());
            packets.read(fields.as_bytes());
            packets.end();
        }
    }
}
