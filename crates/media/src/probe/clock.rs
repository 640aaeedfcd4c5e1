//! The clock of each stream, as its packets tell it: which of their time stamps others contradict, and what
//! would put them right.
//!
//! A still or a gap is followed by time stamps that go on from it, and is left as it is. What leaps away and
//! comes back, what is shown long after all that is decoded near it, and what leaps to where no other stream
//! has ever been, is wrong.

use std::collections::BTreeMap;

use super::packets::Packet;
use crate::TimestampCorrection;

/// Seconds by which a time stamp has to be off to be in doubt.
const FAR: f64 = 5.0;
/// Seconds for which a picture may stand still when all else has ended.
const STILL: f64 = 60.0;
/// Pictures are decoded before they are shown by at most so many others (ITU-T H.264, A.3.1).
const MOST_REORDERED: u64 = 16;
/// What is told apart of one stream; one with more of it is believed.
const MOST_RUNS: usize = 200;
/// Time stamps of one stream that are kept to measure its rate by.
const MOST_TIMES: usize = 20_000;

/// The packets of one stream; times in ticks of its time base.
#[derive(Clone, Debug, Default)]
pub(super) struct Track {
    pub count: u64,
    pub bytes: u64,
    pub first: Option<i64>,
    /// The end of the last packet, as far as it says how long it lasts.
    pub end: Option<i64>,
    /// The latest beginning of a packet.
    pub last: Option<i64>,
    /// The beginnings of the first packets.
    pub times: Vec<i64>,
}

/// What is made of a stream's packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// FFmpeg counts its samples, whatever its packets say of how long they last.
    Sound,
    /// Cover art, subtitles: no witness of how long all else lasts.
    Aside,
    #[default]
    Other,
}

/// Packets whose time stamps go on from each other.
#[derive(Clone, Debug)]
struct Run {
    /// The number of its first packet.
    from: u64,
    /// How many it has.
    count: u64,
    /// Ticks by which it begins later than the run before led to expect.
    step: i64,
    /// Ticks by which it is found to be ahead of what is true.
    ahead: i64,
    /// When its first packet is shown, and the last one, and that one's end.
    shown: Option<(i64, i64, i64)>,
    times: Vec<i64>,
}

/// A packet that is to be shown long after it is decoded.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    number: u64,
    shown: i64,
    decoded: i64,
    duration: i64,
}

/// What is known of one stream while its packets are walked over.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    /// Ticks of a second.
    second: f64,
    kind: Kind,
    /// Packets so far, also those that do not count.
    number: u64,
    count: u64,
    bytes: u64,
    runs: Vec<Run>,
    times: usize,
    doubts: Vec<Doubt>,
    /// The numbers of packets that are not shown when they say, and the ticks by which they are off.
    misplaced: Vec<(u64, i64)>,
    /// When the next packet is expected to be decoded.
    next: Option<i64>,
}

impl Clock {
    pub(super) fn new(second: f64, kind: Kind) -> Self {
        Self { second, kind, ..Self::default() }
    }

    /// Counts a packet that is decoded and not shown.
    pub(super) fn hide(&mut self) {
        self.number += 1;
    }

    /// Takes in the next packet.
    pub(super) fn add(&mut self, packet: Packet) {
        let number = self.number;
        self.number += 1;
        self.count += 1;
        self.bytes += packet.bytes;
        let Some(shown) = packet.pts.or(packet.dts) else { return };
        let far = self.ticks(FAR);
        let duration = match self.kind {
            Kind::Sound if packet.duration > far => 0,
            _ => packet.duration,
        };
        self.begin(number, packet.dts);
        if let Some(decoded) = packet.dts {
            self.next = Some(decoded.saturating_add(duration.min(far)));
            self.decide(number, decoded);
        }
        let decoded = packet.dts.unwrap_or(shown);
        let doubt = Doubt { number, shown, decoded, duration };
        let late = shown.saturating_sub(decoded);
        let is_odd = self.misplaced.len() < MOST_RUNS;
        if is_odd && late > far.max(duration.saturating_mul(MOST_REORDERED as i64)) {
            self.doubts.push(doubt);
        } else if is_odd && late < -far {
            self.misplace(doubt);
        } else {
            self.show(shown, duration);
        }
    }

    fn ticks(&self, seconds: f64) -> i64 {
        (seconds * self.second) as i64
    }

    /// A step of the clock begins a run.
    fn begin(&mut self, number: u64, decoded: Option<i64>) {
        let step = decoded.zip(self.next).map_or(0, |(decoded, next)| decoded.saturating_sub(next));
        let is_far = step.saturating_abs() > self.ticks(FAR);
        if self.runs.is_empty() || is_far && self.runs.len() < MOST_RUNS {
            self.runs.push(Run { from: number, count: 0, step, ahead: 0, shown: None, times: Vec::new() });
        }
        if let Some(run) = self.runs.last_mut() {
            run.count += 1;
        }
    }

    /// What is in doubt is right when decoding comes near to when it is shown, and wrong when it has had
    /// time to.
    fn decide(&mut self, number: u64, decoded: i64) {
        let far = self.ticks(FAR);
        for doubt in std::mem::take(&mut self.doubts) {
            if doubt.shown.saturating_sub(decoded) <= far {
                self.show(doubt.shown, doubt.duration);
            } else if number - doubt.number > MOST_REORDERED {
                self.misplace(doubt);
            } else {
                self.doubts.push(doubt);
            }
        }
    }

    fn misplace(&mut self, packet: Doubt) {
        self.misplaced.push((packet.number, packet.shown.saturating_sub(packet.decoded)));
        self.show(packet.decoded, packet.duration);
    }

    fn show(&mut self, at: i64, duration: i64) {
        let Some(run) = self.runs.last_mut() else { return };
        let (first, last) = run.shown.map_or((at, at), |(first, last, _)| (first.min(at), last.max(at)));
        let end = match run.shown {
            Some((_, latest, end)) if latest > at => end,
            _ => at.saturating_add(duration),
        };
        run.shown = Some((first, last, end));
        if self.times < MOST_TIMES {
            self.times += 1;
            run.times.push(at);
        }
    }

    /// Finds runs that begin with a step which the next one takes back, and a short first one that all others
    /// are far behind.
    fn settle(&mut self) {
        let far = self.ticks(FAR);
        for next in 1..self.runs.len() {
            let (run, after) = (&self.runs[next - 1], &self.runs[next]);
            let is_taken_back = run.step != 0 && run.step.saturating_add(after.step).saturating_abs() <= far;
            let is_first = next == 1 && run.count <= MOST_REORDERED && run.count < after.count;
            let ahead = match (is_taken_back, is_first && after.step < -far) {
                (true, _) => run.step,
                (_, true) => after.step.saturating_neg(),
                _ => continue,
            };
            self.runs[next - 1].ahead = ahead;
            self.runs[next - 1].step = 0;
            self.runs[next].step = 0;
        }
    }

    /// Takes back all leaps from a run on.
    fn take_back(&mut self, from: usize) {
        let mut ahead: i64 = 0;
        for run in &mut self.runs[from..] {
            ahead = ahead.saturating_add(run.step.max(0));
            run.step = run.step.min(0);
            run.ahead = run.ahead.saturating_add(ahead);
        }
    }

    /// Seconds, from the first packet that is shown to the end of the last, what is in doubt with them; none when
    /// none is.
    fn span(&self) -> Option<(f64, f64)> {
        let seconds = |ticks: i64, run: &Run| ticks.saturating_sub(run.ahead) as f64 / self.second;
        let spans = self
            .runs
            .iter()
            .filter_map(|run| run.shown.map(|(first, _, end)| (seconds(first, run), seconds(end, run))));
        let latest = self.runs.last().into_iter();
        let doubts = latest.flat_map(|run| {
            let end = |doubt: &Doubt| doubt.shown.saturating_add(doubt.duration);
            self.doubts.iter().map(move |doubt| (seconds(doubt.shown, run), seconds(end(doubt), run)))
        });
        spans.chain(doubts).reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    }

    /// What was found.
    pub(super) fn track(&self) -> Track {
        let mut track = Track { count: self.count, bytes: self.bytes, ..Track::default() };
        for run in &self.runs {
            let moved = |ticks: i64| ticks.saturating_sub(run.ahead);
            let Some((first, last, end)) = run.shown.map(|(a, b, c)| (moved(a), moved(b), moved(c))) else {
                continue;
            };
            track.first = Some(track.first.map_or(first, |known| known.min(first)));
            if track.last.is_none_or(|known| last >= known) {
                (track.last, track.end) = (Some(last), Some(end));
            }
            track.times.extend(run.times.iter().map(|time| moved(*time)));
        }
        track
    }

    /// What puts the time stamps of this stream right; none when they are.
    pub(super) fn corrections(&self, stream: u32) -> Vec<TimestampCorrection> {
        let mut corrections = Vec::new();
        let mut add = |packet: u64, offset: i64, pts_only: bool| {
            if offset != 0 {
                corrections.push(TimestampCorrection { stream, packet, offset, pts_only });
            }
        };
        let mut ahead = 0;
        for run in &self.runs {
            add(run.from, run.ahead.saturating_sub(ahead), false);
            ahead = run.ahead;
        }
        for (number, off) in &self.misplaced {
            add(*number, *off, true);
            add(number + 1, off.saturating_neg(), true);
        }
        corrections
    }
}

/// Ends the walk: what only the whole file tells is decided.
pub(super) fn settle(clocks: &mut BTreeMap<u32, Clock>) {
    for clock in clocks.values_mut() {
        clock.settle();
    }
    // what leaps is no witness of what is in doubt
    take_back(clocks);
    let doubts: Vec<_> =
        clocks.iter_mut().map(|(stream, clock)| (*stream, std::mem::take(&mut clock.doubts))).collect();
    let spans: Vec<_> = spans(clocks).collect();
    for (stream, doubts) in doubts {
        let Some(clock) = clocks.get_mut(&stream) else { continue };
        let all = whole(spans.iter()).filter(|_| spans.iter().any(|(other, ..)| *other != stream));
        let (ahead, second) = (clock.runs.last().map_or(0, |run| run.ahead), clock.second);
        let seconds = |ticks: i64| ticks.saturating_sub(ahead) as f64 / second;
        for doubt in doubts {
            let (shown, decoded) = (seconds(doubt.shown), seconds(doubt.decoded));
            match all {
                Some(all) if is_nowhere(shown, shown - decoded, all, all) => clock.misplace(doubt),
                _ => clock.show(doubt.shown, doubt.duration),
            }
        }
    }
    take_back(clocks);
}

/// Takes back all leaps that lead nowhere.
fn take_back(clocks: &mut BTreeMap<u32, Clock>) {
    while let Some((stream, run)) = leap(clocks) {
        clocks.entry(stream).and_modify(|clock| clock.take_back(run));
    }
}

/// Of the streams that tell how long all lasts: where they start and end, in seconds.
fn spans(clocks: &BTreeMap<u32, Clock>) -> impl Iterator<Item = (u32, f64, f64)> {
    let witnesses = clocks.iter().filter(|(_, clock)| clock.kind != Kind::Aside && clock.second.is_finite());
    witnesses.filter_map(|(stream, clock)| clock.span().map(|(start, end)| (*stream, start, end)))
}

/// From the first start to the last end; none of nothing.
fn whole<'a>(spans: impl Iterator<Item = &'a (u32, f64, f64)>) -> Option<(f64, f64)> {
    spans.map(|(_, start, end)| (*start, *end)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

/// The run of the stream that ends last from which on its leaps lead to where no other stream is.
fn leap(clocks: &BTreeMap<u32, Clock>) -> Option<(u32, usize)> {
    let spans: Vec<_> = spans(clocks).collect();
    let (stream, _, end) = *spans.iter().max_by(|one, other| one.2.total_cmp(&other.2))?;
    let others = whole(spans.iter().filter(|(other, ..)| *other != stream))?;
    let (start, _) = whole(spans.iter())?;
    let clock = clocks.get(&stream)?;
    let seconds = |ticks: i64| ticks as f64 / clock.second;
    let landing = |run: &Run| run.shown.map(|(first, ..)| seconds(first.saturating_sub(run.ahead)));
    let is_far = |run: &Run| run.step > 0 && landing(run).is_some_and(|landing| landing > others.1 + FAR);
    let number = clock.runs.iter().position(is_far)?;
    let leaps = clock.runs[number..].iter().map(|run| seconds(run.step.max(0))).sum::<f64>();
    let rest = (start, others.1.max(end - leaps));
    if clock.kind != Kind::Sound && leaps <= STILL {
        return None;
    }
    is_nowhere(landing(&clock.runs[number])?, leaps, others, rest).then_some((stream, number))
}

/// Whether a leap leads far beyond others, and is longer than all the rest.
fn is_nowhere(landing: f64, leap: f64, others: (f64, f64), rest: (f64, f64)) -> bool {
    landing > others.1 + FAR && leap > rest.1 - rest.0
}
