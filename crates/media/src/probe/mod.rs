//! Says what came in, and refuses what cannot be transcoded before anything is encoded.
//!
//! The content is judged, never the name. What a header says is believed only as far as an index in
//! the file vouches for it; else the packets themselves are asked.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use model::ErrorCode;
use tokio_util::sync::CancellationToken;

use crate::{
    GrowingInput, MediaError, MediaInput, Source,
    format::{
        mp4::index::{self, DurationMismatch, FrontIndex, Mp4Index},
        sniff,
    },
    settings::InputLimits,
    tool::Tools,
};

mod choose;
mod clock;
mod described;
mod follow;
mod look;
mod packets;
mod rate;
mod report;
#[cfg(test)]
mod tests;

use described::{Described, Stream};
use look::Prober;
use packets::Packets;

/// Seconds, and share of the whole, by which a file may end before its index says.
const SHORTFALL: (f64, f64) = (1.0, 0.02);

pub(crate) async fn probe(
    tools: &Tools,
    limits: &InputLimits,
    input: &Path,
    cancel: &CancellationToken,
) -> Result<Source, MediaError> {
    let file = examine(input, limits).await?;
    let prober = Prober { tools, limits, input: MediaInput::File(input), cancel };
    let described = prober.describe().await?;
    look(&prober, &file, &described).await
}

/// Seconds by which tracks may be apart in a file that is read in one go: what is ahead waits in memory.
const MOST_APART: f64 = 10.0;

/// The same, of an input of which only its front has to be there.
pub(crate) async fn probe_growing(
    tools: &Tools,
    limits: &InputLimits,
    input: &GrowingInput,
    cancel: &CancellationToken,
) -> Result<Option<Source>, MediaError> {
    let Some(file) = examine_front(input, limits).await? else { return Ok(None) };
    let in_one_go = |index: &Mp4Index| {
        !index.has_chapter_track && index.max_interleave_gap.is_some_and(|gap| gap <= MOST_APART)
    };
    if !file.index.as_ref().is_some_and(in_one_go) {
        return Ok(None);
    }
    let prober = Prober { tools, limits, input: MediaInput::Growing(input), cancel };
    let looked = async {
        let described = prober.describe().await?;
        if file.vouches_for(&described) { look(&prober, &file, &described).await.map(Some) } else { Ok(None) }
    };
    match looked.await {
        // the whole tells better what is wrong
        Err(error) if error.code != ErrorCode::Cancelled => Ok(None),
        looked => looked,
    }
}

async fn look(prober: &Prober<'_>, file: &Examined, described: &Described) -> Result<Source, MediaError> {
    let limits = prober.limits;
    within_limits(described, limits)?;
    let indexed = file.vouches_for(described);
    let packets = if indexed { Packets::default() } else { prober.packets(described).await? };
    let picture = decodable_picture(prober, described, &packets).await?;
    let sounds = decodable_sounds(prober, described, picture).await?;
    if picture.is_none() && sounds.is_empty() {
        return Err(nothing_in(described));
    }
    let asked = report::Asked { file, described, packets: &packets, indexed };
    let source = report::source(prober, &asked, picture, &sounds).await?;
    let longest = limits.duration.as_secs_f64();
    if source.duration > longest {
        let detail = format!("it lasts {:.0} s; at most {longest:.0} s are allowed", source.duration);
        return Err(MediaError::new(ErrorCode::InputOverLimit, detail));
    }
    Ok(source)
}

/// What the bytes of a file say before a tool sees it.
struct Examined {
    size: u64,
    index: Option<Mp4Index>,
}

impl Examined {
    /// Whether an index in the file vouches for how long its streams are.
    fn vouches_for(&self, described: &Described) -> bool {
        let whole = self.index.as_ref().is_some_and(|index| index.has_moov && !index.is_fragmented);
        let media = |stream: &&Stream| matches!(stream.kind.as_str(), "video" | "audio") && !stream.is_still;
        whole && described.streams.iter().filter(media).all(|stream| stream.duration.is_some())
    }
}

async fn examine(input: &Path, limits: &InputLimits) -> Result<Examined, MediaError> {
    let (path, most) = (input.to_owned(), limits.bytes);
    tokio::task::spawn_blocking(move || examine_file(&path, most))
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(|error| {
            MediaError::new(ErrorCode::Internal, format!("the input could not be read: {error}"))
        })?
}

fn examine_file(path: &Path, most: u64) -> io::Result<Result<Examined, MediaError>> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    if size > most {
        let detail = format!("it has {size} bytes; at most {most} are allowed");
        return Ok(Err(MediaError::new(ErrorCode::InputOverLimit, detail)));
    }
    let mut head = Vec::new();
    (&mut file).take(sniff::HEAD_BYTES as u64).read_to_end(&mut head)?;
    if let Err(refused) = sniff::check_head(&head) {
        return Ok(Err(refused));
    }
    let index = index::read(&mut file)?;
    if let Some(index) = &index
        && let Err(refused) = check_integrity(index, size)
    {
        return Ok(Err(refused));
    }
    Ok(Ok(Examined { size, index }))
}

/// As soon as the index is there; none where it takes the whole.
async fn examine_front(input: &GrowingInput, limits: &InputLimits) -> Result<Option<Examined>, MediaError> {
    let Some(size) = input.total().await.filter(|size| *size <= limits.bytes) else { return Ok(None) };
    let mut needed = 0;
    while input.has(needed).await {
        match front(input, size).await {
            Ok(FrontIndex::Complete(index)) => {
                check_integrity(&index, size)?;
                return Ok(Some(Examined { size, index: Some(index) }));
            }
            // no byte more was asked for: the same look would find the same
            Ok(FrontIndex::NeedBytes(bytes)) if bytes > needed => needed = bytes,
            _ => return Ok(None),
        }
    }
    Ok(None)
}

async fn front(input: &GrowingInput, size: u64) -> io::Result<FrontIndex> {
    let path = input.path().to_owned();
    tokio::task::spawn_blocking(move || index::read_front(&mut File::open(path)?, size))
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Refuses what the index says is encrypted, damaged or cut off.
fn check_integrity(index: &Mp4Index, size: u64) -> Result<(), MediaError> {
    let invalid = |detail: String| Err(MediaError::new(ErrorCode::InvalidInput, detail));
    if let Some(scheme) = &index.encryption_scheme {
        return invalid(format!("it is encrypted ({scheme})"));
    }
    if let Some(timescale) = index.timescale_overflow {
        return invalid(format!("its index is damaged: a track has the timescale {timescale}"));
    }
    // what follows is said of samples by fragments, not by the index
    if index.is_fragmented {
        return Ok(());
    }
    if index.last_indexed_byte > size {
        return invalid(format!(
            "it is truncated: its index names data up to byte {}, and the file has {size} bytes",
            index.last_indexed_byte
        ));
    }
    if let Some(DurationMismatch { by_header, by_samples }) = index.duration_mismatch {
        return invalid(format!(
            "its index contradicts itself: the duration of a track is {:.1} s by its header, and {:.1} s by its samples",
            by_header as f64 / 1e3,
            by_samples as f64 / 1e3
        ));
    }
    Ok(())
}

fn within_limits(described: &Described, limits: &InputLimits) -> Result<(), MediaError> {
    let over = |detail: String| Err(MediaError::new(ErrorCode::InputOverLimit, detail));
    let most = limits.streams as usize;
    if described.streams.len() > most {
        return over(format!("it has {} streams; at most {most} are allowed", described.streams.len()));
    }
    let side = limits.side_pixels;
    let large = |stream: &&Stream| stream.kind == "video" && stream.width.max(stream.height) > side;
    match described.streams.iter().find(large) {
        Some(stream) => over(format!(
            "it has {}x{} pixels; at most {side}x{side} are allowed",
            stream.width, stream.height
        )),
        None => Ok(()),
    }
}

/// The best picture that can be decoded; what ffprobe knows the samples of, it has decoded.
async fn decodable_picture<'d>(
    prober: &Prober<'_>,
    described: &'d Described,
    packets: &Packets,
) -> Result<Option<&'d Stream>, MediaError> {
    if described.container.ends_with("_pipe") {
        return Ok(None);
    }
    for stream in choose::pictures(described, packets) {
        let known = !stream.pixel_format.is_empty();
        if known || !prober.decodes(&[stream.index], until(described, &[stream])).await?.is_empty() {
            return shown_by_all(stream).map(Some);
        }
    }
    Ok(None)
}

fn shown_by_all(stream: &Stream) -> Result<&Stream, MediaError> {
    match stream.dolby_vision.filter(|vision| !vision.has_base) {
        Some(vision) => {
            let detail = format!("it is Dolby Vision profile {} without a base layer", vision.profile);
            Err(MediaError::new(ErrorCode::InvalidInput, detail))
        }
        None => Ok(stream),
    }
}

/// The sounds that can be decoded, the one for single-track outputs first. A single one of a usual
/// kind is not tried: there is nothing to choose from.
async fn decodable_sounds<'d>(
    prober: &Prober<'_>,
    described: &'d Described,
    picture: Option<&Stream>,
) -> Result<Vec<&'d Stream>, MediaError> {
    let sounds = choose::sounds(described, picture);
    if sounds.len() < 2 && !sounds.iter().any(|sound| choose::is_doubtful(sound)) {
        return Ok(sounds);
    }
    let indices: Vec<_> = sounds.iter().map(|sound| sound.index).collect();
    let good = prober.decodes(&indices, until(described, &sounds)).await?;
    Ok(sounds.into_iter().filter(|sound| good.contains(&sound.index)).collect())
}

/// Seconds of the file after which each of these streams has had the time to show itself.
fn until(described: &Described, streams: &[&Stream]) -> f64 {
    let starts = streams.iter().filter_map(|stream| stream.start);
    starts.fold(0.0, |latest, start| f64::max(latest, start - described.start)) + 10.0
}

fn nothing_in(described: &Described) -> MediaError {
    let invalid = |detail: String| MediaError::new(ErrorCode::InvalidInput, detail);
    let kinds = |kind: &str| described.streams.iter().any(|stream| stream.kind == kind);
    if let Some(kind) = described.container.strip_suffix("_pipe") {
        invalid(format!("it is a still picture ({kind}), not a video"))
    } else if described.streams.is_empty() {
        invalid("it holds no streams".to_owned())
    } else if kinds("video") || kinds("audio") {
        invalid("nothing in it can be decoded".to_owned())
    } else {
        MediaError::new(ErrorCode::NothingToTranscode, "it holds neither picture nor sound")
    }
}
