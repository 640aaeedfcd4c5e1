//! Media playlists (RFC 8216, 4.3.2 and 4.3.3), and those of I-frames.

use m3u8_rs::{MediaPlaylist, MediaPlaylistType, MediaSegment, VariantStream};

use super::{check_known_tags, folder_of, master, read_text};
use crate::{
    error::MediaError,
    format::bandwidth::Bandwidth,
    verify::{
        claims::is_same_bit_rate,
        listing::{IFrameRange, MediaFile, wrong_output},
    },
    work_folder::WorkFolder,
};

/// Reads the one of this URI below `dir`, and holds it to the rules.
pub(super) fn read(dir: &WorkFolder, uri: &str) -> Result<MediaPlaylist, MediaError> {
    MediaFile::find(dir, uri)?;
    let text = read_text(dir, uri)?;
    let (rest, playlist) =
        m3u8_rs::parse_media_playlist(&text).map_err(|_| wrong_output(format!("`{uri}` cannot be read")))?;
    if !rest.is_empty() {
        return Err(wrong_output(format!("`{uri}` cannot be read to its end")));
    }
    check_known_tags(uri, playlist.segments.iter().flat_map(|segment| &segment.unknown_tags))?;
    let rules =
        [find_incomplete, find_old_version, find_missing_duration, find_long_segment, find_second_init];
    match rules.iter().find_map(|rule| rule(&playlist)) {
        Some(problem) => Err(wrong_output(format!("`{uri}` {problem}"))),
        None => Ok(playlist),
    }
}

/// From the first segment to the end, which will never change (4.3.3.2 to 4.3.3.5).
fn find_incomplete(playlist: &MediaPlaylist) -> Option<String> {
    let is_vod = playlist.playlist_type == Some(MediaPlaylistType::Vod);
    let begins = playlist.media_sequence == 0 && playlist.discontinuity_sequence == 0;
    let problem = match () {
        () if !playlist.end_list || !is_vod => "is not marked as complete",
        () if playlist.segments.is_empty() => "lists no segments",
        () if !begins => "does not begin with its first segment",
        () => return None,
    };
    Some(problem.to_owned())
}

/// The least version of a playlist that may hold what this one holds (7).
fn find_old_version(playlist: &MediaPlaylist) -> Option<String> {
    let any = |has: fn(&MediaSegment) -> bool| playlist.segments.iter().any(has);
    let needed = match () {
        () if any(|segment| segment.map.is_some()) => 6 - usize::from(playlist.i_frames_only),
        () if playlist.i_frames_only || any(|segment| segment.byte_range.is_some()) => 4,
        () if any(|segment| segment.duration.fract() != 0.0) => 3,
        () => 1,
    };
    let version = playlist.version.unwrap_or(1);
    if version >= needed {
        return None;
    }
    Some(format!("is of version {version}, and has what came with version {needed}"))
}

/// Every segment has an `EXTINF` (4.3.2.1).
fn find_missing_duration(playlist: &MediaPlaylist) -> Option<String> {
    let without = playlist.segments.iter().find(|segment| segment.duration <= 0.0)?;
    Some(format!("lists `{}` without its duration", without.uri))
}

/// Durations, rounded to whole seconds, are not above the target duration (4.3.3.1).
fn find_long_segment(playlist: &MediaPlaylist) -> Option<String> {
    let target = playlist.target_duration;
    let longer = |segment: &&MediaSegment| f64::from(segment.duration).round() > target as f64;
    let longer = playlist.segments.iter().find(longer)?;
    Some(format!(
        "has the target duration {target}, and `{}` has a duration of {} s",
        longer.uri, longer.duration
    ))
}

/// An `EXT-X-MAP` holds for what follows it: one before the first segment is for all (4.3.2.5).
fn find_second_init(playlist: &MediaPlaylist) -> Option<String> {
    let another = playlist.segments.iter().skip(1).find(|segment| segment.map.is_some())?;
    Some(format!("names another initialization segment before `{}`", another.uri))
}

/// The initialization segment (4.3.2.5).
pub(super) fn init(playlist: &MediaPlaylist, dir: &WorkFolder, uri: &str) -> Result<MediaFile, MediaError> {
    let map = playlist.segments.first().and_then(|segment| segment.map.as_ref());
    let map = map.ok_or_else(|| wrong_output(format!("`{uri}` names no initialization segment")))?;
    MediaFile::find(dir, &format!("{}{}", folder_of(uri), map.uri))
}

/// The I-frames of a rendition.
pub(super) fn i_frames(
    dir: &WorkFolder,
    of: &VariantStream,
    listed: &VariantStream,
    segments_init: Option<&MediaFile>,
) -> Result<Vec<IFrameRange>, MediaError> {
    let uri = listed.uri.as_str();
    let playlist = read(dir, uri)?;
    if !playlist.i_frames_only {
        return Err(wrong_output(format!("`{uri}` is not marked as I-frames only")));
    }
    check_i_frame_init(&playlist, dir, uri, segments_init)?;
    let range = |segment: &MediaSegment| {
        let file = MediaFile::find(dir, &format!("{}{}", folder_of(uri), segment.uri))?;
        let range = segment.byte_range.as_ref().and_then(|range| Some((range.offset?, range.length)));
        let (offset, length) =
            range.ok_or_else(|| wrong_output(format!("`{uri}` has an I-frame without its bytes")))?;
        Ok(IFrameRange { path: file.path, offset, bytes: length, duration: f64::from(segment.duration) })
    };
    let ranges = playlist.segments.iter().map(range).collect::<Result<Vec<_>, MediaError>>()?;
    check_i_frame_variant(of, listed, &ranges, playlist.target_duration as f64)?;
    Ok(ranges)
}

/// A decoder is given the rendition's own initialization segment, or the tables of a transport stream,
/// before the first I-frame (4.3.2.5, 4.3.3.6).
fn check_i_frame_init(
    playlist: &MediaPlaylist,
    dir: &WorkFolder,
    uri: &str,
    segments_init: Option<&MediaFile>,
) -> Result<(), MediaError> {
    let named = init(playlist, dir, uri)?;
    let first = &playlist.segments[0];
    let tables = || first.map.as_ref().is_some_and(|map| map.byte_range.is_some() && map.uri == first.uri);
    let is_right = segments_init.map_or_else(tables, |expected| *expected == named);
    if is_right {
        return Ok(());
    }
    Err(wrong_output(format!("`{uri}` initializes its I-frames with something else than its segments")))
}

/// Their size, codec, range and bit rates (4.3.4.3).
fn check_i_frame_variant(
    of: &VariantStream,
    listed: &VariantStream,
    ranges: &[IFrameRange],
    target: f64,
) -> Result<(), MediaError> {
    let uri = listed.uri.as_str();
    let codec = |variant: &VariantStream| {
        variant.codecs.as_deref().and_then(|codecs| codecs.split(',').next()).map(str::to_owned)
    };
    let what = |variant| (codec(variant), variant.resolution, master::video_range(variant));
    if codec(listed).is_none() || what(listed) != what(of) {
        let (listed, of) = (what(listed), what(of));
        return Err(wrong_output(format!(
            "`{uri}` is listed with {listed:?}, and its rendition with {of:?}"
        )));
    }
    let i_frames: Vec<_> = ranges.iter().map(|range| (range.bytes, range.duration)).collect();
    let found = Bandwidth::of(&i_frames, Some(target));
    for (what, claimed, found) in [
        ("BANDWIDTH", Some(listed.bandwidth), found.peak),
        ("AVERAGE-BANDWIDTH", listed.average_bandwidth, found.average),
    ] {
        let claimed = claimed.unwrap_or_default() as f64;
        if !is_same_bit_rate(claimed, found) {
            return Err(wrong_output(format!(
                "`{uri}` is listed with {what}={claimed}, and has {found:.0} bit/s"
            )));
        }
    }
    Ok(())
}
