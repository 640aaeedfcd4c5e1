//! Time stamps that jump, in formats where they may (`AVFMT_TS_DISCONT`): FFmpeg goes on where they were,
//! with all streams of a program, whichever stream shows the jump first. This does the same, so that
//! durations are those of what FFmpeg will decode.

use std::collections::BTreeMap;

use super::{clock::DemuxedPacket, described::FfprobeOutput};

/// Seconds forwards, and back, from which FFmpeg takes a step of time stamps for a new clock
/// (`-dts_delta_threshold`, and its rule for steps back).
const FORWARD_JUMP_SECS: f64 = 10.0;
const BACKWARD_JUMP_SECS: f64 = 0.1;

/// Where the streams of a file are.
#[derive(Clone, Debug, Default)]
pub(super) struct ResetTracker {
    streams: BTreeMap<u32, StreamPosition>,
    /// By program: each has a clock of its own.
    programs: BTreeMap<usize, ProgramClock>,
}

/// One stream. Times are in seconds of the first clock.
#[derive(Clone, Copy, Debug)]
struct StreamPosition {
    /// Units of its time base in a second.
    timescale: f64,
    program: usize,
    /// Video and audio show jumps; other streams follow them.
    shows_jumps: bool,
    /// The decoding time of the latest packet, and the one expected of the next.
    latest: Option<(f64, f64)>,
}

/// The clock of a program.
#[derive(Clone, Copy, Debug, Default)]
struct ProgramClock {
    /// Seconds that time stamps are ahead of the first clock.
    offset: f64,
    /// The decoding time of the latest packet of any stream, in seconds of the first clock.
    latest: Option<f64>,
}

impl ResetTracker {
    pub(super) fn new(described: &FfprobeOutput) -> Self {
        let program = |index: u32| described.programs.iter().position(|streams| streams.contains(&index));
        let streams = described.streams.iter().filter_map(|stream| {
            let position = StreamPosition {
                timescale: 1.0 / stream.time_base?.as_f64(),
                program: program(stream.index).unwrap_or(usize::MAX),
                shows_jumps: matches!(stream.kind.as_str(), "video" | "audio"),
                latest: None,
            };
            Some((stream.index, position))
        });
        Self { streams: streams.collect(), programs: BTreeMap::new() }
    }

    /// The packet with its time stamps by the first clock.
    pub(super) fn adjust(&mut self, stream: u32, packet: DemuxedPacket) -> DemuxedPacket {
        let Some(position) = self.streams.get_mut(&stream) else { return packet };
        let clock = self.programs.entry(position.program).or_default();
        if let Some(dts) = packet.dts
            && position.shows_jumps
        {
            let decoded_at = dts as f64 / position.timescale - clock.offset;
            let jump = jump(decoded_at, position, clock);
            clock.offset += jump;
            let decoded_at = decoded_at - jump;
            clock.latest = Some(decoded_at);
            // a packet as long as a jump has none that can be believed
            let duration = packet.duration as f64 / position.timescale;
            let duration = if duration > FORWARD_JUMP_SECS { 0.0 } else { duration };
            position.latest = Some((decoded_at, decoded_at + duration));
        }
        let offset = (clock.offset * position.timescale).round() as i64;
        let adjusted = |time: i64| time.saturating_sub(offset);
        DemuxedPacket { pts: packet.pts.map(adjusted), dts: packet.dts.map(adjusted), ..packet }
    }
}

/// Seconds by which the clock has jumped before a packet; 0 where it has not.
fn jump(decoded_at: f64, position: &StreamPosition, clock: &ProgramClock) -> f64 {
    match (position.latest, clock.latest) {
        (Some((latest, expected)), _) => {
            let step = decoded_at - expected;
            let is_back = decoded_at + BACKWARD_JUMP_SECS < latest;
            if is_back || step.abs() > FORWARD_JUMP_SECS { step } else { 0.0 }
        }
        // the first packet of a stream is compared with the other streams
        (None, Some(latest)) => {
            let step = decoded_at - latest;
            if step.abs() > FORWARD_JUMP_SECS { step } else { 0.0 }
        }
        (None, None) => 0.0,
    }
}
