//! Clocks that begin anew, in formats where they may: FFmpeg goes on where the old one was, with all streams
//! of the file, whichever shows it first.

use std::collections::BTreeMap;

use super::{described::Described, packets::Packet};

/// Seconds forwards, and back, from which FFmpeg takes a step of a clock for a new clock.
const STEP: f64 = 10.0;
const STEP_BACK: f64 = 0.1;

/// Where streams are.
#[derive(Clone, Debug, Default)]
pub(super) struct Follow {
    streams: BTreeMap<u32, Place>,
    /// Programmes have clocks of their own; FFmpeg reads those of one alone.
    clocks: BTreeMap<usize, Ahead>,
}

/// One stream; seconds of the first clock.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Ticks of a second.
    second: f64,
    programme: usize,
    /// Picture and sound show steps; others go along.
    shows: bool,
    /// When the latest packet is decoded, and when the next one is expected to be.
    latest: Option<(f64, f64)>,
}

/// A programme's clock.
#[derive(Clone, Copy, Debug, Default)]
struct Ahead {
    /// Seconds that it is ahead of the first one.
    by: f64,
    /// When the latest packet of any stream is decoded, by the first clock.
    latest: Option<f64>,
}

impl Follow {
    pub(super) fn new(described: &Described) -> Self {
        let programme = |index: u32| described.programs.iter().position(|streams| streams.contains(&index));
        let streams = described.streams.iter().filter_map(|stream| {
            let place = Place {
                second: 1.0 / stream.time_base?.as_f64(),
                programme: programme(stream.index).unwrap_or(usize::MAX),
                shows: matches!(stream.kind.as_str(), "video" | "audio"),
                latest: None,
            };
            Some((stream.index, place))
        });
        Self { streams: streams.collect(), clocks: BTreeMap::new() }
    }

    /// A packet as it is by the first clock.
    pub(super) fn moved(&mut self, stream: u32, packet: Packet) -> Packet {
        let Some(place) = self.streams.get_mut(&stream) else { return packet };
        let clock = self.clocks.entry(place.programme).or_default();
        if let Some(ticks) = packet.dts.filter(|_| place.shows) {
            let decoded = ticks as f64 / place.second - clock.by;
            let step = place.latest.map(|(_, next)| decoded - next);
            let first = clock.latest.filter(|_| step.is_none()).map(|latest| decoded - latest);
            let is_back = place.latest.is_some_and(|(latest, _)| decoded + STEP_BACK < latest);
            let step = step.or(first).filter(|step| is_back || step.abs() > STEP).unwrap_or(0.0);
            clock.by += step;
            let decoded = decoded - step;
            clock.latest = Some(decoded);
            let lasts = packet.duration as f64 / place.second;
            place.latest = Some((decoded, decoded + if lasts > STEP { 0.0 } else { lasts }));
        }
        let ahead = (clock.by * place.second).round() as i64;
        let moved = |ticks: i64| ticks.saturating_sub(ahead);
        Packet { pts: packet.pts.map(moved), dts: packet.dts.map(moved), ..packet }
    }
}
