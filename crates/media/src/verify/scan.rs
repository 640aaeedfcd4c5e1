//! Reads every packet and every header of a track with one ffprobe, which is fed with its bytes.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf};

use tokio_util::sync::CancellationToken;

use super::{
    decode::{COUNTED, damaged},
    facts::{Header, Packet, Packets, StreamFacts},
    listing::{Planned, Track, Wrapping, wrong},
};
use crate::{
    codecs,
    error::{MediaError, nothing_decoded},
    output::CopiedPackets,
    plan::Plan,
    tool::{
        Call, Tools,
        child::{Access, Ended},
        feed,
        ffmpeg::{self, file_or_stdin, words},
        programs::Program,
    },
};

const ENTRIES: &str = "packet=stream_index,pts_time,dts_time,size,pos,flags:stream=codec_type,codec_name,\
codec_tag_string,profile,level,width,height,sample_aspect_ratio,pix_fmt,field_order,color_range,color_space,color_transfer,\
color_primaries,sample_rate,channels,channel_layout,nb_read_frames:stream_side_data=rotation";

/// Looks at all of a track; decodes all of it too when `decode` is set.
pub(super) async fn scan(
    tools: &Tools,
    plan: &Plan,
    originals: &CopiedPackets,
    track: &Track,
    decode: bool,
    cancel: &CancellationToken,
) -> Result<Vec<StreamFacts>, MediaError> {
    let mut reader = Reader::new(plan, originals, track);
    let mut args = words(&["-v", "error", "-of", "compact", "-show_entries", ENTRIES]);
    args.extend(words(&ffmpeg::BLOCK_OUTPUT));
    if decode {
        args.extend(words(&COUNTED));
    }
    let input = Input::of(track, track.pieces().map(|piece| piece.path.clone()).collect());
    let ended = input.probe(tools, args, cancel, |line| reader.line(line)).await?;
    let trouble = ended.stderr_tail.trim();
    if !ended.status.success() || !trouble.is_empty() {
        return Err(damaged(plan, track, "read", trouble));
    }
    reader.streams(&track.name)
}

/// What ffprobe reads: segments through a pipe, or the one file, whose index needs seeking.
pub(super) struct Input {
    demuxer: &'static str,
    file: Option<PathBuf>,
    feed: Vec<PathBuf>,
}

impl Input {
    /// These pieces of a track.
    pub(super) fn of(track: &Track, mut pieces: Vec<PathBuf>) -> Self {
        let demuxer = track.wrapping.demuxer();
        match track.wrapping {
            Wrapping::Mp4 | Wrapping::Flv => Self { demuxer, file: pieces.pop(), feed: Vec::new() },
            Wrapping::Ts | Wrapping::Fragments => Self { demuxer, file: None, feed: pieces },
        }
    }

    /// Runs ffprobe over it.
    pub(super) async fn probe(
        self,
        tools: &Tools,
        mut args: Vec<OsString>,
        cancel: &CancellationToken,
        each: impl FnMut(&str),
    ) -> Result<Ended, MediaError> {
        let mut each = each;
        args.extend(words(&["-f", self.demuxer, "-i"]));
        let access = Access { readable: self.file.clone().into_iter().collect(), writable: Vec::new() };
        args.push(file_or_stdin(self.file.as_deref()));
        let limits = tools.pass_limits();
        let stdin = feed::through_pipe(self.feed)?;
        let call = Call { program: Program::Ffprobe, args, access, stdin };
        tools.lines(call, limits, cancel, |line| each(&String::from_utf8_lossy(line))).await
    }
}

/// Takes in ffprobe's `compact` lines: packets, then streams.
pub(super) struct Reader {
    planned: Vec<Planned>,
    packets: Vec<Packets>,
    headers: Vec<Header>,
    init: usize,
    /// Whether a text track with the names of chapters belongs to it.
    chapters: bool,
}

impl Reader {
    pub(super) fn new(plan: &Plan, originals: &CopiedPackets, track: &Track) -> Self {
        let mut end = 0;
        let ends: Vec<u64> = track
            .pieces()
            .map(|piece| {
                end += piece.bytes;
                end
            })
            .collect();
        let packets = |planned: &Planned| {
            let (frame, original) = match *planned {
                Planned::Video(number) => {
                    (1.0 / plan.videos[number].rate.as_f64(), originals.videos.get(number))
                }
                Planned::Audio(number) => {
                    let audio = &plan.audios[number];
                    let frame = f64::from(codecs::audio(audio.codec).frame_samples(audio.sample_rate))
                        / f64::from(audio.sample_rate);
                    (frame, originals.audios.get(number))
                }
            };
            let packets = Packets::new(frame, track.wrapping.tick(), ends.clone());
            match original {
                Some(original) => packets.of_copy(original.clone()),
                None => packets,
            }
        };
        Self {
            planned: track.planned.clone(),
            packets: track.planned.iter().map(packets).collect(),
            headers: Vec::new(),
            init: usize::from(track.init.is_some()),
            chapters: plan.chapters,
        }
    }

    pub(super) fn line(&mut self, line: &str) {
        let mut fields = line.trim_end().split('|');
        match fields.next() {
            Some("packet") => self.packet(fields),
            Some("stream") => {
                let header = header(&fields.filter_map(|f| f.split_once('=')).collect());
                if !(self.chapters && header.kind == "data") {
                    self.headers.push(header);
                }
            }
            // Transport streams list their streams a second time, below the program they belong to.
            _ => {}
        }
    }

    fn packet<'a>(&mut self, fields: impl Iterator<Item = &'a str>) {
        let mut stream = usize::MAX;
        let mut packet = Packet { pts: f64::NAN, dts: f64::NAN, ..Packet::default() };
        for (name, value) in fields.filter_map(|field| field.split_once('=')) {
            match name {
                "stream_index" => stream = value.parse().unwrap_or(usize::MAX),
                "pts_time" => packet.pts = value.parse().unwrap_or(f64::NAN),
                "dts_time" => packet.dts = value.parse().unwrap_or(f64::NAN),
                "size" => packet.size = value.parse().unwrap_or(0),
                "pos" => packet.at = value.parse().ok(),
                "flags" => packet.is_key = value.starts_with('K'),
                _ => {}
            }
        }
        if let Some(packets) = self.packets.get_mut(stream) {
            packets.add(packet, matches!(self.planned[stream], Planned::Video(_)));
        }
    }

    pub(super) fn streams(self, name: &str) -> Result<Vec<StreamFacts>, MediaError> {
        let is_there = |planned: &Planned| {
            let kind = if matches!(planned, Planned::Video(_)) { "video" } else { "audio" };
            self.headers.iter().any(|header| header.kind == kind)
        };
        // muxers leave out what has no packet
        if let Some(planned) = self.planned.iter().find(|planned| !is_there(planned)) {
            return Err(nothing_decoded(planned.what()));
        }
        if self.headers.len() != self.packets.len() {
            let (found, wanted) = (self.headers.len(), self.packets.len());
            return Err(wrong(format!("`{name}` has {found} streams, not {wanted}")));
        }
        let init = self.init;
        let facts = self.headers.into_iter().zip(self.packets).map(|(header, mut packets)| {
            packets.held.drain(..init);
            StreamFacts { header, packets }
        });
        Ok(facts.collect())
    }
}

fn header(fields: &BTreeMap<&str, &str>) -> Header {
    let text = |name: &str| {
        let known = |value: &&str| !matches!(*value, "unknown" | "N/A");
        fields.get(name).copied().filter(known).unwrap_or_default().to_owned()
    };
    let number = |name: &str| fields.get(name).and_then(|value| value.parse().ok()).unwrap_or(0);
    Header {
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
        decoded: fields.get("nb_read_frames").and_then(|value| value.parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header() {
        let line = "stream|codec_name=h264|profile=High|codec_type=video|width=1920|height=1080|sample_aspect_ratio=1:1|pix_fmt=yuvj420p|level=41|color_range=pc|color_space=bt709|color_transfer=unknown|color_primaries=bt709|field_order=progressive|nb_read_frames=N/A|side_datum/display_matrix:rotation=-180";
        let header = header(&line.split('|').filter_map(|field| field.split_once('=')).collect());
        assert_eq!((header.kind.as_str(), header.size, header.level), ("video", (1920, 1080), 41));
        assert_eq!((header.rotation.as_str(), header.decoded), ("-180", None));
        assert_eq!(header.colour, ["pc", "bt709", "", "bt709"]);
    }
}
