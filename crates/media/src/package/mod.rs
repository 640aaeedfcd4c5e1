//! Puts right what the packager leaves wrong, and points a main playlist at the folder that its
//! files end up in. MPDs are right as they come; HLS playlists are not quite:
//!
//! - no sound is the default one unless it has a language;
//! - target durations are rounded up instead of to the nearest second;
//! - without picture, each language is a variant, between which players would switch by bandwidth;
//! - the peak bandwidths of I-frame playlists are below their averages;
//! - I-frames of transport streams are listed without the tables that a decoder needs before them.

mod bandwidth;
mod lines;
mod refer;

use std::{fs, io, path::Path};

use model::{ErrorCode, Format};

use crate::{MediaError, Plan, formats};
pub(crate) use bandwidth::Bandwidth;
use bandwidth::measure;
use lines::Tag;
pub use refer::refer_to;

/// Rewrites the playlists in `dir`.
pub(crate) async fn put_right(plan: &Plan, dir: &Path) -> Result<(), MediaError> {
    match plan.format {
        Format::Mp4 | Format::Flv | Format::Dash => Ok(()),
        Format::Hls => {
            let dir = dir.to_owned();
            let done = tokio::task::spawn_blocking(move || put_hls_right(&dir)).await;
            done.unwrap_or_else(|lost| Err(io::Error::other(lost))).map_err(|error| {
                MediaError::new(ErrorCode::EncodingFailed, format!("the playlists cannot be read: {error}"))
            })
        }
    }
}

fn put_hls_right(dir: &Path) -> io::Result<()> {
    let master = dir.join(formats::main_file(Format::Hls));
    let text = fs::read_to_string(&master)?;
    for uri in uris(&text) {
        let path = dir.join(uri);
        let text = fs::read_to_string(&path)?;
        fs::write(&path, media_playlist(&text))?;
    }
    fs::write(&master, master_playlist(&text, |uri| measure(&dir.join(uri)))?)
}

/// The media playlists that a master playlist names.
fn uris(master: &str) -> Vec<String> {
    let mut uris: Vec<String> = master
        .lines()
        .filter_map(|line| match Tag::parse(line) {
            Some(tag) => tag.get("URI").map(str::to_owned),
            None => lines::uri(line).map(str::to_owned),
        })
        .collect();
    uris.sort();
    uris.dedup();
    uris
}

/// A media playlist with a target duration that holds (RFC 8216, 4.3.3.1), and with the tables of its
/// transport stream as the initialization of I-frames (4.3.3.6): they stand before the first one.
fn media_playlist(text: &str) -> String {
    let target = text.lines().filter_map(lines::extinf).map(|seconds| seconds.round() as u64).max();
    let mut tables = tables(text);
    let rewrite = |line: &str| {
        if line.starts_with("#EXT-X-TARGETDURATION:") {
            return format!("#EXT-X-TARGETDURATION:{}", target.unwrap_or(1).max(1));
        }
        match tables.take_if(|_| line.starts_with("#EXTINF:")) {
            Some(tables) => format!("{tables}\n{line}"),
            None => line.to_owned(),
        }
    };
    lines::map(text, rewrite)
}

/// The tag that initializes I-frames, where it is missing.
fn tables(text: &str) -> Option<String> {
    if !text.contains("#EXT-X-I-FRAMES-ONLY") || text.contains("#EXT-X-MAP:") {
        return None;
    }
    let (_, end) = text.lines().find_map(lines::byte_range)?;
    let uri = text.lines().find_map(lines::uri)?;
    Some(format!("#EXT-X-MAP:URI=\"{uri}\",BYTERANGE=\"{end}@0\""))
}

fn master_playlist(text: &str, measure: impl Fn(&str) -> io::Result<Bandwidth>) -> io::Result<String> {
    let tags: Vec<Tag> = text.lines().filter_map(Tag::parse).collect();
    let sounds: Vec<&str> =
        tags.iter().filter(|tag| tag.name == "EXT-X-MEDIA").filter_map(|tag| tag.get("URI")).collect();
    let mut loudest = Bandwidth::default();
    for uri in &sounds {
        loudest = loudest.larger(measure(uri)?);
    }
    let mut out = Vec::new();
    let mut first_sound = true;
    let mut incoming = text.lines().peekable();
    while let Some(line) = incoming.next() {
        let Some(mut tag) = Tag::parse(line) else {
            out.push(line.to_owned());
            continue;
        };
        match tag.name.as_str() {
            "EXT-X-MEDIA" => {
                tag.set("DEFAULT", if std::mem::take(&mut first_sound) { "YES" } else { "NO" });
            }
            "EXT-X-STREAM-INF" => {
                let uri = incoming.next().unwrap_or_default();
                if sounds.contains(&uri) {
                    if sounds.first() != Some(&uri) {
                        continue;
                    }
                    loudest.write(&mut tag);
                } else {
                    measure(uri)?.plus(loudest).write(&mut tag);
                }
                out.extend([tag.to_string(), uri.to_owned()]);
                continue;
            }
            "EXT-X-I-FRAME-STREAM-INF" => {
                if let Some(uri) = tag.get("URI") {
                    measure(uri)?.write(&mut tag);
                }
            }
            _ => {}
        }
        out.push(tag.to_string());
    }
    Ok(out.join("\n") + "\n")
}

#[cfg(test)]
mod tests;
