//! Decides whether an output has succeeded, from what is really in its files.
//!
//! What the output says of itself ([`listing`], read by [`hls`], [`dash`] and [`single`]), its packets and
//! headers ([`scan`] into [`facts`]), and the plan have to agree ([`judge`], [`streams`], [`claims`]). Every
//! segment has to begin as players need it ([`segments`]: [`ts`], [`fragments`]), and both ends of every
//! track are decoded ([`decode`]). Any disagreement is a failure: nothing is repaired here. docs/verify.md
//! lists the rules with their sources.

mod claims;
mod copied;
mod dash;
mod decode;
mod facts;
mod fragments;
mod hdr;
mod hls;
mod judge;
mod listing;
mod scan;
mod segments;
mod single;
mod streams;
#[cfg(test)]
mod tests;
mod thumbnails;
mod ts;
mod unlisted_files;

use std::{io, sync::Arc};

use futures::{StreamExt, TryStreamExt, stream};
use model::{ErrorCode, Format, OutputFacts, OutputGroup};
use tokio_util::sync::CancellationToken;

use facts::StreamFacts;
use judge::InspectedOutput;
use listing::{Listing, Track};

use crate::{
    error::MediaError,
    layout::OutputLayout,
    output::{CopiedPackets, RunOutput},
    plan::Plan,
    source::Source,
    tool::Tools,
    work_folder::{WorkFile, WorkFolder},
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
    /// Of the top rendition, such as `1280x720`; empty without video.
    pub resolution: String,
    /// Frames a second of the top rendition; 0 without video.
    pub framerate: f64,
    /// Such as `h264`; empty without video.
    pub video_codec: String,
    /// Such as `aac`; empty without audio.
    pub audio_codec: String,
    /// Hz; 0 without audio.
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
const MAX_PARALLEL_TRACKS: usize = 2;

/// What every check that runs a tool needs.
#[derive(Clone, Copy)]
struct VerifyContext<'a> {
    tools: &'a Tools,
    plan: &'a Plan,
    dir: &'a Arc<WorkFolder>,
    copied: &'a CopiedPackets,
    cancel: &'a CancellationToken,
}

/// Checks an output against its plan and its source.
///
/// # Errors
/// [`ErrorCode::EncodingFailed`] for whatever is not as planned, [`ErrorCode::InvalidInput`] when the input
/// is to blame.
pub(crate) async fn verify(
    tools: &Tools,
    plan: &Plan,
    source: &Source,
    output: &RunOutput,
    cancel: &CancellationToken,
) -> Result<Measured, MediaError> {
    let unreadable = |error| {
        let detail = format!("the output cannot be read: {error}");
        MediaError::of_disk(&error, MediaError::new(ErrorCode::Internal, detail))
    };
    let dir = &Arc::new(WorkFolder::open(&output.dir).map_err(unreadable)?);
    // before anything of it is read: whatever is no plain file is nothing that a tool leaves behind
    let size = list_files(dir).await.map_err(unreadable)?.iter().map(|file| file.bytes).sum();
    let context = VerifyContext { tools, plan, dir, copied: &output.copied, cancel };
    let (listing, second_listing) = read_listings(plan, source, dir).await?;
    let facts = scan_tracks(context, &listing).await?;
    let inspected = InspectedOutput { plan, source, listing: &listing, facts: &facts };
    inspected.judge()?;
    claims::check(&inspected)?;
    if let Some(second) = &second_listing {
        listing.check_same_files(second)?;
        let inspected = InspectedOutput { listing: second, ..inspected };
        inspected.judge()?;
        claims::check(&inspected)?;
    }
    check_segments(context, listing.clone(), second_listing).await?;
    decode_tracks(context, &listing, &facts).await?;
    Ok(measure(&inspected, size))
}

async fn list_files(dir: &Arc<WorkFolder>) -> io::Result<Vec<WorkFile>> {
    let dir = Arc::clone(dir);
    tokio::task::spawn_blocking(move || dir.files()).await.map_err(io::Error::other)?
}

/// Reads the packets and headers of all tracks.
async fn scan_tracks(
    context: VerifyContext<'_>,
    listing: &Listing,
) -> Result<Vec<Vec<StreamFacts>>, MediaError> {
    // collected first: a stream that holds the closure is not `Send` for every lifetime
    let scans: Vec<_> = listing.tracks.iter().map(|track| scan::scan(context, track)).collect();
    stream::iter(scans).buffered(MAX_PARALLEL_TRACKS).try_collect().await
}

/// Decodes what a scan has not decoded of all tracks, and checks it.
async fn decode_tracks(
    context: VerifyContext<'_>,
    listing: &Listing,
    facts: &[Vec<StreamFacts>],
) -> Result<(), MediaError> {
    let tracks = listing.tracks.iter().zip(facts);
    let checks: Vec<_> = tracks.map(|(track, facts)| check_frames(context, track, facts)).collect();
    stream::iter(checks).buffer_unordered(MAX_PARALLEL_TRACKS).try_collect::<()>().await
}

async fn check_frames(
    context: VerifyContext<'_>,
    track: &Track,
    facts: &[StreamFacts],
) -> Result<(), MediaError> {
    hdr::check(context, track).await?;
    copied::check(context, track).await?;
    if scan::needs_ffmpeg(context.plan, track) {
        decode::check_by_ffmpeg(context, track, facts).await
    } else if scan::is_short(context.plan, track) {
        decode::check_whole(track, facts)
    } else {
        decode::check_ends(context, track, facts).await
    }
}

/// Checks the start of every segment. Of a playlist and a manifest of the same files, the manifest says
/// more.
async fn check_segments(
    context: VerifyContext<'_>,
    listing: Listing,
    second: Option<Listing>,
) -> Result<(), MediaError> {
    let (plan, dir) = (context.plan.clone(), Arc::clone(context.dir));
    spawn_blocking(move || segments::check(&plan, second.as_ref().unwrap_or(&listing), &dir)).await
}

/// Reads files on a thread where that holds up nothing else.
async fn spawn_blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, MediaError> + Send + 'static,
) -> Result<T, MediaError> {
    let panicked =
        |error| MediaError::new(ErrorCode::Internal, format!("the output could not be read: {error}"));
    tokio::task::spawn_blocking(read).await.map_err(panicked)?
}

/// What the main file lists, and what a second manifest does; checks what needs no tool.
async fn read_listings(
    plan: &Plan,
    source: &Source,
    dir: &Arc<WorkFolder>,
) -> Result<(Listing, Option<Listing>), MediaError> {
    let (plan, dir) = (plan.clone(), Arc::clone(dir));
    let source = source.clone();
    spawn_blocking(move || {
        thumbnails::check(&plan, &source, &dir)?;
        let listing = |format: Format, file: &str| match format {
            Format::Mp4 | Format::Flv => single::read(&plan, &dir),
            Format::Hls => hls::read(&plan, &dir),
            Format::Dash => dash::read(&plan, &dir, file),
        };
        let second = OutputLayout::manifests(&plan).into_iter().nth(1);
        let main = listing(plan.format, &OutputLayout::main_file(plan.format))?;
        let second = second.map(|(format, file)| listing(format, &file)).transpose()?;
        let all: Vec<_> = std::iter::once(&main).chain(&second).collect();
        unlisted_files::check(&plan, &dir, &all)?;
        Ok((main, second))
    })
    .await
}

/// What the customer is told of an output that is right.
fn measure(inspected: &InspectedOutput<'_>, size: u64) -> Measured {
    let files = inspected.listing.tracks.iter().flat_map(Track::files);
    let media_size = files.map(|file| file.bytes).sum();
    let duration = inspected.duration();
    let header = |kind: &str| {
        let mut headers = inspected.facts.iter().flatten().map(|stream| &stream.header);
        headers.find(|header| header.kind == kind).cloned().unwrap_or_default()
    };
    let (video, audio) = (header("video"), header("audio"));
    let (resolution, framerate) = match inspected.plan.videos.first() {
        Some(top) => (format!("{}x{}", video.size.0, video.size.1), top.frame_rate.as_f64()),
        None => (String::new(), 0.0),
    };
    Measured {
        duration,
        size,
        media_size,
        bitrate: media_size as f64 * 8.0 / duration.max(0.001),
        resolution,
        framerate,
        video_codec: video.codec,
        audio_codec: audio.codec,
        audio_samplerate: audio.sample_rate,
    }
}
