//! Decodes the first and the last segment of a track, or the start and the end of a long file: every frame
//! of them has to come out, without an error.

use std::{ffi::OsString, path::PathBuf};

use super::{
    VerifyContext,
    facts::{StreamFacts, StreamPackets},
    listing::{StreamRef, Track, damaged_output, wrong_output},
    scan::{COUNT_FRAMES, EXCERPT_SECS, ScanInput, ScanReader, is_short},
};
use crate::{
    error::MediaError,
    memory,
    tool::{
        Call,
        child::Access,
        feed,
        ffmpeg::{file_or_stdin, head, words},
        framecrc::FramecrcLine,
        programs::Program,
    },
};

/// Share of an excerpt whose frames have to come out: how far a seek goes back is up to the demuxer.
const MIN_EXCERPT_SHARE: f64 = 0.9;

/// A track that was decoded whole while it was scanned has as many frames as packets.
pub(super) fn check_whole(track: &Track, facts: &[StreamFacts]) -> Result<(), MediaError> {
    for (planned, stream) in track.planned.iter().zip(facts) {
        let decoded = stream.header.decoded_frames.unwrap_or(0);
        check_count(track, *planned, stream, decoded, stream.packets.count)?;
    }
    Ok(())
}

/// Decodes a short track whole, and both ends of another, by FFmpeg.
pub(super) async fn check_by_ffmpeg(
    context: VerifyContext<'_>,
    track: &Track,
    facts: &[StreamFacts],
) -> Result<(), MediaError> {
    let plan = context.plan;
    let is_short = is_short(plan, track);
    let file = track.single_file();
    let feed: Vec<PathBuf> = match (file, is_short) {
        (Some(_), _) => Vec::new(),
        (None, true) => track.files().map(|file| file.path.clone()).collect(),
        (None, false) => first_and_last(track).collect(),
    };
    let excerpts = match (file, is_short) {
        (Some(_), false) => vec![
            vec!["-t".to_owned(), EXCERPT_SECS.to_string()],
            vec!["-ss".to_owned(), format!("{:.3}", plan.duration - EXCERPT_SECS)],
        ],
        _ => vec![Vec::new()],
    };
    let call = Call {
        program: Program::Ffmpeg,
        args: framecrc_args(track, &excerpts),
        access: Access::read(file.into_iter().map(ToOwned::to_owned).collect()),
        stdin: feed::through_pipe(context.dir, feed)?,
        memory_bytes: memory::of_verification(plan),
    };
    let mut counts = vec![0_u64; track.planned.len()];
    let count_frame = |line: &[u8]| {
        if let Some(output) = FramecrcLine::packet_stream(&String::from_utf8_lossy(line)) {
            // each excerpt has the same streams
            let stream = output % counts.len().max(1);
            counts[stream] += 1;
        }
    };
    let tools = context.tools;
    let ended = tools.lines(call, tools.pass_limits(), context.cancel, count_frame).await?;
    let errors = ended.stderr_tail.trim();
    if !ended.status.success() || !errors.is_empty() {
        return Err(damaged_output(plan, track, "decoded", errors));
    }
    for ((planned, stream), count) in track.planned.iter().zip(facts).zip(counts) {
        let expected = ExpectedFrames::of(&stream.packets, is_short, file.is_some());
        expected.check(track, *planned, stream, count)?;
    }
    Ok(())
}

/// FFmpeg's arguments to decode these excerpts of a track, and to write a line for each frame.
fn framecrc_args(track: &Track, excerpts: &[Vec<String>]) -> Vec<OsString> {
    let mut args = head("error");
    for excerpt in excerpts {
        args.extend(excerpt.iter().map(OsString::from));
        args.extend(words(&["-threads", "2", "-f", track.container.demuxer(), "-i"]));
        args.push(file_or_stdin(track.single_file()));
    }
    for input in 0..excerpts.len() {
        for stream in 0..track.planned.len() {
            args.extend(words(&["-map", &format!("{input}:{stream}")]));
        }
    }
    args.extend(words(&["-fps_mode", "passthrough", "-c:v", "wrapped_avframe", "-c:a", "pcm_s16le"]));
    args.extend(words(&["-f", "framecrc", "pipe:1"]));
    args
}

/// The initialization segment, the first segment and the last one.
fn first_and_last(track: &Track) -> impl Iterator<Item = PathBuf> {
    let segments = track.segments.first().into_iter().chain(track.segments.last());
    track.init.iter().chain(segments.map(|segment| &segment.file)).map(|file| file.path.clone())
}

/// How many frames have to be decoded.
enum ExpectedFrames {
    /// As many as there are packets.
    Exactly(u64),
    /// Those of one excerpt at least.
    AtLeast(u64),
}

impl ExpectedFrames {
    fn of(packets: &StreamPackets, is_whole: bool, is_file: bool) -> Self {
        if is_whole {
            return Self::Exactly(packets.count);
        }
        if !is_file {
            let ends = packets.segments.first().into_iter().chain(packets.segments.last());
            return Self::Exactly(ends.map(|segment| segment.packets).sum());
        }
        let seconds = MIN_EXCERPT_SHARE * EXCERPT_SECS;
        Self::AtLeast(match packets.source() {
            Some(source) => source.times.iter().filter(|time| (0.0..seconds).contains(*time)).count() as u64,
            None => ((seconds / packets.frame_duration()) as u64).min(packets.count),
        })
    }

    fn check(
        &self,
        track: &Track,
        planned: StreamRef,
        stream: &StreamFacts,
        decoded: u64,
    ) -> Result<(), MediaError> {
        match *self {
            Self::AtLeast(least) if decoded >= least => Ok(()),
            Self::AtLeast(packets) | Self::Exactly(packets) => {
                check_count(track, planned, stream, decoded, packets)
            }
        }
    }
}

/// Decodes both ends of a track by ffprobe.
pub(super) async fn check_ends(
    context: VerifyContext<'_>,
    track: &Track,
    facts: &[StreamFacts],
) -> Result<(), MediaError> {
    let plan = context.plan;
    let mut args = words(&["-v", "error", "-of", "compact"]);
    args.extend(words(&COUNT_FRAMES));
    args.extend(words(&["-show_entries", "stream=codec_type,nb_read_frames"]));
    let is_file = track.single_file().is_some();
    if is_file {
        let from = plan.duration - EXCERPT_SECS;
        args.extend(words(&["-read_intervals", &format!("%+{EXCERPT_SECS},{from:.3}%")]));
    }
    let mut reader = ScanReader::new(context, track);
    let input = ScanInput::new(track, first_and_last(track).collect());
    let ended = input.run_ffprobe(context, args, |line| reader.read_line(line)).await?;
    let errors = ended.stderr_tail.trim();
    if !ended.status.success() || !errors.is_empty() {
        return Err(damaged_output(plan, track, "decoded", errors));
    }
    let ends = reader.finish(&track.name)?;
    for ((planned, stream), end) in track.planned.iter().zip(facts).zip(ends) {
        let expected = ExpectedFrames::of(&stream.packets, false, is_file);
        expected.check(track, *planned, stream, end.header.decoded_frames.unwrap_or(0))?;
    }
    Ok(())
}

fn check_count(
    track: &Track,
    planned: StreamRef,
    stream: &StreamFacts,
    decoded: u64,
    packets: u64,
) -> Result<(), MediaError> {
    // Priming: what an encoder of audio puts before the first sample is not given out; another one may have
    // put more.
    let priming = match planned {
        StreamRef::Video(_) => 0,
        StreamRef::Audio(_) => 1 + stream.packets.packets_before_zero(),
    };
    if decoded + priming >= packets && decoded <= packets {
        return Ok(());
    }
    Err(wrong_output(format!("{decoded} of {packets} frames of `{}` can be decoded", track.name)))
}
