//! Points a main playlist at the folder that its files end up in.

use std::io;

use model::Format;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    format::{MAX_PLAYLIST_BYTES, hls},
    layout::OutputLayout,
    work_folder::WorkFolder,
};

/// All but the characters that RFC 3986 leaves alone. That covers what quotes end, what XML escapes,
/// and the `$` of DASH's templates.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Rewrites the main playlist or manifest of an output, so that its URIs point at `folder`. Single-file formats
/// have no such text.
///
/// # Errors
/// When it cannot be read or written.
pub fn relocate_main_file(dir: &WorkFolder, format: Format, folder: &str) -> io::Result<()> {
    if !format.is_segmented() {
        return Ok(());
    }
    let main = OutputLayout::main_file(format);
    let text = dir.read_text(&main, MAX_PLAYLIST_BYTES)?;
    dir.write(&main, relocate(format, &text, folder))
}

/// The main playlist or manifest with its URIs `files/…` pointing at `folder` instead, a path whose parts are
/// percent-encoded. Single-file formats have no such text.
pub fn relocate(format: Format, main_playlist: &str, folder: &str) -> String {
    let files = format!("{}/", OutputLayout::FILES_FOLDER);
    let parts = folder.split('/').map(|part| utf8_percent_encode(part, ESCAPED).to_string());
    let folder: String = parts.map(|part| part + "/").collect();
    match format {
        Format::Mp4 | Format::Flv => main_playlist.to_owned(),
        Format::Hls => hls::map_lines(main_playlist, |line| match line.strip_prefix(&files) {
            Some(rest) => format!("{folder}{rest}"),
            None => line.replace(&format!("URI=\"{files}"), &format!("URI=\"{folder}")),
        }),
        Format::Dash => ["initialization=\"", "media=\"", "sourceURL=\"", "<BaseURL>"]
            .iter()
            .fold(main_playlist.to_owned(), |text, before| {
                text.replace(&format!("{before}{files}"), &format!("{before}{folder}"))
            }),
    }
}
