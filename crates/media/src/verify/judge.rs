//! Compares what is in an output with the plan. Pure: all that is compared was read before.
//!
//! The first disagreement is the answer. Whether the input is to blame is asked first: a stream that ends
//! early because its source does is not the encoder's fault.

use model::ErrorCode;

use super::{
    facts::{SegmentStats, StreamFacts, StreamPackets, TimestampFault},
    listing::{Listing, Segment, StreamRef, Track, TrackContainer, wrong_output},
    streams,
};
use crate::{
    codecs,
    error::{MediaError, nothing_decoded},
    plan::{Coding, Plan, Segmenting},
    source::Source,
};

/// Seconds by which a duration may differ from the one that an index vouches for, and share of it.
const DURATION_TOLERANCE_SECS: f64 = 1.0;
const DURATION_TOLERANCE_SHARE: f64 = 0.02;

/// Seconds by which a stream may be longer than the time stamps of its source, however short that is: a
/// decoder may make more of damaged packets.
const MAX_EXCESS_SECS: f64 = 4.0;

/// Seconds by which the duration of a presentation may differ from the one of its manifest.
const PRESENTATION_TOLERANCE_SECS: f64 = 0.1;

/// Playlists tell milliseconds.
pub(super) const LISTED_PRECISION_SECS: f64 = 0.001;

/// What was read of an output: for each track of the listing, in its order, the facts of its streams.
#[derive(Clone, Copy)]
pub(super) struct InspectedOutput<'a> {
    pub(super) plan: &'a Plan,
    pub(super) source: &'a Source,
    pub(super) listing: &'a Listing,
    pub(super) facts: &'a [Vec<StreamFacts>],
}

impl InspectedOutput<'_> {
    /// Compares everything but the claims of playlists.
    ///
    /// # Errors
    /// The first disagreement.
    pub(super) fn judge(&self) -> Result<(), MediaError> {
        for (_, planned, stream, _) in self.streams() {
            if stream.packets.count == 0 {
                return Err(nothing_decoded(planned.kind()));
            }
        }
        for (name, planned, stream, _) in self.streams() {
            streams::check(self.plan, name, planned, &stream.header)?;
        }
        for (name, planned, stream, _) in self.streams() {
            self.check_duration(name, planned, stream)?;
        }
        for (name, _, stream, _) in self.streams() {
            check_timestamps(name, stream)?;
        }
        self.check_starts()?;
        self.check_keyframes()?;
        for (name, planned, stream, track) in self.streams() {
            if self.plan.segmenting.is_some() {
                self.check_segments(name, planned, stream, track)?;
            }
        }
        self.check_ends()?;
        self.check_target_durations()?;
        self.check_presentation()
    }

    /// The name of each stream, the stream of the plan, what was read of it, and its track.
    fn streams(&self) -> impl Iterator<Item = (&str, StreamRef, &StreamFacts, &Track)> {
        self.listing.tracks.iter().zip(self.facts).flat_map(|(track, facts)| {
            let each = track.planned.iter().zip(facts);
            each.map(move |(planned, stream)| (track.name.as_str(), *planned, stream, track))
        })
    }

    /// Seconds from 0 to the end of the stream that ends last.
    pub(super) fn duration(&self) -> f64 {
        let origin = self.origin();
        let end = |stream: &StreamFacts| stream.packets.start + stream.packets.duration();
        self.streams().map(|(_, _, stream, _)| end(stream) - origin).fold(0.0, f64::max)
    }

    /// The time stamp that stands for 0.
    fn origin(&self) -> f64 {
        match self.streams().next() {
            // no time stamp can be negative there: all are moved by the same to make room
            Some((_, _, first, track))
                if matches!(track.container, TrackContainer::Ts | TrackContainer::Flv) =>
            {
                first.packets.start - first.packets.expected_start()
            }
            _ => 0.0,
        }
    }

    /// A stream is as long as the plan says; where no index vouches for that, it may be shorter, and not far
    /// longer.
    fn check_duration(&self, name: &str, planned: StreamRef, stream: &StreamFacts) -> Result<(), MediaError> {
        let (found, expected) = (stream.packets.duration(), self.expected_duration(planned));
        let kind = planned.kind();
        if self.source.duration_is_indexed {
            let tolerance = f64::max(DURATION_TOLERANCE_SECS, expected * DURATION_TOLERANCE_SHARE)
                + stream.packets.frame_duration();
            if found < expected - tolerance {
                return Err(input_fault(format!(
                    "its index says {expected:.2} s, but only {found:.2} s of {kind} could be decoded"
                )));
            }
            if found > expected + tolerance {
                return Err(wrong_output(format!(
                    "`{name}` has a duration of {found:.2} s instead of {expected:.2} s"
                )));
            }
        }
        if found > expected + f64::max(expected, MAX_EXCESS_SECS) {
            return Err(input_fault(format!(
                "its time stamps say {expected:.2} s, but {found:.2} s of {kind} were decoded"
            )));
        }
        Ok(())
    }

    /// Seconds that a stream should last: a copy as long as what it is a copy of.
    fn expected_duration(&self, planned: StreamRef) -> f64 {
        match planned {
            StreamRef::Video(number) => match self.plan.videos[number].copied() {
                Some(video) => video.end - video.start,
                None => self.plan.duration,
            },
            StreamRef::Audio(number) => {
                let audio = &self.plan.audios[number];
                let source = self.source.audios.iter().find(|source| source.index == audio.index);
                match source {
                    Some(source) if audio.is_copied() => source.end - source.start,
                    _ => self.plan.duration,
                }
            }
        }
    }

    /// Frames by which a stream may begin before or after 0: audio by its priming.
    fn frames_before_zero(&self, planned: StreamRef) -> u32 {
        match planned {
            StreamRef::Video(_) => 1,
            StreamRef::Audio(number) => {
                let audio = &self.plan.audios[number];
                codecs::audio(audio.codec).priming_frames(audio.sample_rate)
            }
        }
    }

    /// All streams begin together, and at 0 where the container can express it; copies when their sources
    /// do.
    fn check_starts(&self) -> Result<(), MediaError> {
        let origin = self.origin();
        for (name, planned, stream, _) in self.streams() {
            let packets = &stream.packets;
            let (start, expected) = (packets.start - origin, packets.expected_start());
            let is_copied = packets.source().is_some();
            let frames = if is_copied { 0 } else { self.frames_before_zero(planned) };
            let tolerance = f64::from(frames) * packets.frame_duration() + packets.tolerance();
            if (start - expected).abs() > tolerance {
                return Err(wrong_output(format!(
                    "`{name}` begins at {start:.3} s instead of {expected:.3} s"
                )));
            }
        }
        Ok(())
    }

    /// Key frames are where they were planned, which is at the same times in every rendition.
    fn check_keyframes(&self) -> Result<(), MediaError> {
        for (name, planned, stream, _) in self.streams() {
            let StreamRef::Video(number) = planned else { continue };
            let mut keys = stream.packets.keyframes.iter().map(|key| key.index).peekable();
            let begins_with_key = keys.peek() == Some(&0);
            let gop = match &self.plan.videos[number].coding {
                Coding::Encoded(encoding) => u64::from(encoding.gop.max(1)),
                Coding::Copied(_) if begins_with_key => continue,
                Coding::Copied(_) => {
                    return Err(wrong_output(format!("`{name}` does not begin with a key frame")));
                }
            };
            let keys: Vec<u64> = keys.collect();
            let ends = keys.iter().skip(1).copied().chain([stream.packets.frames]);
            let is_too_long = keys.iter().zip(ends).any(|(key, next)| next - key > gop);
            let is_elsewhere =
                self.plan.segmenting.is_some() && keys.iter().any(|key| !key.is_multiple_of(gop));
            if !begins_with_key || is_too_long || is_elsewhere {
                return Err(wrong_output(format!("`{name}` does not have a key frame every {gop} frames")));
            }
        }
        Ok(())
    }

    /// Each segment begins with a key frame, is as long as planned, and begins and ends where it is listed.
    fn check_segments(
        &self,
        name: &str,
        planned: StreamRef,
        stream: &StreamFacts,
        track: &Track,
    ) -> Result<(), MediaError> {
        let packets = &stream.packets;
        let is_bad = |segment: &SegmentStats| segment.packets == 0 || !segment.starts_with_key;
        if let Some(bad) = packets.segments.iter().position(is_bad) {
            return Err(wrong_output(format!(
                "segment {} of `{name}` does not begin with a key frame",
                bad + 1
            )));
        }
        let end = packets.start + packets.duration();
        for (index, (listed, found)) in track.segments.iter().zip(&packets.segments).enumerate() {
            let segment = FoundSegment {
                index,
                is_last: index + 1 == track.segments.len(),
                start: found.start,
                end: packets.segments.get(index + 1).map_or(end, |next| next.start),
            };
            self.check_planned_segment(&segment, planned, packets)
                .and_then(|()| self.check_listed_segment(&segment, planned, packets, listed))
                .map_err(|problem| wrong_output(format!("segment {} of `{name}` {problem}", index + 1)))?;
        }
        Ok(())
    }

    /// Segments are as long as planned, and begin where that puts them; a copy is cut at the key frames that
    /// it has.
    fn check_planned_segment(
        &self,
        segment: &FoundSegment,
        planned: StreamRef,
        packets: &StreamPackets,
    ) -> Result<(), String> {
        let tolerance = segment_tolerance(planned, packets);
        let duration = segment.duration();
        if packets.source().is_some() {
            let longest = self.plan.segmenting.map_or(0.0, Segmenting::max_copied_segment_secs);
            if duration > longest + tolerance {
                return Err(format!("has a duration of {duration:.3} s instead of {longest:.3} s"));
            }
            return Ok(());
        }
        let planned_duration =
            self.plan.segmenting.map_or(0.0, |segmenting| segmenting.segment_duration.as_f64());
        let is_too_short = !segment.is_last && duration < planned_duration - tolerance;
        if duration > planned_duration + tolerance || is_too_short {
            return Err(format!("has a duration of {duration:.3} s instead of {planned_duration:.3} s"));
        }
        let (start, expected) = (segment.start - self.origin(), segment.index as f64 * planned_duration);
        let priming = f64::from(self.frames_before_zero(planned)) * packets.frame_duration();
        if (start - expected).abs() > tolerance + priming {
            return Err(format!("begins at {start:.3} s instead of {expected:.3} s"));
        }
        Ok(())
    }

    /// Segments are as long as listed, and begin where they are listed.
    fn check_listed_segment(
        &self,
        segment: &FoundSegment,
        planned: StreamRef,
        packets: &StreamPackets,
        listed: &Segment,
    ) -> Result<(), String> {
        let time_base = packets.source().map_or(0.0, |source| source.time_base);
        let rounding = LISTED_PRECISION_SECS + packets.tolerance() + time_base;
        // the last frame of audio may be longer than what was left of the audio
        let tolerance =
            if segment.is_last { segment_tolerance(planned, packets).max(rounding) } else { rounding };
        let duration = segment.duration();
        if listed.duration.is_some_and(|listed| (listed - duration).abs() > tolerance) {
            return Err(format!("has a duration of {duration:.3} s, but is listed with another duration"));
        }
        let start = segment.start;
        if listed.start.is_some_and(|listed| (listed - start).abs() > LISTED_PRECISION_SECS) {
            return Err(format!("begins at {start:.3} s, but is listed elsewhere"));
        }
        Ok(())
    }

    /// Renditions end within a frame of each other; that they are cut at the same times follows from the
    /// plan, which has one segment duration for all (RFC 8216, 6.2.4; ISO/IEC 23009-1, 5.3.3.2).
    fn check_ends(&self) -> Result<(), MediaError> {
        let mut videos = self.streams().filter(|(_, planned, ..)| matches!(planned, StreamRef::Video(_)));
        let Some((first_name, _, first, _)) = videos.next() else { return Ok(()) };
        let first = &first.packets;
        for (name, _, other, _) in videos {
            let other = &other.packets;
            let (found, expected) = (other.duration(), first.duration());
            let frame_duration = f64::max(first.frame_duration(), other.frame_duration());
            if (found - expected).abs() > frame_duration + first.tolerance() + other.tolerance() {
                return Err(wrong_output(format!(
                    "`{name}` has a duration of {found:.3} s, and `{first_name}` of {expected:.3} s"
                )));
            }
        }
        Ok(())
    }

    /// Renditions have one target duration (RFC 8216, 6.2.4).
    fn check_target_durations(&self) -> Result<(), MediaError> {
        let mut targets = self.listing.tracks.iter().map(|track| track.claims.target_duration);
        let first = targets.next().flatten();
        if targets.any(|target| target != first) {
            return Err(wrong_output("the media playlists do not have the same target duration"));
        }
        Ok(())
    }

    /// The manifest has the duration of the whole.
    fn check_presentation(&self) -> Result<(), MediaError> {
        let Some(listed) = self.listing.duration else { return Ok(()) };
        let found = self.duration();
        if (listed - found).abs() > PRESENTATION_TOLERANCE_SECS {
            return Err(wrong_output(format!("the manifest says {listed:.3} s, but there are {found:.3} s")));
        }
        Ok(())
    }
}

/// A segment as its packets are, in seconds of their time stamps.
struct FoundSegment {
    index: usize,
    is_last: bool,
    start: f64,
    end: f64,
}

impl FoundSegment {
    fn duration(&self) -> f64 {
        self.end - self.start
    }
}

/// Seconds by which a segment may be longer or shorter than planned.
fn segment_tolerance(planned: StreamRef, packets: &StreamPackets) -> f64 {
    LISTED_PRECISION_SECS
        + match planned {
            StreamRef::Video(_) if packets.source().is_none() => packets.tolerance(),
            // the duration of the last frame of a copy: sources often do not say it
            StreamRef::Video(_) => packets.frame_duration(),
            // audio is cut between its own frames
            StreamRef::Audio(_) => packets.frame_duration(),
        }
}

fn input_fault(detail: String) -> MediaError {
    MediaError::new(ErrorCode::InvalidInput, detail)
}

/// Time stamps grow by one frame each, with none missing; those of a copy are the source's.
fn check_timestamps(name: &str, stream: &StreamFacts) -> Result<(), MediaError> {
    let packets = &stream.packets;
    if let Some(fault) = packets.fault {
        return Err(wrong_output(match fault {
            TimestampFault::OffGrid(at) => format!("`{name}` has a frame at the wrong time, {at:.3} s"),
            TimestampFault::Duplicate(at) => format!("`{name}` has two frames at {at:.3} s"),
            TimestampFault::OutOfOrder(at) => format!("`{name}` is not in decoding order at {at:.3} s"),
            TimestampFault::Moved(at) => format!("`{name}` does not have the source's frame at {at:.3} s"),
        }));
    }
    if let Some(source) = packets.source() {
        let (found, expected) = (packets.count, source.times.len() as u64);
        if found != expected {
            return Err(wrong_output(format!("`{name}` has {found} of the source's {expected} frames")));
        }
    }
    match packets.gap() {
        Some(at) => Err(wrong_output(format!("`{name}` has a gap at {at:.3} s"))),
        None => Ok(()),
    }
}
