//! Reads all packets and headers of a track with one ffprobe, which is fed with its files.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf};

use model::VideoCodec;

use super::{
    VerifyContext,
    facts::{ScannedPacket, StreamFacts, StreamHeader, StreamPackets},
    listing::{StreamRef, Track, TrackContainer, damaged_output, wrong_output},
};
use crate::{
    codecs,
    error::{MediaError, nothing_decoded},
    memory,
    plan::Plan,
    tool::{
        Call,
        child::{Access, Ended},
        feed,
        ffmpeg::{self, file_or_stdin, words},
        programs::Program,
    },
};

const ENTRIES: &str = "packet=stream_index,pts_time,dts_time,size,pos,flags:stream=codec_type,codec_name,\
codec_tag_string,profile,level,width,height,sample_aspect_ratio,pix_fmt,field_order,color_range,color_space,color_transfer,\
color_primaries,sample_rate,channels,channel_layout,nb_read_frames:stream_side_data=rotation";

/// Seconds that are decoded at the start of a file, and at its end.
pub(super) const EXCERPT_SECS: f64 = 4.0;
/// ffprobe's arguments to decode all that it reads, and to count the frames. The loop filter is left out, a
/// fifth of the work: it has no syntax of its own that could be wrong.
pub(super) const COUNT_FRAMES: [&str; 5] = ["-count_frames", "-threads", "2", "-skip_loop_filter", "all"];

/// Whether a track is decoded whole, while it is scanned: that costs less than to read it twice.
pub(super) fn is_short(plan: &Plan, track: &Track) -> bool {
    plan.duration <= 2.0 * EXCERPT_SECS || plan.segmenting.is_some() && track.segments.len() <= 2
}

/// Whether a track has to be decoded by FFmpeg: the build of ffprobe has no decoder for AV1.
pub(super) fn needs_ffmpeg(plan: &Plan, track: &Track) -> bool {
    track.planned.iter().any(|planned| match *planned {
        StreamRef::Video(number) => plan.videos[number].codec == VideoCodec::Av1,
        StreamRef::Audio(_) => false,
    })
}

/// Reads all of a track. A short one is decoded whole as well, unless only FFmpeg has its decoder.
pub(super) async fn scan(context: VerifyContext<'_>, track: &Track) -> Result<Vec<StreamFacts>, MediaError> {
    let plan = context.plan;
    let mut reader = ScanReader::new(context, track);
    let mut args = words(&["-v", "error", "-of", "compact", "-show_entries", ENTRIES]);
    args.extend(words(&ffmpeg::BLOCK_OUTPUT));
    if is_short(plan, track) && !needs_ffmpeg(plan, track) {
        args.extend(words(&COUNT_FRAMES));
    }
    let input = ScanInput::new(track, track.files().map(|file| file.path.clone()).collect());
    let ended = input.run_ffprobe(context, args, |line| reader.read_line(line)).await?;
    let errors = ended.stderr_tail.trim();
    if !ended.status.success() || !errors.is_empty() {
        return Err(damaged_output(plan, track, "read", errors));
    }
    reader.finish(&track.name)
}

/// What ffprobe reads: segments through a pipe, or the one file, in which it has to seek.
pub(super) struct ScanInput {
    demuxer: &'static str,
    file: Option<PathBuf>,
    feed: Vec<PathBuf>,
}

impl ScanInput {
    /// These files of a track.
    pub(super) fn new(track: &Track, mut files: Vec<PathBuf>) -> Self {
        let demuxer = track.container.demuxer();
        match track.container {
            TrackContainer::Mp4 | TrackContainer::Flv => {
                Self { demuxer, file: files.pop(), feed: Vec::new() }
            }
            TrackContainer::Ts | TrackContainer::FragmentedMp4 => Self { demuxer, file: None, feed: files },
        }
    }

    /// Runs ffprobe over it, and hands over each line that it writes.
    pub(super) async fn run_ffprobe(
        self,
        context: VerifyContext<'_>,
        mut args: Vec<OsString>,
        mut each: impl FnMut(&str),
    ) -> Result<Ended, MediaError> {
        args.extend(words(&["-f", self.demuxer, "-i"]));
        args.push(file_or_stdin(self.file.as_deref()));
        let access = Access::read(self.file.into_iter().collect());
        let stdin = feed::through_pipe(context.dir, self.feed)?;
        let memory_bytes = memory::of_verification(context.plan);
        let call = Call { program: Program::Ffprobe, args, access, stdin, memory_bytes };
        let limits = context.tools.pass_limits();
        context.tools.lines(call, limits, context.cancel, |line| each(&String::from_utf8_lossy(line))).await
    }
}

/// Reads ffprobe's `compact` lines: packets, then streams.
pub(super) struct ScanReader {
    planned: Vec<StreamRef>,
    packets: Vec<StreamPackets>,
    headers: Vec<StreamHeader>,
    /// Files before the first segment.
    init_files: usize,
    /// Whether a text track with the names of chapters belongs to the track.
    has_chapters: bool,
}

impl ScanReader {
    pub(super) fn new(context: VerifyContext<'_>, track: &Track) -> Self {
        let mut file_ends = Vec::new();
        let mut end = 0;
        for file in track.files() {
            end += file.bytes;
            file_ends.push(end);
        }
        let packets = |planned: &StreamRef| {
            let (frame_duration, source) = match *planned {
                StreamRef::Video(number) => {
                    let rate = context.plan.videos[number].frame_rate;
                    (1.0 / rate.as_f64(), context.copied.videos.get(number))
                }
                StreamRef::Audio(number) => {
                    let audio = &context.plan.audios[number];
                    let samples = codecs::audio(audio.codec).frame_samples(audio.sample_rate);
                    let frame_duration = f64::from(samples) / f64::from(audio.sample_rate);
                    (frame_duration, context.copied.audios.get(number))
                }
            };
            let packets =
                StreamPackets::new(frame_duration, track.container.rounding_secs(), file_ends.clone());
            match source {
                Some(source) => packets.copied_from(source.clone()),
                None => packets,
            }
        };
        Self {
            planned: track.planned.clone(),
            packets: track.planned.iter().map(packets).collect(),
            headers: Vec::new(),
            init_files: usize::from(track.init.is_some()),
            has_chapters: context.plan.chapters,
        }
    }

    pub(super) fn read_line(&mut self, line: &str) {
        let mut fields = line.trim_end().split('|');
        match fields.next() {
            Some("packet") => self.read_packet(fields),
            Some("stream") => {
                let header = read_header(&fields.filter_map(|f| f.split_once('=')).collect());
                if !(self.has_chapters && header.kind == "data") {
                    self.headers.push(header);
                }
            }
            // streams of transport streams are listed a second time, below the program they belong to
            _ => {}
        }
    }

    fn read_packet<'a>(&mut self, fields: impl Iterator<Item = &'a str>) {
        let mut stream = usize::MAX;
        let mut packet = ScannedPacket { pts: f64::NAN, dts: f64::NAN, ..ScannedPacket::default() };
        for (name, value) in fields.filter_map(|field| field.split_once('=')) {
            match name {
                "stream_index" => stream = value.parse().unwrap_or(usize::MAX),
                "pts_time" => packet.pts = value.parse().unwrap_or(f64::NAN),
                "dts_time" => packet.dts = value.parse().unwrap_or(f64::NAN),
                "size" => packet.size = value.parse().unwrap_or(0),
                "pos" => packet.position = value.parse().ok(),
                "flags" => packet.is_key = value.starts_with('K'),
                _ => {}
            }
        }
        if let Some(packets) = self.packets.get_mut(stream) {
            packets.add(packet, matches!(self.planned[stream], StreamRef::Video(_)));
        }
    }

    /// What was read of each planned stream.
    ///
    /// # Errors
    /// When there are other streams than planned.
    pub(super) fn finish(self, name: &str) -> Result<Vec<StreamFacts>, MediaError> {
        // muxers leave out a stream without packets
        for planned in &self.planned {
            if !self.headers.iter().any(|header| header.kind == planned.kind()) {
                return Err(nothing_decoded(planned.kind()));
            }
        }
        if self.headers.len() != self.packets.len() {
            let (found, expected) = (self.headers.len(), self.packets.len());
            return Err(wrong_output(format!("`{name}` has {found} streams, not {expected}")));
        }
        let init_files = self.init_files;
        let facts = self.headers.into_iter().zip(self.packets).map(|(header, mut packets)| {
            packets.segments.drain(..init_files);
            StreamFacts { header, packets }
        });
        Ok(facts.collect())
    }
}

fn read_header(fields: &BTreeMap<&str, &str>) -> StreamHeader {
    let text = |name: &str| {
        let known = |value: &&str| !matches!(*value, "unknown" | "N/A");
        fields.get(name).copied().filter(known).unwrap_or_default().to_owned()
    };
    let number = |name: &str| fields.get(name).and_then(|value| value.parse().ok()).unwrap_or(0);
    StreamHeader {
        kind: text("codec_type"),
        codec: text("codec_name"),
        sample_entry: text("codec_tag_string"),
        profile: text("profile"),
        level: fields.get("level").and_then(|value| value.parse().ok()).unwrap_or(0),
        size: (number("width"), number("height")),
        sample_aspect: text("sample_aspect_ratio"),
        pixel_format: text("pix_fmt"),
        field_order: text("field_order"),
        colour: ["color_range", "color_space", "color_transfer", "color_primaries"].map(text),
        rotation: text("side_datum/display_matrix:rotation"),
        sample_rate: number("sample_rate"),
        channels: number("channels"),
        layout: text("channel_layout"),
        decoded_frames: fields.get("nb_read_frames").and_then(|value| value.parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header() {
        let line = "stream|codec_name=h264|profile=High|codec_type=video|width=1920|height=1080|sample_aspect_ratio=1:1|pix_fmt=yuvj420p|level=41|color_range=pc|color_space=bt709|color_transfer=unknown|color_primaries=bt709|field_order=progressive|nb_read_frames=N/A|side_datum/display_matrix:rotation=-180";
        let header = read_header(&line.split('|').filter_map(|field| field.split_once('=')).collect());
        assert_eq!((header.kind.as_str(), header.size, header.level), ("video", (1920, 1080), 41));
        assert_eq!((header.rotation.as_str(), header.decoded_frames), ("-180", None));
        assert_eq!(header.colour, ["pc", "bt709", "", "bt709"]);
    }
}
