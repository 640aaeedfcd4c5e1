//! What is in the streams of a track, packet by packet. Nothing is kept of a packet but whether its frame is
//! there: an hour of video takes some kilobytes.

use std::sync::Arc;

use crate::output::CopiedStream;

/// What the header of a stream says, in ffprobe's words; a text that is absent is empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct StreamHeader {
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
    /// IFrameRange, matrix, transfer and primaries.
    pub colour: [String; 4],
    /// Degrees counterclockwise, where a display matrix rotates the video.
    pub rotation: String,
    /// Hz.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u32,
    /// Such as `stereo`.
    pub layout: String,
    /// Frames that were decoded; none where that was not asked for.
    pub decoded_frames: Option<u64>,
}

/// A packet of an output. Times are in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct ScannedPacket {
    /// Presentation time.
    pub pts: f64,
    /// Decoding time.
    pub dts: f64,
    /// Bytes.
    pub size: u64,
    /// Its position in the bytes that were read, where that is known.
    pub position: Option<u64>,
    /// Whether it is flagged as a key frame.
    pub is_key: bool,
}

/// A key frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Keyframe {
    /// Frames before it.
    pub index: u64,
    /// Presentation time, in seconds from the first frame.
    pub time: f64,
    /// The position of its packet in the bytes that were read.
    pub position: u64,
    /// Bytes.
    pub size: u64,
}

/// What a segment holds of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct SegmentStats {
    /// StreamPackets.
    pub packets: u64,
    /// Presentation time of the first one; 0 without packets.
    pub start: f64,
    /// Whether the first one is a key frame.
    pub starts_with_key: bool,
}

/// All packets of a stream: encoded ones on a grid of equal frames, copied ones at the times of the source.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StreamPackets {
    frame_duration: f64,
    tolerance: f64,
    source: Option<Arc<CopiedStream>>,
    /// The ends of the files, as bytes follow each other.
    file_ends: Vec<u64>,
    current_file: usize,
    /// A bit for each frame of the grid that is there.
    seen: Vec<u64>,
    last_dts: f64,
    /// How many.
    pub count: u64,
    /// Presentation time of the first one; 0 without packets.
    pub start: f64,
    /// Frames of the grid from the first to the last.
    pub frames: u64,
    /// The first fault of a time stamp.
    pub fault: Option<TimestampFault>,
    /// All of them, of video.
    pub keyframes: Vec<Keyframe>,
    /// By file; by segment as soon as the initialization segment is left out.
    pub segments: Vec<SegmentStats>,
}

/// What is wrong with a time stamp, and at which second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TimestampFault {
    /// It is not a whole number of frames from the start.
    OffGrid(f64),
    /// Another packet has the same.
    Duplicate(f64),
    /// It is decoded before the packet in front of it.
    OutOfOrder(f64),
    /// It is not that of the source's packet.
    Moved(f64),
}

impl StreamPackets {
    /// None yet. `frame_duration` and `tolerance`, by which rounding may move a time stamp, are in seconds;
    /// `file_ends` are the ends of the track's files, as bytes follow each other.
    pub(super) fn new(frame_duration: f64, tolerance: f64, file_ends: Vec<u64>) -> Self {
        Self {
            frame_duration,
            tolerance,
            source: None,
            segments: vec![SegmentStats::default(); file_ends.len()],
            file_ends,
            current_file: 0,
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
    pub(super) fn copied_from(self, source: Arc<CopiedStream>) -> Self {
        Self { tolerance: self.tolerance + source.time_base, source: Some(source), ..self }
    }

    /// The source's packets, of a copy.
    pub(super) fn source(&self) -> Option<&CopiedStream> {
        self.source.as_deref()
    }

    /// Presentation time at which the stream should begin, in seconds.
    pub(super) fn expected_start(&self) -> f64 {
        self.source().and_then(|source| source.times.first().copied()).unwrap_or_default()
    }

    /// Packets of a copy before 0.
    pub(super) fn packets_before_zero(&self) -> u64 {
        match self.source() {
            Some(source) => source.times.iter().filter(|time| **time < 0.0).count() as u64,
            None => 0,
        }
    }

    /// Takes in the next packet in the order of bytes.
    pub(super) fn add(&mut self, packet: ScannedPacket, is_video: bool) {
        if self.count == 0 {
            self.start = packet.pts;
        }
        self.count += 1;
        if packet.dts.is_nan() || packet.dts <= self.last_dts {
            self.note_fault(TimestampFault::OutOfOrder(packet.dts));
        }
        self.last_dts = packet.dts;
        let (index, time) = if self.source.is_some() {
            let time = packet.pts - self.start;
            self.compare_with_source(time);
            (self.count - 1, time)
        } else {
            let index = self.grid_index(packet.pts);
            (index, index as f64 * self.frame_duration)
        };
        if is_video && packet.is_key {
            let position = packet.position.unwrap_or_default();
            self.keyframes.push(Keyframe { index, time, position, size: packet.size });
        }
        self.count_in_segment(packet);
    }

    /// Compares the time of the latest packet, in seconds from the first one, with that of the source.
    fn compare_with_source(&mut self, time: f64) {
        let times = self.source.as_ref().map_or(&[][..], |source| &source.times);
        let expected = match (times.first(), times.get(self.count as usize - 1)) {
            (Some(first), Some(it)) => Some(it - first),
            _ => None,
        };
        if time.is_nan() || expected.is_none_or(|expected| (expected - time).abs() > self.tolerance) {
            self.note_fault(TimestampFault::Moved(self.start + time));
        }
    }

    /// The frame of the grid that a packet is.
    fn grid_index(&mut self, pts: f64) -> u64 {
        let frames = (pts - self.start) / self.frame_duration;
        let off = (frames - frames.round()).abs() * self.frame_duration;
        if frames.is_nan() || frames < -0.5 || off > self.tolerance {
            self.note_fault(TimestampFault::OffGrid(pts));
        }
        let index = frames.round().max(0.0) as u64;
        let (word, bit) = ((index / 64) as usize, 1 << (index % 64));
        // a time stamp far away shows as a gap; its bit is not worth the memory
        if word < self.seen.len() + (1 << 20) {
            if word >= self.seen.len() {
                self.seen.resize(word + 1, 0);
            }
            if self.seen[word] & bit != 0 {
                self.note_fault(TimestampFault::Duplicate(pts));
            }
            self.seen[word] |= bit;
        }
        self.frames = self.frames.max(index + 1);
        index
    }

    /// Counts a packet to the file that it lies in; one without a position to that of the packet before.
    fn count_in_segment(&mut self, packet: ScannedPacket) {
        if let Some(position) = packet.position {
            self.current_file = self.file_ends.partition_point(|end| *end <= position);
        }
        if let Some(segment) = self.segments.get_mut(self.current_file) {
            if segment.packets == 0 {
                segment.start = packet.pts;
                segment.starts_with_key = packet.is_key;
            }
            segment.packets += 1;
        }
    }

    /// The first fault is kept.
    fn note_fault(&mut self, fault: TimestampFault) {
        self.fault.get_or_insert(fault);
    }

    /// The time of the first frame that is missing between the first and the last.
    pub(super) fn gap(&self) -> Option<f64> {
        let missing = (0..self.frames).find(|index| {
            self.seen.get((index / 64) as usize).is_none_or(|word| word & (1 << (index % 64)) == 0)
        })?;
        Some(self.start + missing as f64 * self.frame_duration)
    }

    /// Seconds from the start of the first packet to the end of the last one.
    pub(super) fn duration(&self) -> f64 {
        match &self.source {
            Some(source) => source.duration(),
            None => self.frames as f64 * self.frame_duration,
        }
    }

    /// Seconds of a frame.
    pub(super) fn frame_duration(&self) -> f64 {
        self.frame_duration
    }

    /// Seconds by which rounding may move a time stamp.
    pub(super) fn tolerance(&self) -> f64 {
        self.tolerance
    }
}

/// A stream of an output.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StreamFacts {
    /// What its header says.
    pub header: StreamHeader,
    /// What is in it.
    pub packets: StreamPackets,
}
