//! Master playlists (RFC 8216, 4.3.4).

use std::collections::BTreeSet;

use m3u8_rs::{AlternativeMedia, AlternativeMediaType, MasterPlaylist, VariantStream};
use model::Format;

use super::{check_known_tags, read_text};
use crate::{
    error::MediaError, layout::OutputLayout, plan::Plan, verify::listing::wrong_output,
    work_folder::WorkFolder,
};

/// Reads the one in `dir`, and holds it to the rules.
pub(super) fn read(plan: &Plan, dir: &WorkFolder) -> Result<MasterPlaylist, MediaError> {
    let name = OutputLayout::main_file(Format::Hls);
    let text = read_text(dir, &name)?;
    let (rest, master) = m3u8_rs::parse_master_playlist(&text)
        .map_err(|_| wrong_output("the master playlist cannot be read"))?;
    if !rest.is_empty() {
        return Err(wrong_output("the master playlist cannot be read to its end"));
    }
    check_known_tags(&name, master.unknown_tags.iter())?;
    check(plan, &master)?;
    Ok(master)
}

pub(super) fn check(plan: &Plan, master: &MasterPlaylist) -> Result<(), MediaError> {
    check_independent_segments(master)?;
    check_variants(plan, master)?;
    check_audio_group(master)?;
    check_captions(master)?;
    check_audio_names(plan, master)?;
    check_default_audio(plan, master)
}

/// Every segment begins with a random access point, which is checked elsewhere (4.3.5.1).
fn check_independent_segments(master: &MasterPlaylist) -> Result<(), MediaError> {
    if master.independent_segments {
        return Ok(());
    }
    Err(wrong_output("the master playlist does not say that segments are independent"))
}

/// One for each rendition and one for its I-frames, or one for audio without video; none twice (4.3.4.2, 4.3.4.3).
fn check_variants(plan: &Plan, master: &MasterPlaylist) -> Result<(), MediaError> {
    let videos = plan.videos.len();
    for (is_i_frame, what, expected) in
        [(false, "variants", videos.max(1)), (true, "playlists of I-frames", videos)]
    {
        let found = master.variants.iter().filter(|variant| variant.is_i_frame == is_i_frame);
        let uris: BTreeSet<_> = found.clone().map(|variant| &variant.uri).collect();
        let found = found.count();
        if found != expected {
            return Err(wrong_output(format!("the master playlist has {found} {what}, not {expected}")));
        }
        if uris.len() != expected {
            return Err(wrong_output(format!("the master playlist names one of its {what} twice")));
        }
    }
    Ok(())
}

/// A variant names the group of the audio that goes with it; there is one for all (4.3.4.1, 4.3.4.2).
fn check_audio_group(master: &MasterPlaylist) -> Result<(), MediaError> {
    let group = master.alternatives.first().map(|audio| audio.group_id.as_str());
    let variants = || master.variants.iter().filter(|variant| !variant.is_i_frame);
    if let Some(other) = variants().find(|variant| variant.audio.as_deref() != group) {
        let (uri, named) = (&other.uri, other.audio.as_deref().unwrap_or_default());
        let group = group.unwrap_or_default();
        return Err(wrong_output(format!(
            "the variant `{uri}` names the audio group `{named}`, not `{group}`"
        )));
    }
    match master.alternatives.iter().find(|audio| Some(audio.group_id.as_str()) != group) {
        Some(audio) => Err(wrong_output(format!("`{}` is not in the audio group of the first", audio.name))),
        None => Ok(()),
    }
}

/// Where one variant says that it has no captions, all do (4.3.4.2).
fn check_captions(master: &MasterPlaylist) -> Result<(), MediaError> {
    let mut variants = master.variants.iter().filter(|variant| !variant.is_i_frame);
    let first = variants.next().map(|variant| &variant.closed_captions);
    match variants.find(|variant| Some(&variant.closed_captions) != first) {
        Some(other) => {
            Err(wrong_output(format!("the variant `{}` has other captions than the first", other.uri)))
        }
        None => Ok(()),
    }
}

/// Audio renditions are what was planned, and have different names in their group (4.3.4.1, 4.3.4.1.1).
fn check_audio_names(plan: &Plan, master: &MasterPlaylist) -> Result<(), MediaError> {
    let audios = &master.alternatives;
    if audios.len() != plan.audios.len() {
        let (found, expected) = (audios.len(), plan.audios.len());
        return Err(wrong_output(format!(
            "the master playlist has {found} audio renditions, not {expected}"
        )));
    }
    if let Some(other) = audios.iter().find(|audio| audio.media_type != AlternativeMediaType::Audio) {
        return Err(wrong_output(format!("`{}` is not listed as audio", other.name)));
    }
    let names: BTreeSet<_> = audios.iter().map(|audio| audio.name.as_str()).collect();
    if names.len() == audios.len() {
        return Ok(());
    }
    Err(wrong_output("the audio renditions of the master playlist do not have a name each"))
}

/// The plan's first audio is the default, and no other; a default may be chosen without asking (4.3.4.1).
fn check_default_audio(plan: &Plan, master: &MasterPlaylist) -> Result<(), MediaError> {
    let first = plan.audios.first().map(|audio| audio.name.as_str());
    for audio in &master.alternatives {
        let is_first = match (audio.uri.as_deref(), first) {
            (Some(uri), Some(name)) => OutputLayout::is_of_stream(uri, name),
            _ => false,
        };
        let (name, default) = (&audio.name, if is_first { "YES" } else { "NO" });
        if audio.default != is_first {
            return Err(wrong_output(format!("`{name}` is not marked with DEFAULT={default}")));
        }
        if is_first && !audio.autoselect {
            return Err(wrong_output(format!("`{name}` is the default without AUTOSELECT=YES")));
        }
    }
    Ok(())
}

/// The variant of a rendition, or the one of its I-frames.
pub(super) fn variant<'a>(
    master: &'a MasterPlaylist,
    name: &str,
    is_i_frame: bool,
) -> Result<&'a VariantStream, MediaError> {
    let of_it = |variant: &&VariantStream| {
        variant.is_i_frame == is_i_frame && OutputLayout::is_of_stream(&variant.uri, name)
    };
    let what = if is_i_frame { "I-frames of" } else { "rendition" };
    let lacks = || wrong_output(format!("the master playlist does not name the {what} `{name}`"));
    master.variants.iter().find(of_it).ok_or_else(lacks)
}

/// The entry of an audio rendition.
pub(super) fn audio_rendition<'a>(
    master: &'a MasterPlaylist,
    name: &str,
) -> Result<&'a AlternativeMedia, MediaError> {
    let of_it = |audio: &&AlternativeMedia| {
        audio.uri.as_deref().is_some_and(|uri| OutputLayout::is_of_stream(uri, name))
    };
    let lacks = || wrong_output(format!("the master playlist does not name the audio `{name}`"));
    master.alternatives.iter().find(of_it).ok_or_else(lacks)
}

/// The variant's `VIDEO-RANGE` (draft-pantos-hls-rfc8216bis, 4.4.6.2).
pub(super) fn video_range(variant: &VariantStream) -> Option<String> {
    variant.other_attributes.as_ref()?.get("VIDEO-RANGE").map(ToString::to_string)
}
