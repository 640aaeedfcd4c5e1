//! The time stamps of each stream, as all its packets tell them: which of them others contradict, and what
//! corrects them. All times are in units of the stream's time base.
//!
//! A still image or a gap is followed by time stamps that go on from it, and is left as it is. Wrong are
//! time stamps that jump away and come back, those of frames shown long after all that is decoded near
//! them, and those that jump to where no other stream has ever been.

use std::collections::BTreeMap;

use crate::source::TimestampCorrection;

/// Seconds by which a time stamp has to be off to be in doubt.
const JUMP_TOLERANCE_SECS: f64 = 5.0;
/// Seconds for which a video may stand still when all else has ended.
const MAX_STILL_SECS: f64 = 60.0;
/// A frame is decoded before it is shown by at most so many others (`max_num_reorder_frames`; ITU-T H.264,
/// A.3.1).
const MAX_REORDERED_FRAMES: u64 = 16;
/// Jumps and misplaced frames of one stream that are kept; the rest of a stream with more of them is
/// believed.
const MAX_RUNS: usize = 200;
/// Time stamps of one stream that are kept to measure its frame rate.
const MAX_TIMES: usize = 20_000;
/// Frames of one stream whose time stamps are corrected one by one; where there are more, all of them are wrong.
const MAX_MISPLACED: usize = model::limits::MAX_MISPLACED_FRAMES;

/// What a packet says, in units of its stream's time base, and in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DemuxedPacket {
    pub pts: Option<i64>,
    pub dts: Option<i64>,
    pub duration: i64,
    pub bytes: u64,
}

/// All packets of one stream together, after corrections.
#[derive(Clone, Debug, Default)]
pub(super) struct TrackStats {
    pub count: u64,
    pub bytes: u64,
    /// The earliest presentation time.
    pub first: Option<i64>,
    /// The end of the packet that is shown last, as far as it has a duration.
    pub end: Option<i64>,
    /// The latest presentation time.
    pub last: Option<i64>,
    /// The presentation times of the first packets, in decoding order.
    pub times: Vec<i64>,
}

/// What the time stamps of a stream are worth for those of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Role {
    /// FFmpeg counts its samples, whatever durations its packets have.
    Audio,
    /// Cover art and subtitles: no witness of the duration of all else.
    Ignored,
    /// Video and data.
    #[default]
    Other,
}

/// Packets whose time stamps go on from each other.
#[derive(Clone, Debug)]
struct TimestampRun {
    /// The number of its first packet.
    first_packet: u64,
    /// How many it has.
    count: u64,
    /// By how much it begins later than the run before led to expect.
    jump: i64,
    /// By how much its time stamps are found to be ahead of the true ones.
    ahead: i64,
    /// First and last presentation time, and the end of the latter's packet.
    presentation: Option<(i64, i64, i64)>,
    times: Vec<i64>,
}

/// A frame that is shown long after it is decoded, which later packets may explain.
#[derive(Clone, Copy, Debug)]
struct LateFrame {
    number: u64,
    pts: i64,
    dts: i64,
    duration: i64,
}

/// What is known of the time stamps of one stream while its packets are read.
#[derive(Clone, Debug, Default)]
pub(super) struct StreamClock {
    /// Units of the time base in a second.
    timescale: f64,
    role: Role,
    /// Packets so far, with those that do not count.
    packets: u64,
    count: u64,
    bytes: u64,
    runs: Vec<TimestampRun>,
    times: usize,
    late_frames: Vec<LateFrame>,
    /// The numbers of frames that are not shown when they say, and by how much they are off.
    misplaced: Vec<(u64, i64)>,
    /// The decoding time that is expected of the next packet.
    next_dts: Option<i64>,
}

impl StreamClock {
    pub(super) fn new(timescale: f64, role: Role) -> Self {
        Self { timescale, role, ..Self::default() }
    }

    /// Counts a packet that is decoded and not shown.
    pub(super) fn skip_packet(&mut self) {
        self.packets += 1;
    }

    /// Takes in the next packet.
    pub(super) fn add(&mut self, packet: DemuxedPacket) {
        let number = self.packets;
        self.packets += 1;
        self.count += 1;
        self.bytes += packet.bytes;
        let Some(pts) = packet.pts.or(packet.dts) else { return };
        let tolerance = self.units(JUMP_TOLERANCE_SECS);
        let duration = match self.role {
            Role::Audio if packet.duration > tolerance => 0,
            _ => packet.duration,
        };
        self.assign_run(number, packet.dts);
        if let Some(dts) = packet.dts {
            self.next_dts = Some(dts.saturating_add(duration.min(tolerance)));
            self.decide_late_frames(number, dts);
        }
        let dts = packet.dts.unwrap_or(pts);
        let frame = LateFrame { number, pts, dts, duration };
        let delay = pts.saturating_sub(dts);
        let max_delay = tolerance.max(duration.saturating_mul(MAX_REORDERED_FRAMES as i64));
        let has_room = self.misplaced.len() < MAX_RUNS;
        if has_room && delay > max_delay {
            self.late_frames.push(frame);
        } else if has_room && delay < -tolerance {
            self.misplace(frame);
        } else {
            self.show(pts, duration);
        }
    }

    fn units(&self, seconds: f64) -> i64 {
        (seconds * self.timescale) as i64
    }

    /// Counts a packet to the latest run, or to one that a jump of its decoding time begins.
    fn assign_run(&mut self, number: u64, dts: Option<i64>) {
        let jump = match (dts, self.next_dts) {
            (Some(dts), Some(expected)) => dts.saturating_sub(expected),
            _ => 0,
        };
        let is_far = jump.saturating_abs() > self.units(JUMP_TOLERANCE_SECS);
        if self.runs.is_empty() || is_far && self.runs.len() < MAX_RUNS {
            self.runs.push(TimestampRun {
                first_packet: number,
                count: 0,
                jump,
                ahead: 0,
                presentation: None,
                times: Vec::new(),
            });
        }
        if let Some(run) = self.runs.last_mut() {
            run.count += 1;
        }
    }

    /// A late frame is right when decoding comes near its presentation time, and wrong when more frames are
    /// decoded before that than reordering allows.
    fn decide_late_frames(&mut self, number: u64, dts: i64) {
        let tolerance = self.units(JUMP_TOLERANCE_SECS);
        for frame in std::mem::take(&mut self.late_frames) {
            if frame.pts.saturating_sub(dts) <= tolerance {
                self.show(frame.pts, frame.duration);
            } else if number - frame.number > MAX_REORDERED_FRAMES {
                self.misplace(frame);
            } else {
                self.late_frames.push(frame);
            }
        }
    }

    /// Shows a frame when it is decoded, instead of when it says.
    fn misplace(&mut self, frame: LateFrame) {
        if self.misplaced.len() < MAX_MISPLACED {
            self.misplaced.push((frame.number, frame.pts.saturating_sub(frame.dts)));
        }
        self.show(frame.dts, frame.duration);
    }

    fn show(&mut self, pts: i64, duration: i64) {
        let Some(run) = self.runs.last_mut() else { return };
        let end = pts.saturating_add(duration);
        run.presentation = Some(match run.presentation {
            None => (pts, pts, end),
            Some((first, last, last_end)) if last > pts => (first.min(pts), last, last_end),
            Some((first, ..)) => (first.min(pts), pts, end),
        });
        if self.times < MAX_TIMES {
            self.times += 1;
            run.times.push(pts);
        }
    }

    /// Finds runs that begin with a jump which the next one takes back, and a short first run that all
    /// others are far behind.
    fn settle_jumps(&mut self) {
        let tolerance = self.units(JUMP_TOLERANCE_SECS);
        for next in 1..self.runs.len() {
            let (run, after) = (&self.runs[next - 1], &self.runs[next]);
            let is_taken_back =
                run.jump != 0 && run.jump.saturating_add(after.jump).saturating_abs() <= tolerance;
            let is_short_first = next == 1 && run.count <= MAX_REORDERED_FRAMES && run.count < after.count;
            let ahead = if is_taken_back {
                run.jump
            } else if is_short_first && after.jump < -tolerance {
                after.jump.saturating_neg()
            } else {
                continue;
            };
            self.runs[next - 1].ahead = ahead;
            self.runs[next - 1].jump = 0;
            self.runs[next].jump = 0;
        }
    }

    /// Undoes all jumps forwards from a run on.
    fn undo_jumps(&mut self, from: usize) {
        let mut ahead: i64 = 0;
        for run in &mut self.runs[from..] {
            ahead = ahead.saturating_add(run.jump.max(0));
            run.jump = run.jump.min(0);
            run.ahead = run.ahead.saturating_add(ahead);
        }
    }

    /// Seconds from the first frame that is shown to the end of the last, late frames included; none when
    /// none is.
    fn span(&self) -> Option<(f64, f64)> {
        let seconds = |time: i64, run: &TimestampRun| time.saturating_sub(run.ahead) as f64 / self.timescale;
        let runs = self.runs.iter().filter_map(|run| {
            let (first, _, end) = run.presentation?;
            Some((seconds(first, run), seconds(end, run)))
        });
        let late_frames = self.runs.last().into_iter().flat_map(|run| {
            self.late_frames.iter().map(move |frame| {
                (seconds(frame.pts, run), seconds(frame.pts.saturating_add(frame.duration), run))
            })
        });
        runs.chain(late_frames).reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    }

    /// What was found of the stream.
    pub(super) fn stats(&self) -> TrackStats {
        let mut stats = TrackStats { count: self.count, bytes: self.bytes, ..TrackStats::default() };
        for run in &self.runs {
            let Some((first, last, end)) = run.presentation else { continue };
            let corrected = |time: i64| time.saturating_sub(run.ahead);
            let (first, last, end) = (corrected(first), corrected(last), corrected(end));
            stats.first = Some(stats.first.map_or(first, |known| known.min(first)));
            if stats.last.is_none_or(|known| last >= known) {
                (stats.last, stats.end) = (Some(last), Some(end));
            }
            stats.times.extend(run.times.iter().map(|time| corrected(*time)));
        }
        stats
    }

    /// What corrects the time stamps of this stream; empty when they are right. A correction holds until
    /// the next one.
    pub(super) fn corrections(&self, stream: u32) -> Vec<TimestampCorrection> {
        let mut corrections = Vec::new();
        let mut add = |packet: u64, offset: i64, pts_only: bool| {
            if offset != 0 {
                corrections.push(TimestampCorrection { stream, packet, offset, pts_only });
            }
        };
        let mut ahead = 0;
        for run in &self.runs {
            add(run.first_packet, run.ahead.saturating_sub(ahead), false);
            ahead = run.ahead;
        }
        for (number, offset) in &self.misplaced {
            // for this frame alone: the packet after it takes the offset back
            add(*number, *offset, true);
            add(number + 1, offset.saturating_neg(), true);
        }
        corrections
    }
}

/// Decides, after the last packet, what only the whole file tells.
pub(super) fn settle(clocks: &mut BTreeMap<u32, StreamClock>) {
    for clock in clocks.values_mut() {
        clock.settle_jumps();
    }
    // before late frames are judged: a stream that jumps is no witness for them
    undo_stray_jumps(clocks);
    let late_frames: Vec<_> =
        clocks.iter_mut().map(|(stream, clock)| (*stream, std::mem::take(&mut clock.late_frames))).collect();
    let spans = spans(clocks);
    for (stream, frames) in late_frames {
        let Some(clock) = clocks.get_mut(&stream) else { continue };
        let has_witness = spans.iter().any(|span| span.stream != stream);
        let whole = if has_witness { joint_span(spans.iter()) } else { None };
        let (ahead, timescale) = (clock.runs.last().map_or(0, |run| run.ahead), clock.timescale);
        let seconds = |time: i64| time.saturating_sub(ahead) as f64 / timescale;
        for frame in frames {
            let (shown_at, decoded_at) = (seconds(frame.pts), seconds(frame.dts));
            match whole {
                Some(whole) if is_stray(shown_at, shown_at - decoded_at, whole, whole) => {
                    clock.misplace(frame);
                }
                _ => clock.show(frame.pts, frame.duration),
            }
        }
    }
    undo_stray_jumps(clocks);
}

/// Undoes all jumps to where no other stream is.
fn undo_stray_jumps(clocks: &mut BTreeMap<u32, StreamClock>) {
    while let Some((stream, run)) = find_stray_jump(clocks) {
        clocks.entry(stream).and_modify(|clock| clock.undo_jumps(run));
    }
}

/// When a stream is shown, in seconds.
struct StreamSpan {
    stream: u32,
    start: f64,
    end: f64,
}

/// Of the streams that tell the duration of it all.
fn spans(clocks: &BTreeMap<u32, StreamClock>) -> Vec<StreamSpan> {
    let witnesses =
        clocks.iter().filter(|(_, clock)| clock.role != Role::Ignored && clock.timescale.is_finite());
    witnesses
        .filter_map(|(stream, clock)| {
            let (start, end) = clock.span()?;
            Some(StreamSpan { stream: *stream, start, end })
        })
        .collect()
}

/// From the first start to the last end; none of no streams.
fn joint_span<'a>(spans: impl Iterator<Item = &'a StreamSpan>) -> Option<(f64, f64)> {
    spans.map(|span| (span.start, span.end)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

/// In the stream that ends last: the run with which it jumps to where no other stream is.
fn find_stray_jump(clocks: &BTreeMap<u32, StreamClock>) -> Option<(u32, usize)> {
    let spans = spans(clocks);
    let last = spans.iter().max_by(|one, other| one.end.total_cmp(&other.end))?;
    let (_, others_end) = joint_span(spans.iter().filter(|span| span.stream != last.stream))?;
    let (start, _) = joint_span(spans.iter())?;
    let clock = clocks.get(&last.stream)?;
    let seconds = |units: i64| units as f64 / clock.timescale;
    let landing = |run: &TimestampRun| {
        let (first, ..) = run.presentation?;
        Some(seconds(first.saturating_sub(run.ahead)))
    };
    let is_beyond_others = |run: &TimestampRun| {
        run.jump > 0 && landing(run).is_some_and(|landing| landing > others_end + JUMP_TOLERANCE_SECS)
    };
    let number = clock.runs.iter().position(is_beyond_others)?;
    let jumps = clock.runs[number..].iter().map(|run| seconds(run.jump.max(0))).sum::<f64>();
    if clock.role != Role::Audio && jumps <= MAX_STILL_SECS {
        return None;
    }
    let others = (start, others_end);
    let without_jumps = (start, others_end.max(last.end - jumps));
    is_stray(landing(&clock.runs[number])?, jumps, others, without_jumps).then_some((last.stream, number))
}

/// Whether a jump leads far beyond others, and is longer than all the rest.
fn is_stray(landing: f64, jump: f64, others: (f64, f64), rest: (f64, f64)) -> bool {
    landing > others.1 + JUMP_TOLERANCE_SECS && jump > rest.1 - rest.0
}
