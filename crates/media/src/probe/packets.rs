//! A walk over the packets of a file: what its time stamps, not its header, say about how long and
//! how fast it is. Nothing is decoded.

use std::collections::BTreeMap;

use super::described::Described;

/// Time stamps of one stream that are kept to measure its rate by.
const MOST_TIMES: usize = 20_000;
/// Seconds forwards and back from which FFmpeg takes a step of a clock for a new clock.
const STEP: f64 = 10.0;
const STEP_BACK: f64 = 0.1;

/// What the packets of a file say, by stream index.
#[derive(Clone, Debug, Default)]
pub(super) struct Packets {
    pub streams: BTreeMap<u32, Track>,
    /// Ticks of a second of each stream, where clocks may begin anew.
    ticks: BTreeMap<u32, f64>,
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
    /// By how much clocks that began anew are ahead of the first one.
    ahead: i64,
    /// When the next packet is decoded, by the first clock.
    next: Option<i64>,
}

impl Track {
    /// Follows a clock that steps, as FFmpeg does where it may: what is shown goes on.
    fn follow(&mut self, decoded: i64, duration: i64, second: f64) {
        let step = self.next.map_or(0, |next| decoded.saturating_sub(self.ahead).saturating_sub(next));
        if step as f64 > STEP * second || (step as f64) < -STEP_BACK * second {
            self.ahead = self.ahead.saturating_add(step);
        }
        self.next = Some(decoded.saturating_sub(self.ahead).saturating_add(duration));
    }
}

impl Packets {
    /// The entries that ffprobe is asked for, in the order that it writes them in.
    pub(super) const ENTRIES: &'static str = "packet=stream_index,pts,dts,duration,size,flags";

    /// None yet, of a file where clocks may begin anew.
    pub(super) fn of_steps(described: &Described) -> Self {
        let tick = |base: model::Rational| 1.0 / base.as_f64();
        let streams = described.streams.iter();
        let ticks = streams.filter_map(|stream| Some((stream.index, stream.time_base.map(tick)?)));
        Self { ticks: ticks.collect(), ..Self::default() }
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
        let Ok(at) = pts.parse::<i64>().or_else(|_| dts.parse()) else { return };
        let duration = duration.parse().unwrap_or(0).max(0);
        if let Some(second) = self.ticks.get(&stream) {
            track.follow(dts.parse().unwrap_or(at), duration, *second);
        }
        let at = at.saturating_sub(track.ahead);
        let end = at.saturating_add(duration);
        track.first = Some(track.first.map_or(at, |first| first.min(at)));
        track.last = Some(track.last.map_or(at, |last| last.max(at)));
        track.end = Some(track.end.map_or(end, |known| known.max(end)));
        if track.times.len() < MOST_TIMES {
            track.times.push(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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

    /// In ticks of 1/1000 s: a step forwards, one back, and a pause that is none.
    #[test]
    fn a_new_clock_goes_on_where_the_old_one_was() {
        let mut packets = Packets { ticks: [(0, 1000.0)].into(), ..Packets::default() };
        for (dts, pts) in [(0, 40), (40, 80), (90_000, 90_040), (90_040, 90_080), (20, 60), (9000, 9040)] {
            packets.read(format!("0,{pts},{dts},40,9,K__\n").as_bytes());
        }
        let track = &packets.streams[&0];
        assert_eq!(track.times, [40, 80, 120, 160, 200, 9180]);
        assert_eq!((track.first, track.end), (Some(40), Some(9220)));
    }

    proptest! {
        #[test]
        fn any_line_is_read(line in prop::collection::vec(any::<u8>(), 0..60), fields in "[0-9,N/A-]{0,40}") {
            let mut packets = Packets { ticks: [(0, 1000.0), (1, 1e9)].into(), ..Packets::default() };
            packets.read(&line);
            packets.read(fields.as_bytes());
            packets.read(fields.as_bytes());
        }
    }
}
