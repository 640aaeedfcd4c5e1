//! What an HLS output says of itself, read with a parser that knows nothing of who wrote it.

use std::{fs, path::Path};

use m3u8_rs::{
    AlternativeMedia, MasterPlaylist, MediaPlaylist, MediaPlaylistType, MediaSegment, VariantStream,
};
use model::{Format, SegmentType};

use super::listing::{Claims, Listing, Piece, Planned, Range, Segment, Track, Wrapping, wrong};
use crate::{MediaError, Plan, formats};

/// Reads the master playlist in `dir` and all that it names.
pub(super) fn read(plan: &Plan, dir: &Path) -> Result<Listing, MediaError> {
    let text = read_text(&dir.join(formats::main_file(Format::Hls)), "the master playlist")?;
    let (_, master) =
        m3u8_rs::parse_master_playlist(&text).map_err(|_| wrong("the master playlist cannot be read"))?;
    check_master(plan, &master)?;
    let mut tracks = Vec::new();
    for (number, video) in plan.videos.iter().enumerate() {
        let variant = variant(&master, &video.name, false)?;
        let mut track = track(plan, dir, &video.name, &variant.uri)?;
        track.planned = vec![Planned::Video(number)];
        track.claims = Claims { target: track.claims.target, ..variant_claims(variant) };
        track.i_frames = i_frames(dir, &variant_of_i_frames(&master, &video.name)?.uri)?;
        tracks.push(track);
    }
    for (number, audio) in plan.audios.iter().enumerate() {
        let sound = sound(&master, &audio.name)?;
        let mut track = track(plan, dir, &audio.name, sound.uri.as_deref().unwrap_or_default())?;
        track.planned = vec![Planned::Audio(number)];
        track.claims.channels = sound.channels.as_deref().and_then(|channels| channels.parse().ok());
        if plan.videos.is_empty() && number == 0 {
            let variant = variant(&master, &audio.name, false)?;
            track.claims.codecs.clone_from(&variant.codecs);
            track.claims.bandwidth = Some(variant.bandwidth as f64);
            track.claims.average = variant.average_bandwidth.map(|bits| bits as f64);
        }
        tracks.push(track);
    }
    Ok(Listing { format: Format::Hls, tracks, seconds: None })
}

/// One variant for each rendition, one sound group that all of them name, and its first sound is the
/// default one; no group where there is no sound.
fn check_master(plan: &Plan, master: &MasterPlaylist) -> Result<(), MediaError> {
    if !master.independent_segments {
        return Err(wrong("the master playlist does not say that segments are independent"));
    }
    let variants = master.variants.iter().filter(|variant| !variant.is_i_frame);
    let wanted = plan.videos.len().max(1);
    if variants.clone().count() != wanted {
        return Err(wrong(format!("the master playlist has {} variants, not {wanted}", variants.count())));
    }
    if master.alternatives.len() != plan.audios.len() {
        let count = master.alternatives.len();
        return Err(wrong(format!("the master playlist has {count} sounds, not {}", plan.audios.len())));
    }
    let group = master.alternatives.first().map(|sound| sound.group_id.as_str());
    if let Some(other) = variants.clone().find(|variant| variant.audio.as_deref() != group) {
        return Err(wrong(format!("the variant `{}` does not name the sounds' group", other.uri)));
    }
    let default = plan.audios.first().map(|audio| audio.name.as_str());
    for sound in &master.alternatives {
        let is_default = sound.uri.as_deref().zip(default).is_some_and(|(uri, name)| is_in(uri, name));
        let marked = sound.default == is_default && (sound.autoselect || !is_default);
        if Some(sound.group_id.as_str()) != group || !marked {
            return Err(wrong(format!("the sound `{}` is not in the group as it should be", sound.name)));
        }
    }
    Ok(())
}

fn variant<'a>(
    master: &'a MasterPlaylist,
    name: &str,
    is_i_frame: bool,
) -> Result<&'a VariantStream, MediaError> {
    let of_it = |variant: &&VariantStream| variant.is_i_frame == is_i_frame && is_in(&variant.uri, name);
    master
        .variants
        .iter()
        .find(of_it)
        .ok_or_else(|| wrong(format!("the master playlist does not name the rendition `{name}`")))
}

fn variant_of_i_frames<'a>(master: &'a MasterPlaylist, name: &str) -> Result<&'a VariantStream, MediaError> {
    variant(master, name, true)
        .map_err(|_| wrong(format!("the master playlist does not name the I-frames of `{name}`")))
}

fn sound<'a>(master: &'a MasterPlaylist, name: &str) -> Result<&'a AlternativeMedia, MediaError> {
    let of_it = |sound: &&AlternativeMedia| sound.uri.as_deref().is_some_and(|uri| is_in(uri, name));
    master
        .alternatives
        .iter()
        .find(of_it)
        .ok_or_else(|| wrong(format!("the master playlist does not name the sound `{name}`")))
}

fn is_in(uri: &str, name: &str) -> bool {
    uri.strip_prefix("files/")
        .and_then(|rest| rest.strip_prefix(name))
        .is_some_and(|rest| rest.starts_with('/'))
}

fn variant_claims(variant: &VariantStream) -> Claims {
    Claims {
        codecs: variant.codecs.clone(),
        size: variant.resolution.map(|size| (size.width, size.height)),
        rate: variant.frame_rate,
        bandwidth: Some(variant.bandwidth as f64),
        average: variant.average_bandwidth.map(|bits| bits as f64),
        range: variant
            .other_attributes
            .as_ref()
            .and_then(|all| all.get("VIDEO-RANGE"))
            .map(ToString::to_string),
        ..Claims::default()
    }
}

/// A media playlist and its segments.
fn track(plan: &Plan, dir: &Path, name: &str, uri: &str) -> Result<Track, MediaError> {
    let playlist = media_playlist(dir, uri)?;
    let folder = folder_of(uri);
    let (wrapping, init) = match plan.segmenting.map(|segmenting| segmenting.kind) {
        Some(SegmentType::Fmp4) => {
            let map = playlist.segments.first().and_then(|segment| segment.map.as_ref());
            let map = map.ok_or_else(|| wrong(format!("`{uri}` names no initialization segment")))?;
            (Wrapping::Fragments, Some(Piece::find(dir, &format!("{folder}{}", map.uri))?))
        }
        _ => (Wrapping::Ts, None),
    };
    let segment = |segment: &MediaSegment| {
        if segment.discontinuity || segment.byte_range.is_some() {
            return Err(wrong(format!("`{uri}` does not list whole segments that follow each other")));
        }
        let piece = Piece::find(dir, &format!("{folder}{}", segment.uri))?;
        Ok(Segment { piece, seconds: Some(f64::from(segment.duration)), start: None })
    };
    let segments = playlist.segments.iter().map(segment).collect::<Result<_, _>>()?;
    let claims = Claims { target: Some(playlist.target_duration as f64), ..Claims::default() };
    Ok(Track {
        name: name.to_owned(),
        planned: Vec::new(),
        wrapping,
        init,
        segments,
        claims,
        i_frames: Vec::new(),
    })
}

fn media_playlist(dir: &Path, uri: &str) -> Result<MediaPlaylist, MediaError> {
    let file = Piece::find(dir, uri)?;
    let text = read_text(&file.path, uri)?;
    let (_, playlist) =
        m3u8_rs::parse_media_playlist(&text).map_err(|_| wrong(format!("`{uri}` cannot be read")))?;
    if !playlist.end_list || playlist.playlist_type != Some(MediaPlaylistType::Vod) {
        return Err(wrong(format!("`{uri}` is not marked as complete")));
    }
    if playlist.segments.is_empty() {
        return Err(wrong(format!("`{uri}` lists no segments")));
    }
    Ok(playlist)
}

fn i_frames(dir: &Path, uri: &str) -> Result<Vec<Range>, MediaError> {
    let playlist = media_playlist(dir, uri)?;
    if !playlist.i_frames_only {
        return Err(wrong(format!("`{uri}` is not marked as I-frames only")));
    }
    if playlist.segments.first().is_none_or(|segment| segment.map.is_none()) {
        return Err(wrong(format!("`{uri}` names nothing that initializes its I-frames")));
    }
    let range = |segment: &MediaSegment| {
        let piece = Piece::find(dir, &format!("{}{}", folder_of(uri), segment.uri))?;
        let range = segment.byte_range.as_ref().and_then(|range| Some((range.offset?, range.length)));
        let (offset, length) =
            range.ok_or_else(|| wrong(format!("`{uri}` has an I-frame without its bytes")))?;
        Ok(Range { path: piece.path, offset, length })
    };
    playlist.segments.iter().map(range).collect()
}

/// With its slash; empty for what lies beside the master playlist.
fn folder_of(uri: &str) -> &str {
    uri.rfind('/').map_or("", |slash| &uri[..=slash])
}

fn read_text(path: &Path, what: &str) -> Result<Vec<u8>, MediaError> {
    fs::read(path).map_err(|error| wrong(format!("{what} cannot be read: {error}")))
}
