//! Where the files of an output lie. All paths are relative to the output's folder, `<work>/out`:
//!
//! - `main.<extension>`: the single file, or the main playlist or manifest;
//! - `files/manifest.mpd`: the second manifest;
//! - `files/<stream>/`: `init.mp4`, `seg_00001.m4s` or `.ts`, `playlist.m3u8`, `iframes.m3u8`;
//! - `files/thumbnails/`: `thumb_00001.jpg`, `sprite_001.jpg`, `storyboard.vtt`.

use std::path::{Path, PathBuf};

use model::{Format, SegmentType};

use crate::plan::Plan;

/// What the names of segments begin with.
const SEGMENT_PREFIX: &str = "seg_";
/// The name of an initialization segment.
const INIT_SEGMENT: &str = "init.mp4";
/// The name of a stream's own playlist.
const MEDIA_PLAYLIST: &str = "playlist.m3u8";

/// What the names of the folders of later tries begin with.
const TRY_PREFIX: &str = "try-";

/// The one that knows where the files of an output lie.
#[derive(Clone, Copy, Debug)]
pub struct OutputLayout;

impl OutputLayout {
    /// The folder of all files but the main one.
    pub const FILES_FOLDER: &'static str = "files";

    /// The output's folder in the work folder of a task.
    pub fn dir(work: &Path) -> PathBuf {
        work.join("out")
    }

    /// The main file.
    pub fn main_file(format: Format) -> String {
        format!("main.{}", format.extensions()[0])
    }

    /// The second manifest.
    pub fn second_manifest() -> String {
        format!("{}/manifest.mpd", Self::FILES_FOLDER)
    }

    /// A path below the folder of all files but the main one; none for the main one.
    pub fn below_files(path: &str) -> Option<&str> {
        path.strip_prefix(Self::FILES_FOLDER)?.strip_prefix('/')
    }

    /// The main playlist or manifest, and the second one if there is any; none for single files.
    pub(crate) fn manifests(plan: &Plan) -> Vec<(Format, String)> {
        let main = (plan.format, Self::main_file(plan.format));
        let second = plan.also.map(|format| (format, Self::second_manifest()));
        [main].into_iter().chain(second).filter(|(format, _)| format.is_segmented()).collect()
    }

    /// The names of all streams: of renditions, then of audio tracks.
    pub fn stream_names(plan: &Plan) -> impl Iterator<Item = &str> {
        let videos = plan.videos.iter().map(|video| video.name.as_str());
        videos.chain(plan.audios.iter().map(|audio| audio.name.as_str()))
    }

    /// The folder of a stream.
    pub(crate) fn stream_folder(name: &str) -> String {
        format!("{}/{name}", Self::FILES_FOLDER)
    }

    /// Whether this is the path of a file of the stream.
    pub(crate) fn is_of_stream(path: &str, name: &str) -> bool {
        let below = Self::below_files(path).and_then(|path| path.strip_prefix(name));
        below.is_some_and(|rest| rest.starts_with('/'))
    }

    /// The initialization segment in the folder of a stream.
    pub(crate) fn init_segment(stream_folder: &str) -> String {
        format!("{stream_folder}/{INIT_SEGMENT}")
    }

    /// The segments of a stream, by the packager's pattern; the first is 1.
    pub(crate) fn segment_template(name: &str, kind: SegmentType) -> String {
        let extension = match kind {
            SegmentType::Ts => "ts",
            SegmentType::Fmp4 => "m4s",
        };
        format!("{}/{SEGMENT_PREFIX}$Number%05d$.{extension}", Self::stream_folder(name))
    }

    /// The media playlist of a stream.
    pub fn media_playlist(name: &str) -> String {
        format!("{}/{MEDIA_PLAYLIST}", Self::stream_folder(name))
    }

    /// The playlist of the I-frames of a rendition.
    pub(crate) fn i_frame_playlist(name: &str) -> String {
        format!("{}/iframes.m3u8", Self::stream_folder(name))
    }

    /// Whether a file of this name is a segment.
    pub(crate) fn is_segment(file_name: &str) -> bool {
        file_name.starts_with(SEGMENT_PREFIX)
    }

    /// Whether a file of this name is published while an output grows; I-frame playlists are not, nor what the
    /// packager has for a moment.
    pub(crate) fn is_published_early(file_name: &str) -> bool {
        Self::is_segment(file_name)
            || [INIT_SEGMENT, MEDIA_PLAYLIST].contains(&file_name)
            || file_name == Self::main_file(Format::Hls)
    }

    /// The folder of thumbnails.
    pub(crate) fn thumbnails_folder() -> String {
        format!("{}/thumbnails", Self::FILES_FOLDER)
    }

    /// A thumbnail; the first is 1.
    pub fn thumbnail(number: u32) -> String {
        format!("{}/thumb_{number:05}.jpg", Self::thumbnails_folder())
    }

    /// All thumbnails, by FFmpeg's pattern.
    pub(crate) fn thumbnail_pattern() -> String {
        format!("{}/thumb_%05d.jpg", Self::thumbnails_folder())
    }

    /// The name of a sheet of thumbnails in their folder; the first is 1.
    pub(crate) fn sheet_name(number: u32) -> String {
        format!("sprite_{number:03}.jpg")
    }

    /// All sheets, by FFmpeg's pattern.
    pub(crate) fn sheet_pattern() -> String {
        format!("{}/sprite_%03d.jpg", Self::thumbnails_folder())
    }

    /// A sheet of thumbnails.
    pub(crate) fn sheet(number: u32) -> String {
        format!("{}/{}", Self::thumbnails_folder(), Self::sheet_name(number))
    }

    /// The folder of a later try of a task, below the folder of all files but the main one where they are stored: a
    /// first try has none. `number` is any that no other try at this place has.
    pub fn try_folder(number: u32) -> String {
        format!("{TRY_PREFIX}{number:08x}")
    }

    /// The folder of a later try that a stored file lies in, by the file's path below the folder of all files but
    /// the main one; empty for that of a first try. None for what is no file of an output: somebody else's.
    pub fn try_folder_of(stored: &str) -> Option<&str> {
        let (folder, path) = match stored.split_once('/') {
            Some((folder, path)) if is_numbered(folder, TRY_PREFIX, "", is_hex_digit) => (folder, path),
            _ => ("", stored),
        };
        is_of_an_output(path).then_some(folder)
    }

    /// The storyboard, which says which part of which sheet is shown when.
    pub fn storyboard() -> String {
        format!("{}/storyboard.vtt", Self::thumbnails_folder())
    }
}

/// Whether a path below the folder of all files but the main one is that of a file of an output.
fn is_of_an_output(path: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_digit();
    let is_numbered = |name, prefix, extension| is_numbered(name, prefix, extension, is_digit);
    match path.split_once('/') {
        None => path == "manifest.mpd",
        Some(("thumbnails", file)) => {
            file == "storyboard.vtt"
                || is_numbered(file, "thumb_", ".jpg")
                || is_numbered(file, "sprite_", ".jpg")
        }
        Some((stream, file)) => {
            let (name, number) = stream.split_once('_').unwrap_or((stream, "1"));
            let is_stream = name == "audio" || is_numbered(name, "", "p");
            is_stream
                && number.chars().all(is_digit)
                && ([INIT_SEGMENT, MEDIA_PLAYLIST, "iframes.m3u8"].contains(&file)
                    || [".ts", ".m4s"].iter().any(|extension| is_numbered(file, SEGMENT_PREFIX, extension)))
        }
    }
}

/// Whether a name is this prefix, a number and this extension.
fn is_numbered(name: &str, prefix: &str, extension: &str, is_digit: fn(char) -> bool) -> bool {
    let number = name.strip_prefix(prefix).and_then(|name| name.strip_suffix(extension));
    number.is_some_and(|number| !number.is_empty() && number.chars().all(is_digit))
}

fn is_hex_digit(character: char) -> bool {
    character.is_ascii_hexdigit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stream_is_called_does_not_reach_into_another() {
        assert!(OutputLayout::is_of_stream(&OutputLayout::media_playlist("audio"), "audio"));
        assert!(!OutputLayout::is_of_stream(&OutputLayout::media_playlist("audio_2"), "audio"));
        assert!(!OutputLayout::is_of_stream("audio/playlist.m3u8", "audio"));
        assert_eq!(OutputLayout::below_files("main.m3u8"), None);
        assert_eq!(OutputLayout::below_files(&OutputLayout::storyboard()), Some("thumbnails/storyboard.vtt"));
    }

    #[test]
    fn what_is_of_an_output_is_told_from_what_is_others() {
        let segment = |kind| OutputLayout::segment_template("720p_2", kind).replace("$Number%05d$", "123456");
        let files = [
            segment(SegmentType::Ts),
            segment(SegmentType::Fmp4),
            OutputLayout::init_segment(&OutputLayout::stream_folder("audio_2")),
            OutputLayout::media_playlist("audio"),
            OutputLayout::i_frame_playlist("72p"),
            OutputLayout::second_manifest(),
            OutputLayout::thumbnail(123_456),
            OutputLayout::sheet(1),
            OutputLayout::storyboard(),
        ];
        for file in files {
            let path = OutputLayout::below_files(&file).expect("below it");
            assert_eq!(OutputLayout::try_folder_of(path), Some(""), "{path}");
            let folder = OutputLayout::try_folder(7);
            assert_eq!(OutputLayout::try_folder_of(&format!("{folder}/{path}")), Some(folder.as_str()));
        }
        for other in [
            "mine.mp4",
            "720p/mine.mp4",
            "720p/seg_.ts",
            "720p/seg_1.ts.bak",
            "other/init.mp4",
            "audio_x/init.mp4",
            "a/720p/init.mp4",
            "try-/720p/init.mp4",
            "thumbnails/me.jpg",
        ] {
            assert_eq!(OutputLayout::try_folder_of(other), None, "{other}");
        }
    }
}
