//! HLS playlists (RFC 8216) of an output that is done. What the packager leaves wrong:
//!
//! - the default audio is the one of a language, if any, not the first of the plan;
//! - target durations are rounded up instead of to the nearest second, and differ between renditions;
//! - without video, each language is a variant, between which players would switch by bandwidth;
//! - the level of VP9 is guessed;
//! - frame rates of transport streams are those of a clock of 90 kHz;
//! - the peak bandwidths of I-frame playlists are below their averages;
//! - I-frames of transport streams are listed without the PAT and PMT that a decoder needs before them.

use std::io;

use model::Format;

use super::vp9_level;
use crate::{
    format::{
        MAX_PLAYLIST_BYTES,
        bandwidth::Bandwidth,
        hls::{self, Tag},
    },
    layout::OutputLayout,
    plan::{Plan, VideoPlan},
    work_folder::WorkFolder,
};

/// What a segment may be longer than planned: audio is cut where its frames end, a little beside the video.
const SEGMENT_TOLERANCE_SECS: f64 = 0.05;

/// Rewrites the main playlist in `dir` and the media playlists that it names.
pub(super) fn fix_up(plan: &Plan, dir: &WorkFolder) -> io::Result<()> {
    let master = OutputLayout::main_file(Format::Hls);
    let text = dir.read_text(&master, MAX_PLAYLIST_BYTES)?;
    let playlists: Vec<(String, String)> = uris(&text)
        .into_iter()
        .map(|uri| {
            let text = dir.read_text(&uri, MAX_PLAYLIST_BYTES)?;
            Ok((uri, complete(&text)))
        })
        .collect::<io::Result<_>>()?;
    let target =
        target_duration(playlists.iter().map(|(_, text)| text.as_str())).max(min_target_duration(plan));
    for (path, text) in &playlists {
        dir.write(path, fix_media_playlist(text, target))?;
    }
    let measure = |uri: &str| Bandwidth::of_playlist(dir, uri);
    dir.write(&master, fix_main_playlist(&text, &PlannedStreams::of(plan), measure)?)
}

/// What the plan knows better than the packager, by the beginnings of URIs.
pub(super) struct PlannedStreams<'a> {
    videos: &'a [VideoPlan],
    default_audio: Option<&'a str>,
}

impl<'a> PlannedStreams<'a> {
    pub(super) fn of(plan: &'a Plan) -> Self {
        let default_audio = plan.audios.first().map(|audio| audio.name.as_str());
        Self { videos: &plan.videos, default_audio }
    }

    fn video(&self, uri: &str) -> Option<&'a VideoPlan> {
        self.videos.iter().find(|video| OutputLayout::is_of_stream(uri, &video.name))
    }

    fn is_default_audio(&self, uri: &str) -> bool {
        self.default_audio.is_some_and(|name| OutputLayout::is_of_stream(uri, name))
    }

    /// Sets the codecs of a rendition in its tag.
    fn set_codecs(&self, tag: &mut Tag, uri: &str) {
        if let Some(video) = self.video(uri)
            && let Some(codecs) = tag.get("CODECS")
        {
            let fixed = vp9_level::fix_codecs(codecs, video);
            tag.set("CODECS", format!("\"{fixed}\""));
        }
    }
}

/// The media playlists that a main playlist names.
pub(super) fn uris(main: &str) -> Vec<String> {
    let mut uris: Vec<String> = main
        .lines()
        .filter_map(|line| match Tag::parse(line) {
            Some(tag) => tag.get("URI").map(str::to_owned),
            None => hls::parse_uri(line).map(str::to_owned),
        })
        .collect();
    uris.sort();
    uris.dedup();
    uris
}

/// The packager's growing playlist as a complete one.
pub(super) fn complete(text: &str) -> String {
    let text = text.replace("#EXT-X-PLAYLIST-TYPE:EVENT", "#EXT-X-PLAYLIST-TYPE:VOD");
    let has_end = text.lines().any(|line| line == "#EXT-X-ENDLIST");
    if has_end { text } else { text + "#EXT-X-ENDLIST\n" }
}

/// The target duration in seconds of a playlist that grows: no segment exceeds it, whatever will come.
pub(super) fn growing_target_duration(plan: &Plan) -> u64 {
    let segment = plan.segmenting.map_or(1.0, |segmenting| segmenting.segment_duration.as_f64());
    ((segment + SEGMENT_TOLERANCE_SECS).round() as u64).max(1)
}

/// The target duration that the playlist had while it grew: it must not change (RFC 8216, 6.2.1).
fn min_target_duration(plan: &Plan) -> u64 {
    if plan.is_growing { growing_target_duration(plan) } else { 1 }
}

/// Whole seconds that no segment of any of these playlists is longer than (RFC 8216, 4.3.3.1): renditions
/// have all the same (6.2.4).
fn target_duration<'a>(playlists: impl Iterator<Item = &'a str>) -> u64 {
    let seconds = playlists.flat_map(str::lines).filter_map(hls::parse_extinf);
    seconds.map(|seconds| seconds.round() as u64).max().unwrap_or(1)
}

/// A media playlist with this target duration, and with the PAT and PMT of its transport stream as the
/// `EXT-X-MAP` of I-frames (RFC 8216, 4.3.3.6): they stand before the first one.
fn fix_media_playlist(text: &str, target: u64) -> String {
    let mut map = i_frame_map(text);
    let rewrite = |line: &str| {
        if line.starts_with("#EXT-X-TARGETDURATION:") {
            return format!("#EXT-X-TARGETDURATION:{target}");
        }
        if line.starts_with("#EXTINF:")
            && let Some(map) = map.take()
        {
            return format!("{map}\n{line}");
        }
        line.to_owned()
    };
    hls::map_lines(text, rewrite)
}

/// The `EXT-X-MAP` of I-frames, where it is missing: the bytes before the first I-frame are the PAT and PMT.
fn i_frame_map(text: &str) -> Option<String> {
    if !text.contains("#EXT-X-I-FRAMES-ONLY") || text.contains("#EXT-X-MAP:") {
        return None;
    }
    let (_, end) = text.lines().find_map(hls::parse_byte_range)?;
    let uri = text.lines().find_map(hls::parse_uri)?;
    Some(format!("#EXT-X-MAP:URI=\"{uri}\",BYTERANGE=\"{end}@0\""))
}

/// The main playlist, with bandwidths measured by `measure`.
pub(super) fn fix_main_playlist(
    text: &str,
    planned: &PlannedStreams<'_>,
    measure: impl Fn(&str) -> io::Result<Bandwidth>,
) -> io::Result<String> {
    let tags: Vec<Tag> = text.lines().filter_map(Tag::parse).collect();
    let audio_uris: Vec<&str> =
        tags.iter().filter(|tag| tag.name == "EXT-X-MEDIA").filter_map(|tag| tag.get("URI")).collect();
    let mut largest_audio = Bandwidth::default();
    for uri in &audio_uris {
        largest_audio = largest_audio.max(measure(uri)?);
    }
    let mut out = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(mut tag) = Tag::parse(line) else {
            out.push(line.to_owned());
            continue;
        };
        match tag.name.as_str() {
            "EXT-X-MEDIA" => {
                if tag.get("URI").is_some_and(|uri| planned.is_default_audio(uri)) {
                    tag.set("DEFAULT", "YES");
                    tag.set("AUTOSELECT", "YES");
                } else {
                    tag.set("DEFAULT", "NO");
                }
            }
            "EXT-X-STREAM-INF" => {
                let uri = lines.next().unwrap_or_default();
                if audio_uris.contains(&uri) {
                    if !planned.is_default_audio(uri) {
                        continue;
                    }
                    largest_audio.write_to(&mut tag);
                } else {
                    measure(uri)?.plus(largest_audio).write_to(&mut tag);
                    planned.set_codecs(&mut tag, uri);
                    if let Some(video) = planned.video(uri) {
                        tag.set("FRAME-RATE", format!("{:.3}", video.frame_rate.as_f64()));
                    }
                }
                out.extend([tag.to_string(), uri.to_owned()]);
                continue;
            }
            "EXT-X-I-FRAME-STREAM-INF" => {
                if let Some(uri) = tag.get("URI").map(str::to_owned) {
                    measure(&uri)?.write_to(&mut tag);
                    planned.set_codecs(&mut tag, &uri);
                }
            }
            _ => {}
        }
        out.push(tag.to_string());
    }
    Ok(out.join("\n") + "\n")
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
