//! Holds what came out to the plan. Pure: everything that is judged was read before.
//!
//! The first disagreement is the answer. Whether the input is to blame is asked first: what ends
//! early because its source does is not the encoder's fault.

use model::ErrorCode;

use super::{
    facts::{Fault, StreamFacts},
    listing::{Listing, Planned, Track, Wrapping, wrong},
    streams,
};
use crate::{
    codecs,
    error::{MediaError, nothing_decoded},
    plan::{Coding, Plan, Segmenting},
    source::Source,
};

/// Seconds by which more may come out than packets say: what is harmed may be read in other ways.
const FAR: f64 = 4.0;

/// Milliseconds are all that playlists tell.
pub(super) const LISTED: f64 = 0.001;

/// An output as it was found: each track with its streams, in the order of the listing.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) plan: &'a Plan,
    pub(super) source: &'a Source,
    pub(super) listing: &'a Listing,
    pub(super) facts: &'a [Vec<StreamFacts>],
}

impl Found<'_> {
    /// Agrees, or says what is wrong.
    pub(super) fn judge(&self) -> Result<(), MediaError> {
        if let Some((_, planned, ..)) = self.streams().find(|(_, _, stream, _)| stream.packets.count == 0) {
            return Err(nothing_decoded(planned.what()));
        }
        for (name, planned, stream, _) in self.streams() {
            streams::check(self.plan, name, planned, &stream.header)?;
        }
        for (name, planned, stream, _) in self.streams() {
            self.check_length(name, planned, stream)?;
        }
        for (name, _, stream, _) in self.streams() {
            check_clock(name, stream)?;
        }
        self.check_starts()?;
        self.check_keyframes()?;
        for (name, planned, stream, track) in self.streams() {
            if self.plan.segmenting.is_some() {
                self.check_segments(name, planned, stream, track)?;
            }
        }
        self.check_ends()?;
        self.check_targets()?;
        self.check_presentation()
    }

    fn streams(&self) -> impl Iterator<Item = (&str, Planned, &StreamFacts, &Track)> {
        self.listing.tracks.iter().zip(self.facts).flat_map(|(track, facts)| {
            let each = track.planned.iter().zip(facts);
            each.map(move |(planned, stream)| (track.name.as_str(), *planned, stream, track))
        })
    }

    /// Seconds that the longest stream is shown or heard.
    pub(super) fn duration(&self) -> f64 {
        let origin = self.origin();
        let end = |stream: &StreamFacts| stream.packets.start + stream.packets.seconds();
        self.streams().map(|(_, _, stream, _)| end(stream) - origin).fold(0.0, f64::max)
    }

    /// The time stamp that stands for 0.
    fn origin(&self) -> f64 {
        match self.streams().next() {
            // No time is negative there: all of them are moved alike to make room.
            Some((_, _, first, track)) if matches!(track.wrapping, Wrapping::Ts | Wrapping::Flv) => {
                first.packets.start - first.packets.due()
            }
            _ => 0.0,
        }
    }

    /// A stream ends where the plan says; early where the source's duration was a mere hint.
    fn check_length(&self, name: &str, planned: Planned, stream: &StreamFacts) -> Result<(), MediaError> {
        let (got, wanted) = (stream.packets.seconds(), self.lasts(planned));
        let what = planned.what();
        let allowed = f64::max(1.0, wanted * 0.02) + stream.packets.frame();
        let indexed = self.source.duration_is_indexed;
        if indexed && got < wanted - allowed {
            let detail =
                format!("its index says {wanted:.2} s, but only {got:.2} s of {what} could be decoded");
            return Err(blame_input(detail));
        }
        if indexed && got > wanted + allowed {
            return Err(wrong(format!("`{name}` lasts {got:.2} s instead of {wanted:.2} s")));
        }
        if got > wanted + f64::max(wanted, FAR) {
            let detail = format!("its packets say {wanted:.2} s, and {got:.2} s of {what} come of them");
            return Err(blame_input(detail));
        }
        Ok(())
    }

    /// Seconds that a stream should last; a copy as long as what it is a copy of.
    fn lasts(&self, planned: Planned) -> f64 {
        match planned {
            Planned::Video(number) => match self.plan.videos[number].copied() {
                Some(picture) => picture.end - picture.start,
                None => self.plan.duration,
            },
            Planned::Audio(number) => {
                let audio = &self.plan.audios[number];
                let mut sounds = self.source.audios.iter().filter(|_| audio.is_copied());
                let copied = sounds.find(|sound| sound.index == audio.index);
                copied.map_or(self.plan.duration, |sound| sound.end - sound.start)
            }
        }
    }

    /// Frames by which a stream may begin beside 0.
    fn frames_before_zero(&self, planned: Planned) -> u32 {
        match planned {
            Planned::Video(_) => 1,
            Planned::Audio(number) => {
                let audio = &self.plan.audios[number];
                codecs::audio(audio.codec).priming_frames(audio.sample_rate)
            }
        }
    }

    /// Everything begins together, and at 0 where the format can say so; copies when their originals do.
    fn check_starts(&self) -> Result<(), MediaError> {
        let origin = self.origin();
        for (name, planned, stream, _) in self.streams() {
            let packets = &stream.packets;
            let off = (packets.start - origin - packets.due()).abs();
            let encoded = packets.original().is_none();
            let frames = if encoded { self.frames_before_zero(planned) } else { 0 };
            if off > f64::from(frames) * packets.frame() + packets.tolerance() {
                let (start, due) = (packets.start - origin, packets.due());
                return Err(wrong(format!("`{name}` begins at {start:.3} s instead of {due:.3} s")));
            }
        }
        Ok(())
    }

    /// Keyframes are where they were planned, which is at the same times in every rendition.
    fn check_keyframes(&self) -> Result<(), MediaError> {
        for (name, planned, stream, _) in self.streams() {
            let Planned::Video(number) = planned else { continue };
            let gop = match &self.plan.videos[number].coding {
                Coding::Encoded(encoding) => u64::from(encoding.gop.max(1)),
                Coding::Copied(_) if stream.packets.keyframes.first().is_some_and(|key| key.index == 0) => {
                    continue;
                }
                Coding::Copied(_) => return Err(wrong(format!("`{name}` does not begin with a keyframe"))),
            };
            let keys: Vec<u64> = stream.packets.keyframes.iter().map(|key| key.index).collect();
            let ends = keys.iter().skip(1).copied().chain([stream.packets.frames]);
            let far = keys.first() != Some(&0) || keys.iter().zip(ends).any(|(key, next)| next - key > gop);
            let near = self.plan.segmenting.is_some() && keys.iter().any(|key| !key.is_multiple_of(gop));
            if far || near {
                return Err(wrong(format!("`{name}` does not have a keyframe every {gop} frames")));
            }
        }
        Ok(())
    }

    /// Each segment begins with a keyframe, lasts as long as planned and as listed, and what a player
    /// is told of the track is true.
    fn check_segments(
        &self,
        name: &str,
        planned: Planned,
        stream: &StreamFacts,
        track: &Track,
    ) -> Result<(), MediaError> {
        let packets = &stream.packets;
        let end = packets.start + packets.seconds();
        let planned_seconds = self.plan.segmenting.map_or(0.0, |segmenting| segmenting.seconds.as_f64());
        let longest = self.plan.segmenting.map_or(0.0, Segmenting::longest_copied);
        let slack = match planned {
            Planned::Video(_) if packets.original().is_none() => packets.tolerance() + LISTED,
            // How long the last frame of a copy is, sources often do not say.
            Planned::Video(_) => packets.frame() + LISTED,
            // Sound is cut between its own frames.
            Planned::Audio(_) => packets.frame() + LISTED,
        };
        let before = f64::from(self.frames_before_zero(planned)) * packets.frame();
        let last = track.segments.len() - 1;
        if let Some(bad) = packets.held.iter().position(|held| held.packets == 0 || !held.begins_with_key) {
            return Err(wrong(format!("segment {} of `{name}` does not begin with a keyframe", bad + 1)));
        }
        for (index, (segment, held)) in track.segments.iter().zip(&packets.held).enumerate() {
            let at = || format!("segment {} of `{name}`", index + 1);
            let next = packets.held.get(index + 1).map_or(end, |next| next.start);
            let seconds = next - held.start;
            // a copy is cut at the key frames that it has
            let copied = packets.original().is_some();
            let most = if copied { longest } else { planned_seconds };
            let too_short = !copied && index < last && seconds < planned_seconds - slack;
            if seconds > most + slack || too_short {
                return Err(wrong(format!("{} lasts {seconds:.3} s instead of {most:.3} s", at())));
            }
            let (place, due) = (held.start - self.origin(), index as f64 * planned_seconds);
            if !copied && (place - due).abs() > slack + before {
                return Err(wrong(format!("{} begins at {place:.3} s instead of {due:.3} s", at())));
            }
            // The last frame of a sound may be longer than what was left of the sound.
            let rounded = packets.tolerance() + packets.original().map_or(0.0, |original| original.time_base);
            let exact = if index == last { slack.max(LISTED + rounded) } else { LISTED + rounded };
            if segment.seconds.is_some_and(|listed| (listed - seconds).abs() > exact) {
                return Err(wrong(format!(
                    "{} lasts {seconds:.3} s, but is listed with another length",
                    at()
                )));
            }
            if segment.start.is_some_and(|listed| (listed - held.start).abs() > LISTED) {
                return Err(wrong(format!(
                    "{} begins at {:.3} s, but is listed elsewhere",
                    at(),
                    held.start
                )));
            }
        }
        Ok(())
    }

    /// Renditions end within a frame of each other; that they are cut at the same times follows from the plan, which
    /// has one length of segments for all (RFC 8216, 6.2.4; ISO/IEC 23009-1, 5.3.3.2).
    fn check_ends(&self) -> Result<(), MediaError> {
        let mut pictures = self.streams().filter(|(_, planned, ..)| matches!(planned, Planned::Video(_)));
        let Some((first, _, one, _)) = pictures.next() else { return Ok(()) };
        for (name, _, other, _) in pictures {
            let (one, other) = (&one.packets, &other.packets);
            let (ends, wanted) = (other.seconds(), one.seconds());
            let rounded = one.tolerance() + other.tolerance();
            if (ends - wanted).abs() > f64::max(one.frame(), other.frame()) + rounded {
                return Err(wrong(format!("`{name}` lasts {ends:.3} s, and `{first}` {wanted:.3} s")));
            }
        }
        Ok(())
    }

    /// Renditions have one target duration (RFC 8216, 6.2.4).
    fn check_targets(&self) -> Result<(), MediaError> {
        let mut each = self.listing.tracks.iter().map(|track| track.claims.target);
        let first = each.next().flatten();
        match each.find(|target| *target != first) {
            Some(_) => Err(wrong("the media playlists do not have the same target duration")),
            None => Ok(()),
        }
    }

    fn check_presentation(&self) -> Result<(), MediaError> {
        let (listed, got) = (self.listing.seconds, self.duration());
        match listed {
            Some(listed) if (listed - got).abs() > 0.1 => {
                Err(wrong(format!("the manifest says {listed:.3} s, but there are {got:.3} s")))
            }
            _ => Ok(()),
        }
    }
}

fn blame_input(detail: String) -> MediaError {
    MediaError::new(ErrorCode::InvalidInput, detail)
}

/// Time stamps grow by one frame each, with none missing; or they are those of the source.
fn check_clock(name: &str, stream: &StreamFacts) -> Result<(), MediaError> {
    match stream.packets.fault {
        Some(Fault::OffGrid(at)) => {
            return Err(wrong(format!("`{name}` has a frame at the wrong time, {at:.3} s")));
        }
        Some(Fault::Twice(at)) => return Err(wrong(format!("`{name}` has two frames at {at:.3} s"))),
        Some(Fault::Disorder(at)) => {
            return Err(wrong(format!("`{name}` is not in decoding order at {at:.3} s")));
        }
        Some(Fault::Moved(at)) => {
            return Err(wrong(format!("`{name}` does not have the source's frame at {at:.3} s")));
        }
        None => {}
    }
    let copied = stream.packets.original().map(|original| original.times.len() as u64);
    if let Some(wanted) = copied.filter(|wanted| *wanted != stream.packets.count) {
        return Err(wrong(format!("`{name}` has {} of the source's {wanted} frames", stream.packets.count)));
    }
    match stream.packets.gap() {
        Some(at) => Err(wrong(format!("`{name}` has a gap at {at:.3} s"))),
        None => Ok(()),
    }
}
