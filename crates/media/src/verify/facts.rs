//! What is in a track, packet by packet. Nothing is kept of a packet but its place on the clock: an
//! hour of video takes some kilobytes.

use std::sync::Arc;

use crate::output::CopiedStream;

/// What the header of a stream says. Texts are ffprobe's; empty when absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Header {
    /// `video`, `audio`, …
    pub kind: String,
    /// Such as `h264`.
    pub codec: String,
    /// In ISO files, such as `avc1`.
    pub sample_entry: String,
    /// Such as `High`.
    pub profile: String,
    /// As the codec counts: 40 is level 4.0 of H.264; negative when the stream says none.
    pub level: i32,
    /// Pixels across, and down.
    pub size: (u32, u32),
    /// Such as `1:1`.
    pub sample_aspect: String,
    /// Such as `yuv420p`.
    pub pixel_format: String,
    /// Such as `progressive`.
    pub field_order: String,
    /// Range, matrix, transfer and primaries.
    pub colour: [String; 4],
    /// Degrees, where a matrix turns the picture.
    pub rotation: String,
    /// Hz.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u32,
    /// Such as `stereo`.
    pub layout: String,
    /// Frames that were decoded; none when none were asked for.
    pub decoded: Option<u64>,
}

/// One packet. Times in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Packet {
    /// Shown at.
    pub pts: f64,
    /// Decoded at.
    pub dts: f64,
    /// Bytes.
    pub size: u64,
    /// Where it lies in the bytes that were read, where that is known.
    pub at: Option<u64>,
    /// Whether decoding can begin here.
    pub is_key: bool,
}

/// A picture that can be decoded alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Keyframe {
    /// Frames before it.
    pub index: u64,
    /// When it is shown, in seconds from the first one.
    pub time: f64,
    /// Where its packet lies in the bytes that were read, and how long it is.
    pub at: u64,
    /// Bytes.
    pub size: u64,
}

/// What a segment turned out to hold of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Held {
    /// Packets.
    pub packets: u64,
    /// When the first one is shown; 0 without packets.
    pub start: f64,
    /// Whether the first one can be decoded alone.
    pub begins_with_key: bool,
}

/// All packets of a stream, on the grid of frames that it should be on, or at the times of what it is a copy
/// of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Packets {
    frame: f64,
    tolerance: f64,
    original: Option<Arc<CopiedStream>>,
    ends: Vec<u64>,
    current: usize,
    seen: Vec<u64>,
    last_dts: f64,
    /// How many.
    pub count: u64,
    /// When the first one is shown; 0 without packets.
    pub start: f64,
    /// Frames from the first to the last, as far as they keep to a grid.
    pub frames: u64,
    /// The first time at which something is not where it should be, and what.
    pub fault: Option<Fault>,
    /// Every one, for pictures.
    pub keyframes: Vec<Keyframe>,
    /// By segment.
    pub held: Vec<Held>,
}

/// What is wrong with a time stamp.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    /// It is not a whole number of frames from the start.
    OffGrid(f64),
    /// Another packet has the same.
    Twice(f64),
    /// It is decoded before what stands before it.
    Disorder(f64),
    /// It is not shown when the packet is that it is a copy of.
    Moved(f64),
}

impl Packets {
    /// None yet. `frame` is the length of a frame and `tolerance` what rounding may move it by, in
    /// seconds; `ends` are the ends of the pieces, as bytes follow each other.
    pub(super) fn new(frame: f64, tolerance: f64, ends: Vec<u64>) -> Self {
        Self {
            frame,
            tolerance,
            original: None,
            held: vec![Held::default(); ends.len()],
            ends,
            current: 0,
            seen: Vec::new(),
            last_dts: f64::NEG_INFINITY,
            count: 0,
            start: 0.0,
            frames: 0,
            fault: None,
            keyframes: Vec::new(),
        }
    }

    /// None yet of a copy, whose times are those of the source and not on a grid.
    pub(super) fn of_copy(self, original: Arc<CopiedStream>) -> Self {
        Self { tolerance: self.tolerance + original.time_base, original: Some(original), ..self }
    }

    /// What it is a copy of.
    pub(super) fn original(&self) -> Option<&CopiedStream> {
        self.original.as_deref()
    }

    /// When it should begin, in seconds.
    pub(super) fn due(&self) -> f64 {
        self.original().and_then(|original| original.times.first().copied()).unwrap_or_default()
    }

    /// Packets of a copy that lie before 0.
    pub(super) fn before_zero(&self) -> u64 {
        self.original().map_or(0, |original| original.times.iter().filter(|time| **time < 0.0).count() as u64)
    }

    /// Takes in one more.
    pub(super) fn add(&mut self, packet: Packet, is_picture: bool) {
        if self.count == 0 {
            self.start = packet.pts;
        }
        self.count += 1;
        if packet.dts.is_nan() || packet.dts <= self.last_dts {
            self.note(Fault::Disorder(packet.dts));
        }
        self.last_dts = packet.dts;
        let time = packet.pts - self.start;
        let (index, time) = if self.original.is_some() {
            self.compare(time);
            (self.count - 1, time)
        } else {
            let index = self.place(packet.pts);
            (index, index as f64 * self.frame)
        };
        if is_picture && packet.is_key {
            let at = packet.at.unwrap_or_default();
            self.keyframes.push(Keyframe { index, time, at, size: packet.size });
        }
        self.hold(packet);
    }

    /// Holds the time of the latest packet, in seconds from the first one, to that of the original.
    fn compare(&mut self, time: f64) {
        let times = self.original.as_ref().map_or(&[][..], |original| &original.times);
        let wanted = times.first().zip(times.get(self.count as usize - 1)).map(|(first, it)| it - first);
        if time.is_nan() || wanted.is_none_or(|wanted| (wanted - time).abs() > self.tolerance) {
            self.note(Fault::Moved(self.start + time));
        }
    }

    /// Where it is on the grid.
    fn place(&mut self, pts: f64) -> u64 {
        let place = (pts - self.start) / self.frame;
        let off = (place - place.round()).abs() * self.frame;
        if place.is_nan() || place < -0.5 || off > self.tolerance {
            self.note(Fault::OffGrid(pts));
        }
        let index = place.round().max(0.0) as u64;
        let (word, bit) = ((index / 64) as usize, 1 << (index % 64));
        // A time stamp far away shows as a gap; its bit is not worth the memory.
        if word < self.seen.len() + (1 << 20) {
            if word >= self.seen.len() {
                self.seen.resize(word + 1, 0);
            }
            if self.seen[word] & bit != 0 {
                self.note(Fault::Twice(pts));
            }
            self.seen[word] |= bit;
        }
        self.frames = self.frames.max(index + 1);
        index
    }

    fn hold(&mut self, packet: Packet) {
        if let Some(at) = packet.at {
            self.current = self.ends.partition_point(|end| *end <= at);
        }
        if let Some(held) = self.held.get_mut(self.current) {
            if held.packets == 0 {
                held.start = packet.pts;
                held.begins_with_key = packet.is_key;
            }
            held.packets += 1;
        }
    }

    fn note(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    /// The time of the first frame that is missing between the first and the last.
    pub(super) fn gap(&self) -> Option<f64> {
        let missing = (0..self.frames).find(|index| {
            self.seen.get((index / 64) as usize).is_none_or(|word| word & (1 << (index % 64)) == 0)
        })?;
        Some(self.start + missing as f64 * self.frame)
    }

    /// Seconds from the first packet's start to the last one's end.
    pub(super) fn seconds(&self) -> f64 {
        match &self.original {
            Some(original) => original.duration(),
            None => self.frames as f64 * self.frame,
        }
    }

    /// Seconds of a frame.
    pub(super) fn frame(&self) -> f64 {
        self.frame
    }

    /// Seconds that rounding may move a time stamp by.
    pub(super) fn tolerance(&self) -> f64 {
        self.tolerance
    }
}

/// A stream.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StreamFacts {
    /// What its header says.
    pub header: Header,
    /// What is in it.
    pub packets: Packets,
}
