//! Decodes the first and the last segment of a track, or the start and the end of a long file.

use std::{ffi::OsString, path::PathBuf};

use model::VideoCodec;
use tokio_util::sync::CancellationToken;

use super::{
    facts::{Packets, StreamFacts},
    listing::{Planned, Track, wrong},
    scan::{Input, Reader},
};
use crate::{
    error::{MediaError, damaged_copy},
    output::CopiedPackets,
    plan::Plan,
    tool::{
        Call, Tools,
        child::Access,
        feed,
        ffmpeg::{file_or_stdin, head, words},
        framecrc::FramecrcLine,
        programs::Program,
    },
};

/// Seconds of a file that are decoded at its start and at its end.
const STRETCH: f64 = 4.0;

/// ffprobe's arguments to decode all that it reads, and to count it. The loop filter is left out, a fifth
/// of the work: it has no syntax of its own that could be wrong.
pub(super) const COUNTED: [&str; 5] = ["-count_frames", "-threads", "2", "-skip_loop_filter", "all"];

/// Whether a track is decoded whole, while it is scanned: that costs less than to look at it twice.
pub(super) fn is_short(plan: &Plan, track: &Track) -> bool {
    plan.duration <= 2.0 * STRETCH || plan.segmenting.is_some() && track.segments.len() <= 2
}

/// What was scanned and decoded whole has as many frames as packets.
pub(super) fn check_whole(track: &Track, facts: &[StreamFacts]) -> Result<(), MediaError> {
    let each = track.planned.iter().zip(facts);
    each.into_iter().try_for_each(|(planned, stream)| {
        check_count(track, *planned, stream, stream.header.decoded, stream.packets.count)
    })
}

/// Whether a track has to be decoded by FFmpeg: ffprobe's build has no decoder for AV1.
pub(super) fn needs_ffmpeg(plan: &Plan, track: &Track) -> bool {
    let is_av1 = |planned: &Planned| match *planned {
        Planned::Video(number) => plan.videos[number].codec == VideoCodec::Av1,
        Planned::Audio(_) => false,
    };
    track.planned.iter().any(is_av1)
}

/// Decodes a short track whole and both ends of others, by FFmpeg.
pub(super) async fn check_by_ffmpeg(
    tools: &Tools,
    plan: &Plan,
    track: &Track,
    facts: &[StreamFacts],
    cancel: &CancellationToken,
) -> Result<(), MediaError> {
    let short = is_short(plan, track);
    let file = track.file();
    let feed: Vec<PathBuf> = match (file, short) {
        (Some(_), _) => Vec::new(),
        (None, true) => track.pieces().map(|piece| piece.path.clone()).collect(),
        (None, false) => ends(track).collect(),
    };
    let stretches = match (file, short) {
        (Some(_), false) => vec![
            vec!["-t".to_owned(), STRETCH.to_string()],
            vec!["-ss".to_owned(), format!("{:.3}", plan.duration - STRETCH)],
        ],
        _ => vec![Vec::new()],
    };
    let access = Access { readable: file.into_iter().map(ToOwned::to_owned).collect(), writable: Vec::new() };
    let limits = tools.pass_limits();
    let args = decoded_frames(track, &stretches);
    let mut counts = vec![0_u64; track.planned.len()];
    let stdin = feed::through_pipe(feed)?;
    let call = Call { program: Program::Ffmpeg, args, access, stdin };
    let ended = tools
        .lines(call, limits, cancel, |line| {
            if let Some(stream) = FramecrcLine::packet_stream(&String::from_utf8_lossy(line)) {
                // the same streams for each stretch
                let stream = stream % counts.len().max(1);
                counts[stream] += 1;
            }
        })
        .await?;
    let trouble = ended.stderr_tail.trim();
    if !ended.status.success() || !trouble.is_empty() {
        return Err(damaged(plan, track, "decoded", trouble));
    }
    for ((planned, stream), count) in track.planned.iter().zip(facts).zip(counts) {
        let wanted = Wanted::of(&stream.packets, short, file.is_some());
        wanted.check(track, *planned, stream, Some(count))?;
    }
    Ok(())
}

/// What cannot be read or decoded is wrong; of a copy, the input is to blame, whose packets it has.
pub(super) fn damaged(plan: &Plan, track: &Track, what: &str, log: &str) -> MediaError {
    if track.planned.iter().any(|planned| planned.is_copied(plan)) {
        return damaged_copy(log);
    }
    wrong(format!("`{}` cannot be {what} without errors", track.name)).with_log(log)
}

/// FFmpeg's arguments to decode these stretches of a track and to say a line for each frame.
fn decoded_frames(track: &Track, stretches: &[Vec<String>]) -> Vec<OsString> {
    let mut args = head("error");
    for stretch in stretches {
        args.extend(stretch.iter().map(OsString::from));
        args.extend(words(&["-threads", "2", "-f", track.wrapping.demuxer(), "-i"]));
        args.push(file_or_stdin(track.file()));
    }
    for input in 0..stretches.len() {
        for stream in 0..track.planned.len() {
            args.extend(words(&["-map", &format!("{input}:{stream}")]));
        }
    }
    args.extend(words(&["-fps_mode", "passthrough", "-c:v", "wrapped_avframe", "-c:a", "pcm_s16le"]));
    args.extend(words(&["-f", "framecrc", "pipe:1"]));
    args
}

/// The initialization segment, the first segment and the last one.
fn ends(track: &Track) -> impl Iterator<Item = PathBuf> {
    let both = track.segments.first().into_iter().chain(track.segments.last());
    track.init.iter().chain(both.map(|segment| &segment.piece)).map(|piece| piece.path.clone())
}

/// How many frames have to be decoded.
enum Wanted {
    /// As many as there are packets.
    Exactly(u64),
    /// How far a seek goes back is the demuxer's affair: one stretch at least.
    AtLeast(u64),
}

impl Wanted {
    fn of(packets: &Packets, short: bool, is_file: bool) -> Self {
        let in_ends = || packets.held.first().into_iter().chain(packets.held.last());
        match (short, is_file) {
            (true, _) => Self::Exactly(packets.count),
            (false, true) => Self::AtLeast(match packets.original() {
                Some(original) => {
                    let in_it = |time: &&f64| (0.0..0.9 * STRETCH).contains(*time);
                    original.times.iter().filter(in_it).count() as u64
                }
                None => ((0.9 * STRETCH / packets.frame()) as u64).min(packets.count),
            }),
            (false, false) => Self::Exactly(in_ends().map(|held| held.packets).sum()),
        }
    }

    fn check(
        &self,
        track: &Track,
        planned: Planned,
        stream: &StreamFacts,
        decoded: Option<u64>,
    ) -> Result<(), MediaError> {
        match *self {
            Self::AtLeast(least) if decoded.is_some_and(|count| count >= least) => Ok(()),
            Self::AtLeast(packets) | Self::Exactly(packets) => {
                check_count(track, planned, stream, decoded, packets)
            }
        }
    }
}

/// Decodes both ends of a track.
pub(super) async fn check_ends(
    tools: &Tools,
    plan: &Plan,
    originals: &CopiedPackets,
    track: &Track,
    facts: &[StreamFacts],
    cancel: &CancellationToken,
) -> Result<(), MediaError> {
    let mut args = words(&["-v", "error", "-of", "compact"]);
    args.extend(words(&COUNTED));
    args.extend(words(&["-show_entries", "stream=codec_type,nb_read_frames"]));
    let is_file = track.file().is_some();
    if is_file {
        let from = plan.duration - STRETCH;
        args.extend(words(&["-read_intervals", &format!("%+{STRETCH},{from:.3}%")]));
    }
    let mut reader = Reader::new(plan, originals, track);
    let ended =
        Input::of(track, ends(track).collect()).probe(tools, args, cancel, |line| reader.line(line)).await?;
    let trouble = ended.stderr_tail.trim();
    if !ended.status.success() || !trouble.is_empty() {
        return Err(damaged(plan, track, "decoded", trouble));
    }
    let each = track.planned.iter().zip(facts).zip(reader.streams(&track.name)?);
    for ((planned, stream), decoded) in each {
        let wanted = Wanted::of(&stream.packets, false, is_file);
        wanted.check(track, *planned, stream, decoded.header.decoded)?;
    }
    Ok(())
}

fn check_count(
    track: &Track,
    planned: Planned,
    stream: &StreamFacts,
    decoded: Option<u64>,
    packets: u64,
) -> Result<(), MediaError> {
    let decoded = decoded.unwrap_or(0);
    let silent = match planned {
        Planned::Video(_) => 0,
        // What the encoder puts before the first sample is not played; another one may have put more.
        Planned::Audio(_) => 1 + stream.packets.before_zero(),
    };
    if decoded + silent >= packets && decoded <= packets {
        return Ok(());
    }
    Err(wrong(format!("{decoded} of {packets} frames of `{}` can be decoded", track.name)))
}
