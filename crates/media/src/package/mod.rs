//! Puts right what the packager leaves wrong, and points a main playlist at the folder that its
//! files end up in. For manifests see [`mpd`]; of HLS playlists:
//!
//! - the default sound is the one of a language, if any, not the first of the plan;
//! - target durations are rounded up instead of to the nearest second, and differ between renditions;
//! - without picture, each language is a variant, between which players would switch by bandwidth;
//! - the level of VP9 is guessed;
//! - frame rates of transport streams are those of a clock of 90 kHz;
//! - the peak bandwidths of I-frame playlists are below their averages;
//! - I-frames of transport streams are listed without the tables that a decoder needs before them.

mod early;
pub(crate) mod mpd;
mod refer;
mod storyboard;
mod vp9;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use model::{ErrorCode, Format};

use crate::{
    MediaError, Plan, VideoPlan,
    format::{
        bandwidth::Bandwidth,
        hls::{self, Tag},
    },
    formats,
};
pub use early::{early_main_playlist, early_media_playlist, is_unfinished};
pub use refer::refer_to;

/// Rewrites the playlists in `dir`, and writes the storyboard of the pictures that were taken out.
pub(crate) async fn put_right(plan: &Plan, dir: &Path) -> Result<(), MediaError> {
    let (plan, dir) = (plan.clone(), dir.to_owned());
    let done = tokio::task::spawn_blocking(move || {
        storyboard::write(&plan, &dir)?;
        vp9::write(&plan, &dir)?;
        formats::manifests(&plan).iter().try_for_each(|(format, file)| match format {
            Format::Mp4 | Format::Flv => Ok(()),
            Format::Hls => put_hls_right(&plan, &dir),
            Format::Dash => put_dash_right(&plan, &dir.join(file)),
        })
    });
    done.await.unwrap_or_else(|lost| Err(io::Error::other(lost))).map_err(|error| {
        let detail = format!("the playlists cannot be read: {error}");
        MediaError::of_disk(&error, MediaError::new(ErrorCode::EncodingFailed, detail))
    })
}

fn put_dash_right(plan: &Plan, manifest: &Path) -> io::Result<()> {
    let text = fs::read_to_string(manifest)?;
    fs::write(manifest, mpd::put_right(&text, manifest.parent().unwrap_or(manifest), &plan.videos)?)
}

fn put_hls_right(plan: &Plan, dir: &Path) -> io::Result<()> {
    let master = dir.join(formats::main_file(Format::Hls));
    let text = fs::read_to_string(&master)?;
    let playlists: Vec<(PathBuf, String)> = uris(&text)
        .into_iter()
        .map(|uri| {
            let path = dir.join(uri);
            let text = fs::read_to_string(&path)?;
            Ok((path, early::complete(&text)))
        })
        .collect::<io::Result<_>>()?;
    let target = target(playlists.iter().map(|(_, text)| text.as_str())).max(least_target(plan));
    for (path, text) in &playlists {
        fs::write(path, media_playlist(text, target))?;
    }
    let measure = |uri: &str| Bandwidth::of_playlist(&dir.join(uri));
    fs::write(&master, master_playlist(&text, &Truth::of(plan), measure)?)
}

/// What the plan knows better than the packager: by the beginnings of URIs.
struct Truth<'a> {
    videos: &'a [VideoPlan],
    default_sound: Option<String>,
}

impl<'a> Truth<'a> {
    fn of(plan: &'a Plan) -> Self {
        let default_sound = plan.audios.first().map(|audio| format!("files/{}/", audio.name));
        Self { videos: &plan.videos, default_sound }
    }

    fn video(&self, uri: &str) -> Option<&'a VideoPlan> {
        self.videos.iter().find(|video| uri.starts_with(&format!("files/{}/", video.name)))
    }

    fn is_default(&self, uri: &str) -> bool {
        self.default_sound.as_ref().is_some_and(|folder| uri.starts_with(folder))
    }

    /// Sets what a tag says of the codecs of its rendition.
    fn name(&self, tag: &mut Tag, uri: &str) {
        if let Some((video, codecs)) = self.video(uri).zip(tag.get("CODECS")) {
            let named = vp9::named(codecs, video);
            tag.set("CODECS", format!("\"{named}\""));
        }
    }
}

/// The media playlists that a master playlist names.
fn uris(master: &str) -> Vec<String> {
    let mut uris: Vec<String> = master
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

/// What the target duration was said to be while the playlist grew; it must not become less.
fn least_target(plan: &Plan) -> u64 {
    if plan.is_growing { early::target(plan) } else { 1 }
}

/// Whole seconds that no segment of any of these playlists lasts longer than (RFC 8216, 4.3.3.1): renditions
/// have all the same (6.2.4).
fn target<'a>(playlists: impl Iterator<Item = &'a str>) -> u64 {
    let seconds = playlists.flat_map(str::lines).filter_map(hls::parse_extinf);
    seconds.map(|seconds| seconds.round() as u64).max().unwrap_or(1)
}

/// A media playlist with this target duration, and with the tables of its transport stream as the
/// initialization of I-frames (RFC 8216, 4.3.3.6): they stand before the first one.
fn media_playlist(text: &str, target: u64) -> String {
    let mut tables = tables(text);
    let rewrite = |line: &str| {
        if line.starts_with("#EXT-X-TARGETDURATION:") {
            return format!("#EXT-X-TARGETDURATION:{target}");
        }
        match tables.take_if(|_| line.starts_with("#EXTINF:")) {
            Some(tables) => format!("{tables}\n{line}"),
            None => line.to_owned(),
        }
    };
    hls::map_lines(text, rewrite)
}

/// The tag that initializes I-frames, where it is missing.
fn tables(text: &str) -> Option<String> {
    if !text.contains("#EXT-X-I-FRAMES-ONLY") || text.contains("#EXT-X-MAP:") {
        return None;
    }
    let (_, end) = text.lines().find_map(hls::parse_byte_range)?;
    let uri = text.lines().find_map(hls::parse_uri)?;
    Some(format!("#EXT-X-MAP:URI=\"{uri}\",BYTERANGE=\"{end}@0\""))
}

fn master_playlist(
    text: &str,
    truth: &Truth<'_>,
    measure: impl Fn(&str) -> io::Result<Bandwidth>,
) -> io::Result<String> {
    let tags: Vec<Tag> = text.lines().filter_map(Tag::parse).collect();
    let sounds: Vec<&str> =
        tags.iter().filter(|tag| tag.name == "EXT-X-MEDIA").filter_map(|tag| tag.get("URI")).collect();
    let mut loudest = Bandwidth::default();
    for uri in &sounds {
        loudest = loudest.max(measure(uri)?);
    }
    let mut out = Vec::new();
    let mut incoming = text.lines().peekable();
    while let Some(line) = incoming.next() {
        let Some(mut tag) = Tag::parse(line) else {
            out.push(line.to_owned());
            continue;
        };
        match tag.name.as_str() {
            "EXT-X-MEDIA" => {
                if tag.get("URI").is_some_and(|uri| truth.is_default(uri)) {
                    tag.set("DEFAULT", "YES");
                    tag.set("AUTOSELECT", "YES");
                } else {
                    tag.set("DEFAULT", "NO");
                }
            }
            "EXT-X-STREAM-INF" => {
                let uri = incoming.next().unwrap_or_default();
                if sounds.contains(&uri) {
                    if !truth.is_default(uri) {
                        continue;
                    }
                    loudest.write_to(&mut tag);
                } else {
                    measure(uri)?.plus(loudest).write_to(&mut tag);
                    truth.name(&mut tag, uri);
                    if let Some(video) = truth.video(uri) {
                        tag.set("FRAME-RATE", format!("{:.3}", video.rate.as_f64()));
                    }
                }
                out.extend([tag.to_string(), uri.to_owned()]);
                continue;
            }
            "EXT-X-I-FRAME-STREAM-INF" => {
                if let Some(uri) = tag.get("URI").map(str::to_owned) {
                    measure(&uri)?.write_to(&mut tag);
                    truth.name(&mut tag, &uri);
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
