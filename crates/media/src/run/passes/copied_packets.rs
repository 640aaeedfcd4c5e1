//! Which packets are copied, listed before anything runs: FFmpeg writes a `framecrc` line for every packet
//! that it is going to take.
//!
//! What comes out is compared with this list. Video whose GOPs cannot be cut into segments is refused here.

use std::{ffi::OsString, sync::Arc};

use model::{ErrorCode, Format};

use crate::{
    codecs,
    error::{MediaError, damaged_copy},
    memory,
    output::{CopiedPackets, CopiedStream},
    plan::{Plan, VideoPlan},
    run::{
        RunContext,
        args::{CommandContext, ffmpeg, resampled},
        failure::{self, AUDIO_CHANGED_MESSAGE},
        passes::copied_streams,
    },
    tool::{
        Call,
        child::Access,
        ffmpeg::{head, open_input, words},
        framecrc::{FramecrcLine, FramecrcPacket},
        programs::Program,
    },
};

mod gop_index;

use gop_index::{GopIndex, VideoFrame};

/// Seconds of audio that an edit list may leave out at the end: what fills up the last frames.
const MAX_HIDDEN_AUDIO_SECS: f64 = 0.1;

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
    failure::check(Program::Ffmpeg, Ok(ended)).map_err(explain)?;
    // what the stream says of itself explains what is wrong with its times
    let digests = copied_streams::read(context).await?;
    if list.has_damage(plan) {
        return Err(damaged_copy(""));
    }
    list.check(plan).map_err(|detail| MediaError::new(ErrorCode::NothingToTranscode, detail))?;
    let mut streams = list.streams.into_iter().map(Arc::new);
    let videos = streams.by_ref().take(videos).collect();
    let audios = streams.take(audios).collect();
    Ok(CopiedPackets { videos, audios, digests })
}

/// A container has the sample rate and the channels of a track once, in its sample entry. Nothing is encoded here, so
/// what else fails is what is read.
fn explain(error: MediaError) -> MediaError {
    if !error.log.contains(AUDIO_CHANGED_MESSAGE) {
        return if error.code == ErrorCode::EncodingFailed { damaged_copy(&error.log) } else { error };
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
    }
    for video in &plan.videos {
        args.extend(packets_in_display_order(video));
        if plan.segmenting.is_some() {
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

/// The copied video two times more, for codecs whose frames have an order of their own (picture order count): all of its
/// packets, each shown when that says, whatever the container says; and those that the container has shown before they are
/// decoded.
fn packets_in_display_order(video: &VideoPlan) -> Vec<OsString> {
    match video.copied() {
        Some(copied) if codecs::video(video.codec).idr_nal_types().is_some() => {
            let map = format!("0:{}", copied.index);
            let early = "noise=drop='gte(pts,dts)'";
            words(&["-map", &map, "-bsf:v:1", "dts2pts", "-map", &map, "-bsf:v:2", early])
        }
        _ => Vec::new(),
    }
}

/// The copied video once more, as the last stream: only its random access packets (IDR), for codecs
/// whose key frames need not be random access points.
fn random_access_packets(video: &VideoPlan) -> Vec<OsString> {
    let (Some(copied), Some(nal_types)) = (video.copied(), codecs::video(video.codec).idr_nal_types()) else {
        return Vec::new();
    };
    let filter = format!("filter_units=pass_types={nal_types}");
    words(&["-map", &format!("0:{}", copied.index), "-bsf:v:3", &filter])
}

/// Packets of a stream that is copied, whose times are kept: 12 h of 120 frames a second have 5 million.
const MAX_COPIED_PACKETS: usize = model::limits::MAX_COPIED_PACKETS;

/// Takes in the lines of `framecrc`.
struct PacketList {
    videos: usize,
    copied: usize,
    /// Renditions, audios, then of the video, where they were asked for, its packets in its own display order, those that
    /// are shown too early, and its random access packets.
    streams: Vec<CopiedStream>,
    gops: GopIndex,
    /// A stream with a packet that has no presentation time.
    without_pts: Option<usize>,
    /// Whether a stream has more packets than are kept.
    has_too_many: bool,
    /// Seconds of each stream that an edit list leaves out, before 0 and from there on.
    hidden: Vec<[f64; 2]>,
    /// The decoding times of the video, as it is and in its own display order.
    decoding_times: [Vec<Option<i64>>; 2],
}

impl PacketList {
    fn new(videos: usize, audios: usize) -> Self {
        let streams = vec![CopiedStream::default(); videos + audios + 3];
        let (copied, hidden) = (videos + audios, vec![[0.0; 2]; streams.len()]);
        Self {
            videos,
            copied,
            streams,
            gops: GopIndex::default(),
            without_pts: None,
            hidden,
            decoding_times: Default::default(),
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
        if packet.is_hidden {
            self.hidden[packet.stream][usize::from(pts >= 0.0)] += duration;
        }
        if self.videos > 0 && packet.stream == 0 {
            self.decoding_times[0].push(packet.dts);
        } else if packet.stream == self.copied {
            self.decoding_times[1].push(packet.dts);
        }
        stream.times.push(pts);
        stream.end = stream.end.max(pts + duration);
        if packet.stream < self.videos {
            self.gops.add(VideoFrame { pts, dts, duration, is_key: packet.is_key }, stream.time_base);
        }
    }

    /// The times of the video's frames in decoding order: what the container says, and what the stream's own display order
    /// leads to. Frames to which FFmpeg gives other decoding times are left out: it does not know their order, as of the
    /// last ones and of those that are key frames alone.
    fn own_times(&self) -> Vec<(f64, f64)> {
        let [by_container, by_stream] = &self.decoding_times;
        let (Some(told), Some(own)) = (self.streams.first(), self.streams.get(self.copied)) else {
            return Vec::new();
        };
        let mut times = Vec::new();
        for (frame, decoding_time) in by_stream.iter().enumerate() {
            if by_container.get(frame) == Some(decoding_time) {
                times.push((told.times[frame], own.times[frame]));
            }
        }
        times
    }

    /// Whether packets of the video could not be read.
    fn has_damage(&self, plan: &Plan) -> bool {
        let has_own_order = |video: &VideoPlan| codecs::video(video.codec).idr_nal_types().is_some();
        let [by_container, by_stream] = &self.decoding_times;
        self.videos > 0
            && plan.videos.first().is_some_and(has_own_order)
            && by_container.len() != by_stream.len()
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
        let is_hidden = |(stream, [before, after]): (usize, &[f64; 2])| match stream < self.videos {
            // only the edit list of an MP4 says so again
            true => *after > 0.0 || *before > 0.0 && plan.format != Format::Mp4,
            false => *after > MAX_HIDDEN_AUDIO_SECS,
        };
        if self.hidden[..self.copied].iter().enumerate().any(is_hidden) {
            return Err(
                "its edit list leaves out frames that are in the file, so that it cannot be copied; vcodec `h264` and \
                 acodec `aac` would encode what is shown"
                    .to_owned(),
            );
        }
        if self.videos == 0 {
            return Ok(());
        }
        let Some(video) = plan.videos.first() else { return Ok(()) };
        let has_own_order = codecs::video(video.codec).idr_nal_types().is_some();
        let times =
            |stream: usize| self.streams.get(stream).map_or(&[][..], |stream| stream.times.as_slice());
        let early = times(self.copied + 1).first().copied();
        if has_own_order && let Some(at) = early.or_else(|| out_of_order(&self.own_times())) {
            return Err(format!(
                "the times of its frames contradict their order in the video itself, near {at:.2} s, so that it cannot \
                 be copied; vcodec `h264` would encode it"
            ));
        }
        let Some(segmenting) = plan.segmenting else { return Ok(()) };
        let random_access = if has_own_order { Some(times(self.copied + 2)) } else { None };
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

/// The time of a frame that is not shown where its stream has it, if there is one: the container shows all frames in
/// decoding order, and the stream does not. Where a container has an order at all it is believed: what `dts2pts` makes of
/// short GOPs with B-frames is not reliable enough to refuse it.
fn out_of_order(times: &[(f64, f64)]) -> Option<f64> {
    if !times.is_sorted_by(|(one, _), (next, _)| one < next) {
        return None;
    }
    times.windows(2).find(|frames| frames[1].1 <= frames[0].1).map(|frames| frames[1].0)
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_container_without_an_order_shows_frames_as_the_stream_does() {
        let in_order = [(0.0, 0.0), (0.04, 0.04), (0.08, 0.08)];
        assert_eq!(out_of_order(&in_order), None);
        let reordered_by_the_stream = [(0.0, 0.0), (0.04, 0.12), (0.08, 0.04)];
        assert_eq!(out_of_order(&reordered_by_the_stream), Some(0.08));
        let reordered_by_the_container = [(0.0, 0.0), (0.12, 0.04), (0.04, 0.08)];
        assert_eq!(out_of_order(&reordered_by_the_container), None);
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
}
