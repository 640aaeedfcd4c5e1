//! HLS playlists of an output that is still being made (RFC 8216, 4.3.3.5: `EVENT`): what is listed stays,
//! and more is added at the end, until the complete ones take their place.

use std::io;

use super::{
    hls::{PlannedStreams, fix_main_playlist, growing_target_duration, uris},
    relocate,
};
use crate::{
    format::{MAX_PLAYLIST_BYTES, bandwidth::Bandwidth, hls},
    layout::OutputLayout,
    plan::Plan,
    work_folder::WorkFolder,
};

/// A comment that only the main playlist of a growing output has: when nobody makes it any more,
/// that output is to be removed.
const GROWING_COMMENT: &str = "## this output is not finished";

/// Whether a main playlist is that of a growing output.
pub fn is_growing(main_playlist: &str) -> bool {
    main_playlist.lines().any(|line| line == GROWING_COMMENT)
}

/// The media playlist of this path below `dir`, as far as `is_published` says that its segments can be fetched; none as
/// long as there is nothing to list.
///
/// # Errors
/// When the packager's playlist cannot be read.
pub fn growing_media_playlist(
    plan: &Plan,
    dir: &WorkFolder,
    playlist: &str,
    is_published: impl Fn(&str) -> bool,
) -> io::Result<Option<String>> {
    let text = dir.read_text(playlist, MAX_PLAYLIST_BYTES)?;
    let folder = playlist.rsplit_once('/').map_or("", |(folder, _)| folder);
    if text.contains("#EXT-X-MAP:") && !is_published(&OutputLayout::init_segment(folder)) {
        return Ok(None);
    }
    let (mut lines, mut listed_len) = (String::new(), None);
    for line in text.lines() {
        let uri = hls::parse_uri(line);
        if uri.is_some_and(|uri| !is_published(&format!("{folder}/{uri}"))) {
            break;
        }
        if line.starts_with("#EXT-X-TARGETDURATION:") {
            // it must not change (RFC 8216, 6.2.1): no segment will be longer
            lines.push_str(&format!("#EXT-X-TARGETDURATION:{}\n", growing_target_duration(plan)));
        } else {
            lines.push_str(line);
            lines.push('\n');
        }
        if uri.is_some() {
            listed_len = Some(lines.len());
        }
    }
    Ok(listed_len.map(|len| lines[..len].to_owned()))
}

/// The main playlist of `dir`, which names no I-frame playlists yet, pointing at `folder`; none as long as it
/// does not name all streams.
///
/// # Errors
/// When the packager's playlists cannot be read.
pub fn growing_main_playlist(plan: &Plan, dir: &WorkFolder, folder: &str) -> io::Result<Option<String>> {
    let text = dir.read_text(OutputLayout::main_file(plan.format), MAX_PLAYLIST_BYTES)?;
    let is_kept = |line: &&str| !line.starts_with("#EXT-X-I-FRAME-STREAM-INF:");
    let text: String = text.lines().filter(is_kept).map(|line| format!("{line}\n")).collect();
    let named = uris(&text);
    let streams = plan.videos.len() + plan.audios.len();
    if named.len() < streams || !named.iter().all(|uri| dir.has_file(uri)) {
        return Ok(None);
    }
    let measure = |uri: &str| Bandwidth::of_playlist(dir, uri);
    let fixed = fix_main_playlist(&text, &PlannedStreams::of(plan), measure)?;
    Ok(Some(format!("{}{GROWING_COMMENT}\n", relocate(plan.format, &fixed, folder))))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{fixtures, playlists::hls::complete};

    const GROWING: &str = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:3\n#EXT-X-PLAYLIST-TYPE:EVENT\n\
        #EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:2.000,\nseg_00001.m4s\n#EXTINF:1.979,\nseg_00002.m4s\n";

    fn growing(published: &[&str]) -> Option<String> {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(dir.path().join("files/audio")).expect("made");
        fs::write(dir.path().join("files/audio/playlist.m3u8"), GROWING).expect("written");
        let source = fixtures::source(Some(fixtures::video(640, 360, "25")), vec![fixtures::audio(1, 2, "")]);
        let plan =
            fixtures::plan(serde_json::json!({"format": "hls", "seg_time": 2, "seg_type": "fmp4"}), &source);
        let is_published = |path: &str| published.iter().any(|name| path == format!("files/audio/{name}"));
        let folder = WorkFolder::open(dir.path()).expect("opened");
        growing_media_playlist(&plan, &folder, "files/audio/playlist.m3u8", is_published).expect("readable")
    }

    #[test]
    fn only_what_can_be_fetched_is_listed() {
        assert_eq!(growing(&[]), None);
        assert_eq!(growing(&["init.mp4"]), None);
        assert_eq!(growing(&["seg_00001.m4s"]), None);
        let one = growing(&["init.mp4", "seg_00001.m4s"]).expect("a playlist");
        assert_eq!(one, GROWING.replace(":3", ":2").split("#EXTINF:1.979").next().expect("a beginning"));
        let all = growing(&["init.mp4", "seg_00001.m4s", "seg_00002.m4s"]).expect("a playlist");
        assert!(all.starts_with(&one), "what was listed stays");
    }

    #[test]
    fn the_complete_one_has_an_end() {
        let playlist = complete(GROWING);
        assert!(playlist.contains("#EXT-X-PLAYLIST-TYPE:VOD\n") && playlist.ends_with("#EXT-X-ENDLIST\n"));
        assert_eq!(complete(&playlist), playlist);
    }
}
