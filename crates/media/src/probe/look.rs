//! The tools, as the prober asks them: describe, list packets, decode a little. One question is one
//! child, which sees the input and nothing else.

use std::{ffi::OsString, path::Path, time::Duration};

use model::ErrorCode;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    described::{self, Described},
    packets::{Packets, Walk},
    report,
};
use crate::{
    HdrMetadata, MediaError, MediaInput,
    settings::InputLimits,
    tool::{
        Call, Tools,
        child::{Access, CallLimits, Captured},
        ffmpeg,
        programs::Program,
    },
};

/// A question that takes longer has no answer; a walk over the packets reads the whole file.
const LONGEST: Duration = Duration::from_secs(120);
const LONGEST_WALK: Duration = Duration::from_secs(1800);
/// Bytes of packet lines: 12 h of pictures and of many sounds.
const MOST_LINES: usize = 4 << 30;
/// Packets that tell whether a rate is constant.
const RATE_PACKETS: u32 = 3000;
/// As few as do, where they have to be waited for: 20 s of a usual picture.
const SOON_PACKETS: u32 = 501;
/// Seconds from the start where a picture is looked at when the rest has to be waited for.
const SOON: f64 = 5.0;
/// Frames that tell whether lines are interlaced.
const FIELD_FRAMES: u32 = 16;
/// Frames of a sound that have to be decoded for it to be usable.
const SOUND_FRAMES: u32 = 8;

/// Asks about one input.
pub(super) struct Prober<'a> {
    pub tools: &'a Tools,
    pub limits: &'a InputLimits,
    pub input: MediaInput<'a>,
    pub cancel: &'a CancellationToken,
}

impl Prober<'_> {
    pub(super) async fn describe(&self) -> Result<Described, MediaError> {
        let shown = ["-show_format", "-show_streams", "-show_programs", "-show_chapters", "-of", "json"];
        let asked = self.ffprobe(&shown);
        let said = self.ask(Program::Ffprobe, asked).await?;
        let log = &said.stderr_tail;
        if log.contains("not on whitelist") {
            let detail = "the file refers to other files or to the network";
            return Err(MediaError::new(ErrorCode::InputForbidden, detail).with_log(log));
        }
        match Described::parse(&said.stdout) {
            Some(described) if said.status.success() => Ok(described),
            _ => Err(MediaError::new(ErrorCode::InvalidInput, unreadable(log)).with_log(log)),
        }
    }

    /// Walks over all packets of all streams.
    pub(super) async fn packets(&self, described: &Described) -> Result<Packets, MediaError> {
        let begins_anew = report::counts_from_its_streams(described);
        self.walk(Walk::new(described, begins_anew), &[]).await
    }

    /// Walks over the first packets of one stream.
    pub(super) async fn first_packets(&self, stream: u32) -> Result<Packets, MediaError> {
        let most = match self.input {
            MediaInput::File(_) => RATE_PACKETS,
            MediaInput::Growing(_) => SOON_PACKETS,
        };
        let interval = format!("%+#{most}");
        self.walk(Walk::default(), &["-select_streams", &stream.to_string(), "-read_intervals", &interval])
            .await
    }

    async fn walk(&self, mut walk: Walk, which: &[&str]) -> Result<Packets, MediaError> {
        let mut shown = which.to_vec();
        shown.extend(["-show_entries", Walk::ENTRIES, "-of", "csv=p=0"]);
        shown.extend(ffmpeg::BLOCK_OUTPUT);
        let limits = CallLimits { deadline: LONGEST_WALK, stdout_bytes: Some(MOST_LINES) };
        let call = Call {
            program: Program::Ffprobe,
            args: self.ffprobe(&shown),
            access: self.access(),
            stdin: self.input.stdin()?,
        };
        self.tools.lines(call, limits, self.cancel, |line| walk.read(line)).await.map_err(too_slow)?;
        Ok(walk.end())
    }

    /// Which of these streams give decoded frames within so many seconds of the file's start.
    pub(super) async fn decodes(&self, streams: &[u32], seconds: f64) -> Result<Vec<u32>, MediaError> {
        let said = self.decoded_frames(streams, seconds).await?;
        if said.status.success() || streams.len() == 1 {
            return Ok(numbers_of_lines(&said.stdout)
                .into_iter()
                .filter_map(|number| streams.get(number).copied())
                .collect());
        }
        // one that has no decoder fails all of them
        let mut good = Vec::new();
        for stream in streams {
            let said = self.decoded_frames(&[*stream], seconds).await?;
            good.extend(numbers_of_lines(&said.stdout).into_iter().take(1).map(|_| *stream));
        }
        Ok(good)
    }

    async fn decoded_frames(&self, streams: &[u32], seconds: f64) -> Result<Captured, MediaError> {
        let mut arguments = ffmpeg("error", &["-t".to_owned(), format!("{seconds:.3}")], self.input.name());
        for stream in streams {
            arguments.extend(["-map".into(), format!("0:{stream}").into()]);
        }
        let frames = SOUND_FRAMES.to_string();
        let decoded = [
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
        arguments.extend(decoded.map(OsString::from));
        arguments.push("pipe:1".into());
        self.ask(Program::Ffmpeg, arguments).await
    }

    /// Looks at some frames within so many seconds, in the middle rather than at titles; whether they are
    /// interlaced, and which field is the first.
    pub(super) async fn fields(&self, stream: u32, duration: f64) -> Result<Fields, MediaError> {
        let from = match self.input {
            _ if duration <= 20.0 => 0.0,
            MediaInput::File(_) => duration * 0.3,
            MediaInput::Growing(_) => SOON,
        };
        // combs show without the loop filter as well, which costs a quarter of the decoding
        // any frames do: those from the key frame to the exact place need not be decoded
        let before = ["-skip_loop_filter", "all", "-noaccurate_seek", "-ss", &format!("{from:.3}")];
        let before = before.map(str::to_owned);
        let mut arguments = ffmpeg("info", &before, self.input.name());
        let map = format!("0:{stream}");
        let frames = FIELD_FRAMES.to_string();
        let looked_at = [
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
        arguments.extend(looked_at.map(OsString::from));
        let said = self.ask(Program::Ffmpeg, arguments).await?;
        Ok(Fields::parse(&said.stderr_tail))
    }

    /// What the first frame of a stream says of its light: many files say it nowhere else.
    pub(super) async fn light(&self, stream: u32) -> Result<HdrMetadata, MediaError> {
        let asked = self.ffprobe(&[
            "-select_streams",
            &stream.to_string(),
            "-read_intervals",
            "%+#1",
            "-show_frames",
            "-show_entries",
            "frame_side_data",
            "-of",
            "json",
        ]);
        let said = self.ask(Program::Ffprobe, asked).await?;
        let said: Value = serde_json::from_slice(&said.stdout).unwrap_or_default();
        let side_data = said["frames"][0]["side_data_list"].as_array();
        Ok(described::light(side_data.map(Vec::as_slice).unwrap_or_default()))
    }

    fn ffprobe(&self, shown: &[&str]) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["-v".into(), "error".into()];
        arguments.extend(shown.iter().map(OsString::from));
        arguments.extend(ffmpeg::open_input(self.input.name(), true));
        arguments
    }

    async fn ask(&self, program: Program, arguments: Vec<OsString>) -> Result<Captured, MediaError> {
        let limits = CallLimits { deadline: LONGEST, ..CallLimits::default() };
        let call = Call { program, args: arguments, access: self.access(), stdin: self.input.stdin()? };
        self.tools.capture(call, limits, self.cancel).await.map_err(too_slow)
    }

    fn access(&self) -> Access {
        Access { readable: self.input.readable(), writable: Vec::new() }
    }
}

/// How many frames were found to be what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    pub top_first: u64,
    pub bottom_first: u64,
    pub progressive: u64,
}

impl Fields {
    /// Reads idet's last words: `Multi frame detection: TFF: 48 BFF: 0 Progressive: 0 Undetermined: 0`.
    fn parse(log: &str) -> Self {
        let Some((_, counts)) = log.rsplit_once("Multi frame detection:") else { return Self::default() };
        let mut words = counts.lines().next().unwrap_or_default().split_whitespace();
        let mut fields = Self::default();
        while let (Some(name), Some(count)) = (words.next(), words.next()) {
            let count = count.parse().unwrap_or(0);
            match name {
                "TFF:" => fields.top_first = count,
                "BFF:" => fields.bottom_first = count,
                "Progressive:" => fields.progressive = count,
                _ => {}
            }
        }
        fields
    }

    pub(super) fn is_interlaced(self) -> bool {
        self.top_first + self.bottom_first > self.progressive
    }
}

fn ffmpeg(level: &str, before: &[String], path: &Path) -> Vec<OsString> {
    let start = ["-nostdin", "-hide_banner", "-nostats", "-loglevel", level, "-noautorotate"];
    let mut arguments: Vec<OsString> = start.iter().map(OsString::from).collect();
    arguments.extend(before.iter().map(OsString::from));
    arguments.extend(ffmpeg::open_input(path, false));
    arguments
}

/// The output streams that framecrc wrote a frame of.
fn numbers_of_lines(stdout: &[u8]) -> Vec<usize> {
    let text = String::from_utf8_lossy(stdout);
    let numbers = text.lines().filter_map(|line| line.split(',').next()?.trim().parse().ok());
    numbers.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// A tool that finds no end is the input's fault here.
fn too_slow(error: MediaError) -> MediaError {
    match error.code {
        ErrorCode::EncodingOverLimit => {
            MediaError::new(ErrorCode::InvalidInput, format!("it could not be read: {}", error.detail))
                .with_log(error.log)
        }
        _ => error,
    }
}

fn unreadable(log: &str) -> &'static str {
    if log.contains("moov atom not found") {
        "it is not media, or its index (moov) is missing because it is truncated"
    } else {
        "it is not media that can be read"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_count_of_idet_counts() {
        let log = "[Parsed_idet_0 @ 0x1] Repeated Fields: Neither:    48 Top:     0 Bottom:     0\n\
                   [Parsed_idet_0 @ 0x1] Single frame detection: TFF:     1 BFF:     2 Progressive:     3 Undetermined:     4\n\
                   [Parsed_idet_0 @ 0x1] Multi frame detection: TFF:    40 BFF:     0 Progressive:     5 Undetermined:     3\n";
        let fields = Fields::parse(log);
        assert_eq!(fields, Fields { top_first: 40, bottom_first: 0, progressive: 5 });
        assert!(fields.is_interlaced());
        assert!(!Fields::parse("nothing").is_interlaced());
    }

    #[test]
    fn streams_with_frames() {
        let said = b"#software: Lavf\n#tb 0: 1/48000\n1,          0,          0,     1024,     4096, 0xdeadbeef\n1, 1024, 1024, 1024, 4096, 0x1\n";
        assert_eq!(numbers_of_lines(said), [1]);
    }
}
