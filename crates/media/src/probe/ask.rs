//! What ffprobe and FFmpeg are asked about an input: its streams, its packets, a few decoded frames. Each
//! question is one child, which sees the input and nothing else.

use std::{ffi::OsString, path::Path, time::Duration};

use model::ErrorCode;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    described::{self, DolbyVision, FfprobeOutput, Stream},
    packets::{PacketReader, PacketStats},
};
use crate::{
    error::MediaError,
    input::MediaInput,
    memory::PROBE_MEMORY_BYTES,
    settings::InputLimits,
    source::HdrMetadata,
    tool::{
        Call, Tools,
        child::{Access, CallLimits, Captured},
        ffmpeg,
        framecrc::FramecrcLine,
        programs::Program,
    },
};

/// How long a question may take that reads a part of the file.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a question may take that reads all packets of the file.
const ALL_PACKETS_TIMEOUT: Duration = Duration::from_secs(1800);
/// Bytes of ffprobe's description of an input, which is kept whole: far more than 64 streams and a thousand chapters
/// take.
const MAX_DESCRIPTION_BYTES: usize = model::limits::MAX_FFPROBE_BYTES;
/// Bytes of packet lines: 12 h of video and of many audio streams.
const MAX_PACKET_LINES_BYTES: usize = 4 << 30;
/// Packets that tell whether a frame rate is constant.
const RATE_PACKETS: u32 = 3000;
/// As few as do where they have to arrive first: 20 s of 25 frames a second.
const RATE_PACKETS_GROWING: u32 = 501;
/// Frames that tell whether a video is interlaced.
const INTERLACE_FRAMES: u32 = 16;
/// A video shorter than this is examined for interlacing from its start.
const INTERLACE_SEEK_MIN_SECS: f64 = 20.0;
/// Share of the duration at which a longer one is examined: beyond titles, which are often progressive.
const INTERLACE_SEEK_SHARE: f64 = 0.3;
/// Seconds at which it is examined where more has to arrive first.
const INTERLACE_SEEK_GROWING_SECS: f64 = 5.0;
/// Frames of an audio stream that have to be decoded for it to be usable.
const TRIAL_AUDIO_FRAMES: u32 = 8;

/// What every question about one input needs.
pub(super) struct ProbeContext<'a> {
    pub tools: &'a Tools,
    pub limits: &'a InputLimits,
    pub input: MediaInput<'a>,
    pub cancel: &'a CancellationToken,
}

impl ProbeContext<'_> {
    /// Asks ffprobe for the container and its streams.
    ///
    /// # Errors
    /// [`ErrorCode::InputForbidden`] for what opens other files, [`ErrorCode::InvalidInput`] for what is
    /// not media.
    pub(super) async fn describe(&self) -> Result<FfprobeOutput, MediaError> {
        let sections = ["-show_format", "-show_streams", "-show_programs", "-show_chapters", "-of", "json"];
        let call = self.call(Program::Ffprobe, self.ffprobe_args(&sections))?;
        let limits = CallLimits { deadline: QUESTION_TIMEOUT, stdout_bytes: Some(MAX_DESCRIPTION_BYTES) };
        let mut json = Vec::new();
        let asked = self.tools.lines(call, limits, self.cancel, |line| json.extend_from_slice(line)).await;
        let answer = asked.map_err(|error| match error.code {
            ErrorCode::InvalidInput => MediaError { detail: too_much_described(&json), ..error },
            _ => blame_input_for_timeout(error),
        })?;
        let log = &answer.stderr_tail;
        if log.contains("not on whitelist") {
            let detail = "the file refers to other files or to the network";
            return Err(MediaError::new(ErrorCode::InputForbidden, detail).with_log(log));
        }
        match FfprobeOutput::parse(&json) {
            Some(described) if answer.status.success() => Ok(described),
            _ => Err(MediaError::new(ErrorCode::InvalidInput, why_unreadable(log)).with_log(log)),
        }
    }

    /// Reads all packets of all streams.
    pub(super) async fn all_packets(&self, described: &FfprobeOutput) -> Result<PacketStats, MediaError> {
        self.read_packets(PacketReader::new(described), &[]).await
    }

    /// Reads the first packets of one stream.
    pub(super) async fn first_packets(&self, stream: u32) -> Result<PacketStats, MediaError> {
        let count = match self.input {
            MediaInput::File(_) => RATE_PACKETS,
            MediaInput::Growing(_) => RATE_PACKETS_GROWING,
        };
        let (stream, interval) = (stream.to_string(), format!("%+#{count}"));
        let selection = ["-select_streams", &stream, "-read_intervals", &interval];
        self.read_packets(PacketReader::default(), &selection).await
    }

    async fn read_packets(
        &self,
        mut reader: PacketReader,
        selection: &[&str],
    ) -> Result<PacketStats, MediaError> {
        let mut options = selection.to_vec();
        options.extend(["-show_entries", PacketReader::ENTRIES, "-of", "csv=p=0"]);
        options.extend(ffmpeg::BLOCK_OUTPUT);
        let limits = CallLimits { deadline: ALL_PACKETS_TIMEOUT, stdout_bytes: Some(MAX_PACKET_LINES_BYTES) };
        let call = self.call(Program::Ffprobe, self.ffprobe_args(&options))?;
        let read = self.tools.lines(call, limits, self.cancel, |line| reader.read_line(line)).await;
        read.map_err(blame_input_for_timeout)?;
        Ok(reader.finish())
    }

    /// Which of these streams give decoded frames within so many seconds of the file's start.
    pub(super) async fn decodable_streams(
        &self,
        streams: &[u32],
        seconds: f64,
    ) -> Result<Vec<u32>, MediaError> {
        let answer = self.trial_decode(streams, seconds).await?;
        if answer.status.success() || streams.len() == 1 {
            let decoded = output_streams(&answer.stdout);
            return Ok(decoded.into_iter().filter_map(|output| streams.get(output).copied()).collect());
        }
        // a stream without a decoder fails the whole call: try each by itself
        let mut decodable = Vec::new();
        for stream in streams {
            let answer = self.trial_decode(&[*stream], seconds).await?;
            if !output_streams(&answer.stdout).is_empty() {
                decodable.push(*stream);
            }
        }
        Ok(decodable)
    }

    /// Decodes a frame of video, or a few of audio, of each stream.
    async fn trial_decode(&self, streams: &[u32], seconds: f64) -> Result<Captured, MediaError> {
        let mut arguments = ffmpeg("error", &["-t".to_owned(), format!("{seconds:.3}")], self.input.name());
        for stream in streams {
            arguments.extend(["-map".into(), format!("0:{stream}").into()]);
        }
        let frames = TRIAL_AUDIO_FRAMES.to_string();
        let outputs = [
            "-c:a",
            "pcm_s16le",
            "-frames:a",
            &frames,
            "-c:v",
            "rawvideo",
            "-frames:v",
            "1",
            "-f",
            "framecrc",
        ];
        arguments.extend(outputs.map(OsString::from));
        arguments.push("pipe:1".into());
        self.ask(Program::Ffmpeg, arguments).await
    }

    /// Counts interlaced frames among some, by FFmpeg's idet filter.
    pub(super) async fn count_interlaced(
        &self,
        stream: u32,
        duration: f64,
    ) -> Result<InterlaceCounts, MediaError> {
        let from = match self.input {
            _ if duration <= INTERLACE_SEEK_MIN_SECS => 0.0,
            MediaInput::File(_) => duration * INTERLACE_SEEK_SHARE,
            MediaInput::Growing(_) => INTERLACE_SEEK_GROWING_SECS,
        };
        // Combing shows without the loop filter too, which is a quarter of the decoding. Any frames do, so
        // those between the key frame and the exact position need not be decoded first.
        let before = ["-skip_loop_filter", "all", "-noaccurate_seek", "-ss", &format!("{from:.3}")];
        let before = before.map(str::to_owned);
        let mut arguments = ffmpeg("info", &before, self.input.name());
        let map = format!("0:{stream}");
        let frames = INTERLACE_FRAMES.to_string();
        let output = [
            "-map",
            &map,
            "-frames:v",
            &frames,
            "-vf",
            "idet",
            "-fps_mode",
            "passthrough",
            "-f",
            "null",
            "-",
        ];
        arguments.extend(output.map(OsString::from));
        let answer = self.ask(Program::Ffmpeg, arguments).await?;
        Ok(InterlaceCounts::parse(&answer.stderr_tail))
    }

    /// What the first frame of a stream says: many files have it in SEI messages and the like alone.
    pub(super) async fn first_frame(&self, stream: &Stream) -> Result<FirstFrame, MediaError> {
        match stream.codec.as_str() {
            "hevc" => self.first_frame_by_ffprobe(stream).await,
            "av1" => self.first_frame_by_ffmpeg(stream).await,
            _ => Ok(FirstFrame::default()),
        }
    }

    async fn first_frame_by_ffprobe(&self, stream: &Stream) -> Result<FirstFrame, MediaError> {
        let args = self.ffprobe_args(&[
            "-select_streams",
            &stream.index.to_string(),
            "-read_intervals",
            "%+#1",
            "-show_frames",
            "-show_entries",
            "frame=interlaced_frame,top_field_first:frame_side_data",
            "-of",
            "json",
        ]);
        let answer = self.ask(Program::Ffprobe, args).await?;
        let json: Value = serde_json::from_slice(&answer.stdout).unwrap_or_default();
        let frame = &json["frames"][0];
        let side_data = frame["side_data_list"].as_array();
        let side_data = side_data.map(Vec::as_slice).unwrap_or_default();
        Ok(FirstFrame {
            hdr_metadata: described::read_hdr_metadata(side_data),
            dolby_vision: side_data
                .iter()
                .find_map(|data| described::read_dolby_vision_rpu(data, &stream.codec)),
            is_field: frame["interlaced_frame"] == 1,
            is_top_field: frame["top_field_first"] == 1,
        })
    }

    /// The build of ffprobe has no decoder for AV1.
    async fn first_frame_by_ffmpeg(&self, stream: &Stream) -> Result<FirstFrame, MediaError> {
        let mut arguments = ffmpeg("info", &[], self.input.name());
        let map = format!("0:{}", stream.index);
        let output = ["-map", &map, "-frames:v", "1", "-vf", "showinfo", "-f", "null", "-"];
        arguments.extend(output.map(OsString::from));
        let answer = self.ask(Program::Ffmpeg, arguments).await?;
        let dolby_vision =
            described::read_dolby_vision_rpu(&shown_side_data(&answer.stderr_tail), &stream.codec);
        Ok(FirstFrame { dolby_vision, ..FirstFrame::default() })
    }

    fn ffprobe_args(&self, options: &[&str]) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["-v".into(), "error".into()];
        arguments.extend(options.iter().map(OsString::from));
        arguments.extend(ffmpeg::open_input(self.input.name(), true));
        arguments
    }

    async fn ask(&self, program: Program, args: Vec<OsString>) -> Result<Captured, MediaError> {
        let limits = CallLimits { deadline: QUESTION_TIMEOUT, ..CallLimits::default() };
        let call = self.call(program, args)?;
        self.tools.capture(call, limits, self.cancel).await.map_err(blame_input_for_timeout)
    }

    fn call(&self, program: Program, args: Vec<OsString>) -> Result<Call, MediaError> {
        let (access, stdin) = (Access::read(self.input.readable()), self.input.stdin()?);
        Ok(Call { program, args, access, stdin, memory_bytes: PROBE_MEMORY_BYTES })
    }
}

/// Of what there is too much, by the section of ffprobe's JSON that was being written.
fn too_much_described(json: &[u8]) -> String {
    let text = String::from_utf8_lossy(json);
    let sections =
        [("programs", "programs"), ("streams", "streams"), ("chapters", "chapters"), ("format", "tags")];
    let started =
        sections.iter().filter_map(|(key, words)| Some((text.find(&format!("\n    \"{key}\":"))?, *words)));
    let (_, words) = started.max().unwrap_or((0, "streams"));
    format!("it has more {words} than are read: what describes it is over {MAX_DESCRIPTION_BYTES} bytes")
}

/// What the first frame of a stream says that its headers do not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FirstFrame {
    pub hdr_metadata: HdrMetadata,
    pub dolby_vision: Option<DolbyVision>,
    /// Whether it is a field: the decoder of H.265 marks nothing else as interlaced.
    pub is_field: bool,
    pub is_top_field: bool,
}

/// The Dolby Vision metadata that the filter showinfo wrote, `name=value; name=value`, as ffprobe has it.
fn shown_side_data(log: &str) -> Value {
    let line = log.lines().find(|line| line.contains("Dolby Vision Metadata:")).unwrap_or_default();
    let fields = line.split([':', ';']).filter_map(|field| field.trim().split_once('='));
    fields.map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
}

/// How many frames are interlaced, by the field that comes first, and how many are not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct InterlaceCounts {
    pub top_first: u64,
    pub bottom_first: u64,
    pub progressive: u64,
}

impl InterlaceCounts {
    /// Reads the last line of idet: `Multi frame detection: TFF: 48 BFF: 0 Progressive: 0 Undetermined: 0`.
    fn parse(log: &str) -> Self {
        let Some((_, counts)) = log.rsplit_once("Multi frame detection:") else { return Self::default() };
        let mut words = counts.lines().next().unwrap_or_default().split_whitespace();
        let mut found = Self::default();
        while let (Some(name), Some(count)) = (words.next(), words.next()) {
            let count = count.parse().unwrap_or(0);
            match name {
                "TFF:" => found.top_first = count,
                "BFF:" => found.bottom_first = count,
                "Progressive:" => found.progressive = count,
                _ => {}
            }
        }
        found
    }

    pub(super) fn is_interlaced(self) -> bool {
        self.top_first + self.bottom_first > self.progressive
    }
}

fn ffmpeg(level: &str, before: &[String], path: &Path) -> Vec<OsString> {
    let mut arguments = ffmpeg::head(level);
    arguments.push("-noautorotate".into());
    arguments.extend(before.iter().map(OsString::from));
    arguments.extend(ffmpeg::open_input(path, false));
    arguments
}

/// The output streams that framecrc wrote a frame of, ascending.
fn output_streams(stdout: &[u8]) -> Vec<usize> {
    let text = String::from_utf8_lossy(stdout);
    let numbers = text.lines().filter_map(FramecrcLine::packet_stream);
    numbers.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// An input that a tool cannot read in time is refused; it is not a limit of encoding.
fn blame_input_for_timeout(error: MediaError) -> MediaError {
    match error.code {
        ErrorCode::EncodingOverLimit => {
            MediaError::new(ErrorCode::InvalidInput, format!("it could not be read: {}", error.detail))
                .with_log(error.log)
        }
        _ => error,
    }
}

fn why_unreadable(log: &str) -> &'static str {
    if log.contains("moov atom not found") {
        "it is not media, or its index (moov) is missing because it is truncated"
    } else {
        "it is not media that can be read"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("{\n    \"streams\": [\n{}\n    ],\n    \"chapters\": [\n        {", "chapters")]
    #[case("{\n    \"programs\": [\n\n    ],\n    \"streams\": [\n  { \"chapters\": 1", "streams")]
    #[case("{\n    \"chapters\": [],\n    \"format\": {", "tags")]
    fn what_there_is_too_much_of_is_named(#[case] json: &str, #[case] named: &str) {
        let detail = too_much_described(json.as_bytes());
        assert!(detail.starts_with(&format!("it has more {named} than are read")), "{detail}");
    }

    #[test]
    fn the_last_count_of_idet_counts() {
        let log = "[Parsed_idet_0 @ 0x1] Repeated Fields: Neither:    48 Top:     0 Bottom:     0\n\
                   [Parsed_idet_0 @ 0x1] Single frame detection: TFF:     1 BFF:     2 Progressive:     3 Undetermined:     4\n\
                   [Parsed_idet_0 @ 0x1] Multi frame detection: TFF:    40 BFF:     0 Progressive:     5 Undetermined:     3\n";
        let counts = InterlaceCounts::parse(log);
        assert_eq!(counts, InterlaceCounts { top_first: 40, bottom_first: 0, progressive: 5 });
        assert!(counts.is_interlaced());
        assert!(!InterlaceCounts::parse("nothing").is_interlaced());
    }

    #[test]
    fn what_showinfo_says_of_dolby_vision() {
        let log = "[Parsed_showinfo_0 @ 0x1]   side data - Dolby Vision Metadata:     rpu_type=2; vdr_rpu_profile=0; \
                   bl_video_full_range_flag=1; bl_bit_depth=10\n[x] color_range:tv";
        let shown = shown_side_data(log);
        assert_eq!(
            (&shown["vdr_rpu_profile"], &shown["bl_video_full_range_flag"]),
            (&Value::from("0"), &Value::from("1"))
        );
        assert_eq!(shown_side_data("nothing"), serde_json::json!({}));
    }

    #[test]
    fn streams_with_frames() {
        let lines = b"#software: Lavf\n#tb 0: 1/48000\n1,          0,          0,     1024,     4096, 0xdeadbeef\n1, 1024, 1024, 1024, 4096, 0x1\n";
        assert_eq!(output_streams(lines), [1]);
    }
}
