//! Looks at what came out, and decides whether it has succeeded.
//!
//! What the output says of itself ([`listing`], read by [`hls`], [`dash`] and [`single`]), what is
//! really there packet by packet ([`scan`] into [`facts`]), and the plan have to agree ([`judge`],
//! [`streams`], [`claims`]); every segment has to begin as players need it ([`segments`]: [`ts`],
//! [`fragments`]); both ends of everything are decoded ([`decode`]). Any disagreement is a failure: nothing
//! is repaired here. docs/verify.md lists the rules with their sources.

mod claims;
mod dash;
mod decode;
mod facts;
mod fragments;
mod hls;
mod judge;
mod leftover;
mod light;
mod listing;
mod scan;
mod segments;
mod single;
mod stills;
mod streams;
#[cfg(test)]
mod tests;
mod ts;

use futures::{StreamExt, TryStreamExt, stream};
use model::{ErrorCode, Format, OutputFacts, OutputGroup};
use tokio_util::sync::CancellationToken;

use judge::Found;
use listing::Listing;

use crate::{
    error::MediaError,
    layout::OutputLayout,
    output::{RunOutput, bytes_below},
    plan::Plan,
    source::Source,
    tool::Tools,
};

/// What an output turned out to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// Seconds of the longest stream.
    pub duration: f64,
    /// Bytes of all files.
    pub size: u64,
    /// Bytes of the media alone, without playlists and manifests.
    pub media_size: u64,
    /// bit/s of the media.
    pub bitrate: f64,
    /// Of the top rendition, such as `1280x720`; empty without picture.
    pub resolution: String,
    /// Frames a second of the top rendition; 0 without picture.
    pub framerate: f64,
    /// Such as `h264`; empty without picture.
    pub video_codec: String,
    /// Such as `aac`; empty without sound.
    pub audio_codec: String,
    /// Hz; 0 without sound.
    pub audio_samplerate: u32,
}

impl Measured {
    /// As the customer sees it.
    pub fn facts(&self, groups: Vec<OutputGroup>) -> OutputFacts {
        OutputFacts {
            duration: self.duration,
            size: self.size,
            media_size: self.media_size,
            bitrate: self.bitrate,
            resolution: self.resolution.clone(),
            framerate: self.framerate,
            video_codec: self.video_codec.clone(),
            audio_codec: self.audio_codec.clone(),
            audio_samplerate: self.audio_samplerate,
            groups,
        }
    }
}

/// Tracks that are read at once: each keeps one processor busy.
const AT_ONCE: usize = 2;

pub(crate) async fn verify(
    tools: &Tools,
    plan: &Plan,
    source: &Source,
    output: &RunOutput,
    cancel: &CancellationToken,
) -> Result<Measured, MediaError> {
    let (listing, second) = read_listings(plan, source, output).await?;
    // collected: a future that holds the closure is not `Send` for every lifetime
    let scans = listing.tracks.iter().map(|track| async move {
        let decode = decode::is_short(plan, track) && !decode::needs_ffmpeg(plan, track);
        scan::scan(tools, plan, &output.copied, track, decode, cancel).await
    });
    let scans: Vec<_> = scans.collect();
    let facts: Vec<_> = stream::iter(scans).buffered(AT_ONCE).try_collect().await?;
    let found = Found { plan, source, listing: &listing, facts: &facts };
    found.judge()?;
    claims::check(&found)?;
    if let Some(second) = &second {
        listing.has_the_files_of(second)?;
        let found = Found { listing: second, ..found };
        found.judge()?;
        claims::check(&found)?;
    }
    check_segments(plan, listing.clone(), second).await?;
    let decodes = listing.tracks.iter().zip(&facts).map(|(track, facts)| async move {
        light::check(tools, plan, track, cancel).await?;
        if decode::needs_ffmpeg(plan, track) {
            decode::check_by_ffmpeg(tools, plan, track, facts, cancel).await
        } else if decode::is_short(plan, track) {
            decode::check_whole(track, facts)
        } else {
            decode::check_ends(tools, plan, &output.copied, track, facts, cancel).await
        }
    });
    let decodes: Vec<_> = decodes.collect();
    stream::iter(decodes).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    measure(&found, output).await
}

/// Of two lists of the same files, the manifest says more.
async fn check_segments(plan: &Plan, listing: Listing, second: Option<Listing>) -> Result<(), MediaError> {
    let plan = plan.clone();
    off_the_runtime(move || segments::check(&plan, second.as_ref().unwrap_or(&listing))).await
}

/// Reads files where it holds up nothing else.
async fn off_the_runtime<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, MediaError> + Send + 'static,
) -> Result<T, MediaError> {
    let lost = |lost| MediaError::new(ErrorCode::Internal, format!("the output was not read: {lost}"));
    tokio::task::spawn_blocking(read).await.map_err(lost)?
}

/// What the main file lists, and what a second manifest does.
async fn read_listings(
    plan: &Plan,
    source: &Source,
    output: &RunOutput,
) -> Result<(Listing, Option<Listing>), MediaError> {
    let (plan, dir) = (plan.clone(), output.dir.clone());
    let source = source.clone();
    off_the_runtime(move || {
        stills::check(&plan, &source, &dir)?;
        let listing = |format: Format, file: &str| match format {
            Format::Mp4 | Format::Flv => single::read(&plan, &dir),
            Format::Hls => hls::read(&plan, &dir),
            Format::Dash => dash::read(&plan, &dir, file),
        };
        let second = OutputLayout::manifests(&plan).into_iter().nth(1);
        let main = listing(plan.format, &OutputLayout::main_file(plan.format))?;
        let second = second.map(|(format, file)| listing(format, &file)).transpose()?;
        let all: Vec<_> = std::iter::once(&main).chain(&second).collect();
        leftover::check(&plan, &dir, &all)?;
        Ok((main, second))
    })
    .await
}

/// What the customer is told of an output that is right.
async fn measure(found: &Found<'_>, output: &RunOutput) -> Result<Measured, MediaError> {
    let size = bytes_below(&output.dir)
        .await
        .map_err(|error| MediaError::new(ErrorCode::Internal, format!("the output has no size: {error}")))?;
    let pieces = found.listing.tracks.iter().flat_map(listing::Track::pieces);
    let media_size = pieces.map(|piece| piece.bytes).sum();
    let duration = found.duration();
    let header = |kind: &str| {
        let mut headers = found.facts.iter().flatten().map(|stream| &stream.header);
        headers.find(|header| header.kind == kind).cloned().unwrap_or_default()
    };
    let (picture, sound) = (header("video"), header("audio"));
    let top = found.plan.videos.first();
    Ok(Measured {
        duration,
        size,
        media_size,
        bitrate: media_size as f64 * 8.0 / duration.max(0.001),
        resolution: top.map_or_else(String::new, |_| format!("{}x{}", picture.size.0, picture.size.1)),
        framerate: top.map_or(0.0, |video| video.rate.as_f64()),
        video_codec: picture.codec,
        audio_codec: sound.codec,
        audio_samplerate: sound.sample_rate,
    })
}
