//! What an HLS output says of itself, read with a parser that knows nothing of who wrote it.
//!
//! The rules of [`master`] and [`media`] playlists are those of RFC 8216 that can be seen in the text and in
//! the names of files; whether it is true what they say is for [`super::judge`] and [`super::claims`].

mod master;
mod media;
#[cfg(test)]
mod tests;

use m3u8_rs::{ExtTag, MediaSegment, VariantStream};
use model::{Format, SegmentType};

use super::listing::{Claims, Listing, MediaFile, Segment, StreamRef, Track, TrackContainer, wrong_output};
use crate::{
    error::MediaError, format::MAX_PLAYLIST_BYTES, layout::OutputLayout, plan::Plan, work_folder::WorkFolder,
};

/// Reads the master playlist in `dir` and all that it names.
pub(super) fn read(plan: &Plan, dir: &WorkFolder) -> Result<Listing, MediaError> {
    let master = master::read(plan, dir)?;
    let mut tracks = Vec::new();
    let mut manifest_files = vec![dir.path().join(OutputLayout::main_file(Format::Hls))];
    for (number, video) in plan.videos.iter().enumerate() {
        let variant = master::variant(&master, &video.name, false)?;
        let mut track = track(plan, dir, &video.name, &variant.uri)?;
        track.planned = vec![StreamRef::Video(number)];
        track.claims = Claims { target_duration: track.claims.target_duration, ..claims(variant) };
        let listed = master::variant(&master, &video.name, true)?;
        track.i_frames = media::i_frames(dir, variant, listed, track.init.as_ref())?;
        manifest_files.extend([&variant.uri, &listed.uri].map(|uri| dir.path().join(uri)));
        tracks.push(track);
    }
    for (number, audio) in plan.audios.iter().enumerate() {
        let rendition = master::audio_rendition(&master, &audio.name)?;
        let uri = rendition.uri.as_deref().unwrap_or_default();
        let mut track = track(plan, dir, &audio.name, uri)?;
        manifest_files.push(dir.path().join(uri));
        track.planned = vec![StreamRef::Audio(number)];
        let channels = rendition.channels.as_deref().and_then(|channels| channels.parse().ok());
        let (target_duration, language) = (track.claims.target_duration, rendition.language.clone());
        let is_variant = plan.videos.is_empty() && number == 0;
        let claimed = if is_variant {
            claims(master::variant(&master, &audio.name, false)?)
        } else {
            Claims::default()
        };
        track.claims = Claims { target_duration, channels, language, ..claimed };
        tracks.push(track);
    }
    Ok(Listing { format: Format::Hls, tracks, duration: None, min_buffer_time: None, manifest_files })
}

fn claims(variant: &VariantStream) -> Claims {
    Claims {
        codecs: variant.codecs.clone(),
        size: variant.resolution.map(|size| (size.width, size.height)),
        frame_rate: variant.frame_rate,
        bandwidth: Some(variant.bandwidth as f64),
        average_bandwidth: variant.average_bandwidth.map(|bits| bits as f64),
        video_range: master::video_range(variant),
        ..Claims::default()
    }
}

/// A media playlist and its segments.
fn track(plan: &Plan, dir: &WorkFolder, name: &str, uri: &str) -> Result<Track, MediaError> {
    let playlist = media::read(dir, uri)?;
    let folder = folder_of(uri);
    let (container, init) = match plan.segmenting.map(|segmenting| segmenting.segment_type) {
        Some(SegmentType::Fmp4) => (TrackContainer::FragmentedMp4, Some(media::init(&playlist, dir, uri)?)),
        _ => (TrackContainer::Ts, None),
    };
    let segment = |segment: &MediaSegment| {
        if segment.discontinuity || segment.byte_range.is_some() {
            return Err(wrong_output(format!("`{uri}` does not list whole segments that follow each other")));
        }
        let file = MediaFile::find(dir, &format!("{folder}{}", segment.uri))?;
        Ok(Segment { file, duration: Some(f64::from(segment.duration)), start: None })
    };
    Ok(Track {
        name: name.to_owned(),
        planned: Vec::new(),
        container,
        init,
        segments: playlist.segments.iter().map(segment).collect::<Result<_, _>>()?,
        claims: Claims { target_duration: Some(playlist.target_duration as f64), ..Claims::default() },
        i_frames: Vec::new(),
    })
}

/// Tags that are not as they should be are not read, and kept apart (RFC 8216, 4.1).
fn check_known_tags<'a>(uri: &str, mut unknown: impl Iterator<Item = &'a ExtTag>) -> Result<(), MediaError> {
    match unknown.next() {
        Some(tag) => Err(wrong_output(format!("`{uri}` has a tag that cannot be read: `{tag}`"))),
        None => Ok(()),
    }
}

/// With its slash; empty for what lies beside the master playlist.
fn folder_of(uri: &str) -> &str {
    uri.rfind('/').map_or("", |slash| &uri[..=slash])
}

fn read_text(dir: &WorkFolder, uri: &str) -> Result<Vec<u8>, MediaError> {
    let text = dir.read(uri, MAX_PLAYLIST_BYTES);
    text.map_err(|error| wrong_output(format!("`{uri}` cannot be read: {error}")))
}
