//! Playlists of an output that is still being made (RFC 8216, 4.3.3.5: `EVENT`): what is listed stays,
//! and more is added at the end, until the complete ones take their place.

use std::{fs, io, path::Path};

use super::{Truth, master_playlist, refer_to};
use crate::{
    Plan,
    format::{bandwidth::Bandwidth, hls},
    formats,
};

/// A comment that only the main playlist of an unfinished output has: when nobody makes it any more,
/// that output is to be removed.
const UNFINISHED: &str = "## this output is not finished";

/// Whether a main playlist is that of an output that was never finished.
pub fn is_unfinished(main_text: &str) -> bool {
    main_text.lines().any(|line| line == UNFINISHED)
}

/// The media playlist of this path below `dir`, as far as `is_there` says that its segments can be fetched; none as long
/// as there is nothing to list.
pub fn early_media_playlist(
    plan: &Plan,
    dir: &Path,
    playlist: &str,
    is_there: impl Fn(&str) -> bool,
) -> io::Result<Option<String>> {
    let text = fs::read_to_string(dir.join(playlist))?;
    let folder = playlist.rsplit_once('/').map_or("", |(folder, _)| folder);
    if text.contains("#EXT-X-MAP:") && !is_there(&format!("{folder}/{}", formats::INIT)) {
        return Ok(None);
    }
    let (mut lines, mut listed) = (String::new(), None);
    for line in text.lines() {
        if let Some(uri) = hls::parse_uri(line)
            && !is_there(&format!("{folder}/{uri}"))
        {
            break;
        }
        lines.push_str(&if line.starts_with("#EXT-X-TARGETDURATION:") {
            // it must not change: no segment will be longer
            format!("#EXT-X-TARGETDURATION:{}", target(plan))
        } else {
            line.to_owned()
        });
        lines.push('\n');
        if hls::parse_uri(line).is_some() {
            listed = Some(lines.len());
        }
    }
    Ok(listed.map(|end| lines[..end].to_owned()))
}

/// Whole seconds that no segment lasts longer than: sound is cut where its frames end, a little beside
/// the picture.
pub(super) fn target(plan: &Plan) -> u64 {
    let segment = plan.segmenting.map_or(1.0, |segmenting| segmenting.seconds.as_f64());
    ((segment + 0.05).round() as u64).max(1)
}

/// The main playlist of `dir`, which names no I-frames yet, pointing at `folder`; none as long as it
/// does not name all streams.
pub fn early_main_playlist(plan: &Plan, dir: &Path, folder: &str) -> io::Result<Option<String>> {
    let text = fs::read_to_string(dir.join(formats::main_file(plan.format)))?;
    let kept = |line: &&str| !line.starts_with("#EXT-X-I-FRAME-STREAM-INF:");
    let text: String = text.lines().filter(kept).map(|line| format!("{line}\n")).collect();
    let named = super::uris(&text);
    let all = plan.videos.len() + plan.audios.len();
    if named.len() < all || !named.iter().all(|uri| dir.join(uri).is_file()) {
        return Ok(None);
    }
    let right = master_playlist(&text, &Truth::of(plan), |uri| Bandwidth::of_playlist(&dir.join(uri)))?;
    Ok(Some(format!("{}{UNFINISHED}\n", refer_to(plan.format, &right, folder))))
}

/// A complete playlist of what the packager wrote as one that grows.
pub(super) fn complete(text: &str) -> String {
    let text = text.replace("#EXT-X-PLAYLIST-TYPE:EVENT", "#EXT-X-PLAYLIST-TYPE:VOD");
    let ended = text.lines().any(|line| line == "#EXT-X-ENDLIST");
    if ended { text } else { text + "#EXT-X-ENDLIST\n" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{plan, tests as given};

    const GROWING: &str = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:3\n#EXT-X-PLAYLIST-TYPE:EVENT\n\
        #EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:2.000,\nseg_00001.m4s\n#EXTINF:1.979,\nseg_00002.m4s\n";

    fn early(there: &[&str]) -> Option<String> {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(dir.path().join("files/audio")).expect("made");
        fs::write(dir.path().join("files/audio/playlist.m3u8"), GROWING).expect("written");
        let template =
            given::template(serde_json::json!({"format": "hls", "seg_time": 2, "seg_type": "fmp4"}));
        let source = given::source(Some(given::picture(640, 360, "25")), vec![given::sound(1, 2, "")]);
        let plan = plan(&template, &source, &given::settings()).expect("a plan");
        let is_there = |path: &str| there.iter().any(|name| path == format!("files/audio/{name}"));
        early_media_playlist(&plan, dir.path(), "files/audio/playlist.m3u8", is_there).expect("readable")
    }

    #[test]
    fn only_what_can_be_fetched_is_listed() {
        assert_eq!(early(&[]), None);
        assert_eq!(early(&["init.mp4"]), None);
        assert_eq!(early(&["seg_00001.m4s"]), None);
        let one = early(&["init.mp4", "seg_00001.m4s"]).expect("a playlist");
        assert_eq!(one, GROWING.replace(":3", ":2").split("#EXTINF:1.979").next().expect("a beginning"));
        let all = early(&["init.mp4", "seg_00001.m4s", "seg_00002.m4s"]).expect("a playlist");
        assert!(all.starts_with(&one), "what was listed stays");
    }

    #[test]
    fn the_complete_one_has_an_end() {
        let complete = complete(GROWING);
        assert!(complete.contains("#EXT-X-PLAYLIST-TYPE:VOD\n") && complete.ends_with("#EXT-X-ENDLIST\n"));
        assert_eq!(super::complete(&complete), complete);
    }
}
