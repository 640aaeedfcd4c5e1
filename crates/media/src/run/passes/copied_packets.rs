//! Which packets are copied, listed before anything runs: FFmpeg writes a `framecrc` line for every packet
//! that it is going to take.
//!
//! What comes out is compared with this list. Video whose GOPs cannot be cut into segments is refused here.

use std::{ffi::OsString, sync::Arc};

use model::ErrorCode;

use crate::{
    codecs,
    error::MediaError,
    memory,
    output::{CopiedPackets, CopiedStream},
    plan::{Plan, VideoPlan},
    run::{
        RunContext,
        args::{CommandContext, ffmpeg, resampled},
        failure::{self, AUDIO_CHANGED_MESSAGE},
    },
    tool::{
        Call,
        child::Access,
        ffmpeg::{head, open_input, words},
        framecrc::{FramecrcLine, FramecrcPacket},
        programs::Program,
    },
};

/// Lists what a plan copies; nothing is read when it copies nothing.
///
/// # Errors
/// [`ErrorCode::NothingToTranscode`] when it cannot be copied as planned.
pub(in crate::run) async fn list(context: &RunContext<'_>) -> Result<CopiedPackets, MediaError> {
    let RunContext { tools, plan, input, .. } = *context;
    let videos = plan.videos.iter().filter(|video| video.copied().is_some()).count();
    let audios = plan.audios.iter().filter(|audio| audio.is_copied()).count();
    if videos + audios == 0 {
        return Ok(CopiedPackets::default());
    }
    let mut list = PacketList::new(videos, audios);
    let access = Access::read(input.readable());
    let args = args(&context.command());
    let memory_bytes = memory::of_run(context.plan);
    let call = Call { program: Program::Ffmpeg, args, access, stdin: input.stdin()?, memory_bytes };
    let each = |line: &[u8]| list.add_line(&String::from_utf8_lossy(line));
    let ended = tools.lines(call, tools.pass_limits(), context.cancel, each).await?;
    failure::check(Program::Ffmpeg, Ok(ended)).map_err(refused_where_audio_changes)?;
    list.check(plan).map_err(|detail| MediaError::new(ErrorCode::NothingToTranscode, detail))?;
    let mut streams = list.streams.into_iter().map(Arc::new);
    let videos = streams.by_ref().take(videos).collect();
    Ok(CopiedPackets { videos, audios: streams.take(audios).collect() })
}

/// A container has the sample rate and the channels of a track once, in its sample entry.
fn refused_where_audio_changes(error: MediaError) -> MediaError {
    if !error.log.contains(AUDIO_CHANGED_MESSAGE) {
        return error;
    }
    let detail = "the sample rate or the channels of its audio change on the way, so that it cannot be copied; \
                  acodec `aac` would encode it";
    MediaError::new(ErrorCode::NothingToTranscode, detail).with_log(error.log)
}

/// Lists the packets of all streams that are copied, renditions first, as they go into the output. The
/// others stand behind them: of some files FFmpeg counts time from the first stream that is used.
fn args(context: &CommandContext<'_>) -> Vec<OsString> {
    let CommandContext { plan, input, .. } = *context;
    let mut args = head("error");
    args.extend(ffmpeg::input_position(plan));
    args.extend(resampled::fail_on_change(context));
    args.extend(open_input(input, false));
    for video in plan.videos.iter().filter(|video| video.copied().is_some()) {
        args.extend(ffmpeg::rendition(plan, video, 0, false));
    }
    for audio in plan.audios.iter().filter(|audio| audio.is_copied()) {
        args.extend(ffmpeg::audio_stream(audio, 0));
    }
    if plan.segmenting.is_some() {
        for (number, audio) in plan.audios.iter().filter(|audio| audio.is_copied()).enumerate() {
            args.extend(ffmpeg::drop_before_zero(audio, &format!("-bsf:a:{number}")));
        }
        for video in &plan.videos {
            args.extend(random_access_packets(video));
        }
    }
    let encoded = plan.audios.iter().filter(|audio| !audio.is_copied()).map(|audio| audio.index);
    for index in plan.video_filter.iter().map(|video| video.index).chain(encoded) {
        args.extend(words(&["-map", &format!("0:{index}")]));
    }
    args.extend(words(&["-c", "copy", "-f", "framecrc", "pipe:1"]));
    // only a decoder sees whether the audio changes on the way
    for audio in plan.audios.iter().filter(|audio| audio.is_copied() && audio.parameters_may_change) {
        args.extend(words(&["-map", &format!("0:{}", audio.index), "-f", "null", "-"]));
    }
    args
}

/// The copied video a second time, as the last stream: only its random access packets (IDR), for codecs
/// whose key frames need not be random access points.
fn random_access_packets(video: &VideoPlan) -> Vec<OsString> {
    let (Some(copied), Some(nal_types)) = (video.copied(), codecs::video(video.codec).idr_nal_types()) else {
        return Vec::new();
    };
    let filter = format!("filter_units=pass_types={nal_types}");
    words(&["-map", &format!("0:{}", copied.index), "-bsf:v:1", &filter])
}

/// Packets of a stream that is copied, whose times are kept: 12 h of 120 frames a second have 5 million.
const MAX_COPIED_PACKETS: usize = model::limits::MAX_COPIED_PACKETS;

/// Takes in the lines of `framecrc`.
struct PacketList {
    videos: usize,
    copied: usize,
    /// Renditions, audios, and the random access packets of the video, where they were asked for.
    streams: Vec<CopiedStream>,
    gops: GopIndex,
    /// A stream with a packet that has no presentation time.
    without_pts: Option<usize>,
    /// Whether a stream has more packets than are kept.
    has_too_many: bool,
}

impl PacketList {
    fn new(videos: usize, audios: usize) -> Self {
        let streams = vec![CopiedStream::default(); videos + audios + 1];
        Self {
            videos,
            copied: videos + audios,
            streams,
            gops: GopIndex::default(),
            without_pts: None,
            has_too_many: false,
        }
    }

    fn add_line(&mut self, line: &str) {
        match FramecrcLine::parse(line) {
            Some(FramecrcLine::TimeBase { stream, seconds }) => {
                if let Some(stream) = self.streams.get_mut(stream) {
                    stream.time_base = seconds;
                }
            }
            Some(FramecrcLine::Packet(packet)) => self.add(packet),
            None => {}
        }
    }

    fn add(&mut self, packet: FramecrcPacket) {
        let Some(stream) = self.streams.get_mut(packet.stream) else { return };
        if packet.pts.is_none() && packet.stream < self.copied {
            self.without_pts.get_or_insert(packet.stream);
        }
        let [pts, dts] = [packet.pts, packet.dts].map(|time| time.unwrap_or(i64::MIN));
        let [pts, dts, duration] = [pts, dts, packet.duration].map(|time| time as f64 * stream.time_base);
        if stream.times.len() == MAX_COPIED_PACKETS {
            self.has_too_many = true;
            return;
        }
        stream.times.push(pts);
        stream.end = stream.end.max(pts + duration);
        if packet.stream < self.videos {
            self.gops.add(VideoFrame { pts, dts, duration, is_key: packet.is_key }, stream.time_base);
        }
    }

    /// Says why it cannot be copied as planned, if so, and what would do.
    fn check(&self, plan: &Plan) -> Result<(), String> {
        if let Some(stream) = self.without_pts {
            let option = if stream < self.videos { "vcodec" } else { "acodec" };
            return Err(format!(
                "its packets have no presentation time, so that they cannot be copied; another {option} than \
                 `copy` would do"
            ));
        }
        if self.has_too_many {
            return Err(format!(
                "a stream has more than {MAX_COPIED_PACKETS} packets, so that it cannot be copied; a codec instead of \
                 `copy` would encode it"
            ));
        }
        if self.videos == 0 {
            return Ok(());
        }
        let (Some(segmenting), Some(video)) = (plan.segmenting, plan.videos.first()) else { return Ok(()) };
        let random_access = match (codecs::video(video.codec).idr_nal_types(), self.streams.last()) {
            (Some(_), Some(stream)) => Some(stream.times.as_slice()),
            _ => None,
        };
        let (segment_secs, max_secs) =
            (segmenting.segment_duration.as_f64(), segmenting.max_copied_segment_secs());
        match self.gops.problem(random_access, segment_secs, max_secs) {
            Some(problem) => Err(format!(
                "{problem}, so that it cannot be copied into segments; vcodec `h264` would encode it, or format \
                 `mp4` would copy it"
            )),
            None => Ok(()),
        }
    }
}

/// A packet of the video; all times are seconds.
#[derive(Clone, Copy, Debug)]
struct VideoFrame {
    pts: f64,
    dts: f64,
    duration: f64,
    is_key: bool,
}

/// The GOPs (groups of pictures) of a video; all times are seconds.
#[derive(Default)]
struct GopIndex {
    /// The presentation time of each key frame.
    key_frames: Vec<f64>,
    /// How long before its presentation time the first one is decoded.
    pts_dts_offset: f64,
    /// When the last frame has been shown.
    end: f64,
    /// When the last frame in decoding order has been decoded.
    decoding_end: f64,
    /// By how much times may be rounded.
    tolerance: f64,
    /// A key frame of an open GOP: leading pictures, which are decoded after it, are shown before it.
    open_gop: Option<f64>,
    /// A key frame with another offset of its presentation from its decoding time than the first one.
    pts_dts_offset_changed: Option<f64>,
}

impl GopIndex {
    fn add(&mut self, frame: VideoFrame, time_base: f64) {
        let VideoFrame { pts, dts, duration, is_key } = frame;
        self.end = self.end.max(pts + duration);
        self.decoding_end = dts + duration;
        self.tolerance = 2.5 * time_base;
        if is_key {
            let offset = pts - dts;
            if self.key_frames.is_empty() {
                self.pts_dts_offset = offset;
            } else if (offset - self.pts_dts_offset).abs() > self.tolerance {
                self.pts_dts_offset_changed.get_or_insert(pts);
            }
            self.key_frames.push(pts);
        } else if let Some(key_frame) = self.key_frames.last()
            && pts < key_frame - time_base / 2.0
        {
            self.open_gop.get_or_insert(*key_frame);
        }
    }

    /// Why segments cannot begin at its key frames, if so. Only those in `random_access` can be decoded
    /// without any other frame, where that is given. The packager cuts at the first key frame after each
    /// multiple of `segment_secs`, and tells the length of segments by decoding times.
    fn problem(&self, random_access: Option<&[f64]>, segment_secs: f64, max_secs: f64) -> Option<String> {
        let is_random_access = |key_frame: &f64| {
            random_access.is_none_or(|times| times.binary_search_by(|time| time.total_cmp(key_frame)).is_ok())
        };
        // the packager takes it for a file without the edit list that says that it begins at 0
        if let Some(first) = self.key_frames.first()
            && *first > 0.0
            && *first == self.pts_dts_offset
        {
            return Some(format!("its video begins {first:.2} s late"));
        }
        if let Some(at) = self.open_gop {
            return Some(format!("the GOP of its key frame at {at:.2} s is open"));
        }
        if let Some(at) = self.key_frames.iter().find(|key_frame| !is_random_access(key_frame)) {
            return Some(format!("its key frame at {at:.2} s is no random access point (IDR)"));
        }
        let end_offset_changed = (self.end - self.decoding_end - self.pts_dts_offset).abs() > self.tolerance;
        let end = if end_offset_changed { Some(self.end) } else { None };
        if let Some(at) = self.pts_dts_offset_changed.or(end) {
            return Some(format!("its frames come at uneven times before {at:.2} s"));
        }
        let segment = |time: &f64| (time / segment_secs).floor();
        let gops = self.key_frames.chunk_by(|a, b| segment(a) == segment(b));
        let cuts = gops.filter_map(|key_frames| key_frames.first().copied());
        let cuts: Vec<f64> = cuts.chain([self.end]).collect();
        let longest = cuts.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
        if longest <= max_secs {
            return None;
        }
        Some(format!(
            "a segment from key frame to key frame would last {longest:.1} s, more than {max_secs:.0} s"
        ))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::{
        fixtures,
        run::args::tests::{context, full_hd, shown_ffmpeg, with_layouts},
    };

    /// What is listed beforehand is what is copied afterwards.
    #[test]
    fn copies_are_listed_first() {
        let mut source = with_layouts(full_hd());
        source.start_offset = 1.25;
        let listed = |format: &str| {
            let template = fixtures::template(json!({"format": format, "vcodec": "copy", "acodec": "copy"}));
            let plan = fixtures::try_plan(&template, &source).expect("a plan");
            shown_ffmpeg(args(&context(&plan)))
        };
        insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!("copies_listed", [listed("mp4"), listed("hls")].join("\n"));
        });
    }

    fn frame(pts: f64, dts: f64, duration: f64, is_key: bool) -> VideoFrame {
        VideoFrame { pts, dts, duration, is_key }
    }

    #[test]
    fn decoding_that_begins_at_zero() {
        let mut gops = GopIndex::default();
        gops.add(frame(0.08, 0.0, 0.04, true), 0.001);
        gops.add(frame(0.12, 0.04, 0.04, false), 0.001);
        assert_eq!(gops.problem(None, 1.0, 20.0).as_deref(), Some("its video begins 0.08 s late"));
    }

    #[test]
    fn lists_are_read() {
        let mut list = PacketList::new(1, 1);
        let lines = "#software: Lavf62\n#tb 0: 1/1000\n#tb 1: 1/48000\n#dimensions 0: 256x144\n\
                    0,        -80,          0,       40,     3730, 0xe8a3cecb\n\
                    1,      -1024,      -1024,     1024,      256, 0xea44782a, F=0x5, S=1, Skip Samples, 10, 0x1\n\
                    0,        -40,        160,       40,     1462, 0x2608d22f, F=0x0\n";
        lines.lines().for_each(|line| list.add_line(line));
        assert_eq!(list.streams[0].times, [0.0, 0.16]);
        assert_eq!(list.streams[0].duration(), 0.2);
        assert_eq!(list.streams[1].times, [-1024.0 / 48_000.0]);
        assert_eq!((&list.gops.key_frames[..], list.gops.pts_dts_offset), (&[0.0][..], 0.08));
        assert_eq!(list.without_pts, None);
        list.add_line("1, 5, -9223372036854775808, 1, 1, 0x0");
        assert_eq!(list.without_pts, Some(1));
    }

    /// Frames of 0.5 s, in decoding order: their presentation times, and whether they are key frames.
    fn gops(frames: &[(f64, bool)]) -> GopIndex {
        let mut gops = GopIndex::default();
        for (number, (pts, is_key)) in frames.iter().enumerate() {
            gops.add(frame(*pts, number as f64 * 0.5 - 0.5, 0.5, *is_key), 0.001);
        }
        gops
    }

    const CLOSED: [(f64, bool); 6] =
        [(0.0, true), (1.0, false), (0.5, false), (1.5, true), (2.5, false), (2.0, false)];

    #[rstest]
    #[case::closed(&CLOSED, None, 20.0, None)]
    #[case::idr(&CLOSED, Some(&[0.0, 1.5][..]), 20.0, None)]
    #[case::no_idr(&CLOSED, Some(&[0.0][..]), 20.0, Some("its key frame at 1.50 s is no random access point (IDR)"))]
    #[case::open(&[(0.0, true), (0.5, false), (1.5, true), (1.0, false)], None, 20.0,
        Some("the GOP of its key frame at 1.50 s is open"))]
    #[case::uneven(&[(0.0, true), (0.7, false), (1.5, true)], None, 20.0, Some("its frames come at uneven times before 1.50 s"))]
    #[case::uneven_end(&[(0.0, true), (0.75, false)], None, 20.0, Some("its frames come at uneven times before 1.25 s"))]
    #[case::far(&CLOSED, None, 1.2, Some("a segment from key frame to key frame would last 1.5 s, more than 1 s"))]
    fn where_it_can_be_cut(
        #[case] frames: &[(f64, bool)],
        #[case] random_access: Option<&[f64]>,
        #[case] max_secs: f64,
        #[case] problem: Option<&str>,
    ) {
        assert_eq!(gops(frames).problem(random_access, 1.0, max_secs).as_deref(), problem);
    }
}
