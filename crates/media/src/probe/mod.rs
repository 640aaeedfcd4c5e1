//! Says what came in, and refuses what cannot be transcoded before anything is encoded.
//!
//! The content is judged, never the name. What a header says of durations is believed only as far as an
//! index in the file vouches for it ([`inspect`]); else the time stamps of all packets are read
//! ([`packets`]).

use std::path::Path;

use model::ErrorCode;
use tokio_util::sync::CancellationToken;

use crate::{
    error::MediaError,
    format::mp4::index::Mp4Index,
    input::{GrowingInput, MediaInput},
    settings::InputLimits,
    source::Source,
    tool::Tools,
};

mod ask;
mod choose;
mod clock;
mod clock_reset;
mod described;
mod inspect;
mod packets;
mod rate;
mod report;
#[cfg(test)]
mod tests;

use ask::{FirstFrame, ProbeContext};
use described::{DolbyVision, FfprobeOutput, Stream};
use inspect::InspectedFile;
use packets::PacketStats;

/// Seconds by which one track may be ahead of another in a file that is read front to back: FFmpeg keeps
/// what is ahead in memory.
const MAX_INTERLEAVE_GAP_SECS: f64 = 10.0;

/// Seconds of a stream that have to hold a frame that can be decoded.
const TRIAL_DECODE_SECS: f64 = 10.0;

/// Reads a whole file.
///
/// # Errors
/// [`ErrorCode::InputForbidden`] for what names other files, [`ErrorCode::InputOverLimit`],
/// [`ErrorCode::NothingToTranscode`], and [`ErrorCode::InvalidInput`] for what is damaged or not media.
pub(crate) async fn probe(
    tools: &Tools,
    limits: &InputLimits,
    input: &Path,
    cancel: &CancellationToken,
) -> Result<Source, MediaError> {
    let file = inspect::inspect_file(input, limits).await?;
    let context = ProbeContext { tools, limits, input: MediaInput::File(input), cancel };
    let described = context.describe().await?;
    probe_streams(&context, &file, &described).await
}

/// Reads a file of which only the front has to be there: a MP4 with `moov` before its media data, whose
/// tracks lie side by side. None where the whole has to be there, also where that would say better what is
/// wrong.
///
/// # Errors
/// As [`probe`], where the index alone says so.
pub(crate) async fn probe_growing(
    tools: &Tools,
    limits: &InputLimits,
    input: &GrowingInput,
    cancel: &CancellationToken,
) -> Result<Option<Source>, MediaError> {
    let Some(file) = inspect::inspect_front(input, limits).await? else { return Ok(None) };
    if !file.index.as_ref().is_some_and(can_be_streamed) {
        return Ok(None);
    }
    let context = ProbeContext { tools, limits, input: MediaInput::Growing(input), cancel };
    let probed = async {
        let described = context.describe().await?;
        if !file.vouches_for(&described) {
            return Ok(None);
        }
        probe_streams(&context, &file, &described).await.map(Some)
    };
    match probed.await {
        Err(error) if error.code != ErrorCode::Cancelled => Ok(None),
        outcome => outcome,
    }
}

/// Whether FFmpeg reads a file with this index front to back, without seeking.
fn can_be_streamed(index: &Mp4Index) -> bool {
    let is_interleaved = index.max_interleave_gap.is_some_and(|gap| gap <= MAX_INTERLEAVE_GAP_SECS);
    is_interleaved && !index.has_chapter_track
}

async fn probe_streams(
    context: &ProbeContext<'_>,
    file: &InspectedFile,
    described: &FfprobeOutput,
) -> Result<Source, MediaError> {
    check_limits(described, context.limits)?;
    let is_indexed = file.vouches_for(described);
    let packets = if is_indexed { PacketStats::default() } else { context.all_packets(described).await? };
    let video = decodable_video(context, described, &packets).await?;
    let first_frame = match video {
        Some(stream) => context.first_frame(stream).await?,
        None => FirstFrame::default(),
    };
    if let Some(stream) = video {
        check_base_layer(stream.dolby_vision.or(first_frame.dolby_vision))?;
    }
    let audios = decodable_audios(context, described, video).await?;
    if video.is_none() && audios.is_empty() {
        return Err(explain_unusable(described));
    }
    let findings = report::Findings { file, described, packets: &packets, is_indexed, first_frame };
    let source = report::build_source(context, &findings, video, &audios).await?;
    let max_duration = context.limits.duration.as_secs_f64();
    if source.duration > max_duration {
        let detail =
            format!("its duration is {:.0} s; at most {max_duration:.0} s are allowed", source.duration);
        return Err(MediaError::new(ErrorCode::InputOverLimit, detail));
    }
    Ok(source)
}

fn check_limits(described: &FfprobeOutput, limits: &InputLimits) -> Result<(), MediaError> {
    let over = |detail: String| Err(MediaError::new(ErrorCode::InputOverLimit, detail));
    let max_streams = limits.streams as usize;
    if described.streams.len() > max_streams {
        return over(format!(
            "it has {} streams; at most {max_streams} are allowed",
            described.streams.len()
        ));
    }
    let side = limits.side_pixels;
    for stream in described.streams.iter().filter(|stream| stream.kind == "video") {
        if stream.width.max(stream.height) > side {
            return over(format!(
                "it has {}x{} pixels; at most {side}x{side} are allowed",
                stream.width, stream.height
            ));
        }
    }
    Ok(())
}

/// The best video that can be decoded. A pixel format means that ffprobe has decoded a frame.
async fn decodable_video<'d>(
    context: &ProbeContext<'_>,
    described: &'d FfprobeOutput,
    packets: &PacketStats,
) -> Result<Option<&'d Stream>, MediaError> {
    if described.image_format().is_some() {
        return Ok(None);
    }
    for stream in choose::video_candidates(described, packets) {
        let seconds = trial_decode_until(described, &[stream]);
        if !stream.pixel_format.is_empty()
            || !context.decodable_streams(&[stream.index], seconds).await?.is_empty()
        {
            return Ok(Some(stream));
        }
    }
    Ok(None)
}

/// Dolby Vision without a base layer has the wrong colours everywhere else.
fn check_base_layer(dolby_vision: Option<DolbyVision>) -> Result<(), MediaError> {
    match dolby_vision {
        Some(dolby_vision) if !dolby_vision.has_base_layer => {
            let detail = format!("it is Dolby Vision profile {} without a base layer", dolby_vision.profile);
            Err(MediaError::new(ErrorCode::InvalidInput, detail))
        }
        _ => Ok(()),
    }
}

/// The audio streams that can be decoded, the one for single-track outputs first. A single one of a common
/// codec is not tried: there is nothing to choose from.
async fn decodable_audios<'d>(
    context: &ProbeContext<'_>,
    described: &'d FfprobeOutput,
    video: Option<&Stream>,
) -> Result<Vec<&'d Stream>, MediaError> {
    let audios = choose::audio_candidates(described, video);
    if audios.len() < 2 && !audios.iter().any(|audio| choose::needs_trial_decode(audio)) {
        return Ok(audios);
    }
    let indices: Vec<_> = audios.iter().map(|audio| audio.index).collect();
    let decodable = context.decodable_streams(&indices, trial_decode_until(described, &audios)).await?;
    Ok(audios.into_iter().filter(|audio| decodable.contains(&audio.index)).collect())
}

/// Seconds from the start of the file by which each of these streams has had the time to give a frame.
fn trial_decode_until(described: &FfprobeOutput, streams: &[&Stream]) -> f64 {
    let starts = streams.iter().filter_map(|stream| stream.start);
    starts.fold(0.0, |latest, start| f64::max(latest, start - described.start)) + TRIAL_DECODE_SECS
}

/// Why a file without usable streams is refused.
fn explain_unusable(described: &FfprobeOutput) -> MediaError {
    let invalid = |detail: String| MediaError::new(ErrorCode::InvalidInput, detail);
    let has = |kind: &str| described.streams.iter().any(|stream| stream.kind == kind);
    if let Some(format) = described.image_format() {
        invalid(format!("it is an image ({format}), not a video"))
    } else if described.streams.is_empty() {
        invalid("it holds no streams".to_owned())
    } else if has("video") || has("audio") {
        invalid("nothing in it can be decoded".to_owned())
    } else {
        MediaError::new(ErrorCode::NothingToTranscode, "it holds neither video nor audio")
    }
}
