//! Master playlists (RFC 8216, 4.3.4).

use std::{collections::BTreeSet, path::Path};

use m3u8_rs::{AlternativeMedia, AlternativeMediaType, MasterPlaylist, VariantStream};
use model::Format;

use super::{all_are_known, read_text};
use crate::{error::MediaError, layout::OutputLayout, plan::Plan, verify::listing::wrong};

/// Reads the one in `dir`, and holds it to the rules.
pub(super) fn read(plan: &Plan, dir: &Path) -> Result<MasterPlaylist, MediaError> {
    let name = OutputLayout::main_file(Format::Hls);
    let text = read_text(&dir.join(&name), &name)?;
    let (rest, master) =
        m3u8_rs::parse_master_playlist(&text).map_err(|_| wrong("the master playlist cannot be read"))?;
    if !rest.is_empty() {
        return Err(wrong("the master playlist cannot be read to its end"));
    }
    all_are_known(&name, master.unknown_tags.iter())?;
    check(plan, &master)?;
    Ok(master)
}

pub(super) fn check(plan: &Plan, master: &MasterPlaylist) -> Result<(), MediaError> {
    are_independent(master)?;
    has_the_planned_variants(plan, master)?;
    names_one_group(master)?;
    has_captions_or_none(master)?;
    names_sounds(plan, master)?;
    has_one_default(plan, master)
}

/// Every segment begins with a picture that can be decoded alone, which is verified (4.3.5.1).
fn are_independent(master: &MasterPlaylist) -> Result<(), MediaError> {
    if master.independent_segments {
        return Ok(());
    }
    Err(wrong("the master playlist does not say that segments are independent"))
}

/// One for each rendition and one for its I-frames, or one for sound alone; none twice (4.3.4.2, 4.3.4.3).
fn has_the_planned_variants(plan: &Plan, master: &MasterPlaylist) -> Result<(), MediaError> {
    let videos = plan.videos.len();
    for (is_i_frame, what, wanted) in
        [(false, "variants", videos.max(1)), (true, "playlists of I-frames", videos)]
    {
        let found = master.variants.iter().filter(|variant| variant.is_i_frame == is_i_frame);
        let uris: BTreeSet<_> = found.clone().map(|variant| &variant.uri).collect();
        let found = found.count();
        if found != wanted {
            return Err(wrong(format!("the master playlist has {found} {what}, not {wanted}")));
        }
        if uris.len() != wanted {
            return Err(wrong(format!("the master playlist names one of its {what} twice")));
        }
    }
    Ok(())
}

/// A variant names the group of the sounds that go with it; there is one for all (4.3.4.1, 4.3.4.2).
fn names_one_group(master: &MasterPlaylist) -> Result<(), MediaError> {
    let group = master.alternatives.first().map(|sound| sound.group_id.as_str());
    let variants = || master.variants.iter().filter(|variant| !variant.is_i_frame);
    if let Some(other) = variants().find(|variant| variant.audio.as_deref() != group) {
        let (uri, named) = (&other.uri, other.audio.as_deref().unwrap_or_default());
        let group = group.unwrap_or_default();
        return Err(wrong(format!("the variant `{uri}` names the sounds' group `{named}`, not `{group}`")));
    }
    match master.alternatives.iter().find(|sound| Some(sound.group_id.as_str()) != group) {
        Some(sound) => Err(wrong(format!("the sound `{}` is not in the group of the first", sound.name))),
        None => Ok(()),
    }
}

/// Where one variant says that it has no captions, all do (4.3.4.2).
fn has_captions_or_none(master: &MasterPlaylist) -> Result<(), MediaError> {
    let mut said = master.variants.iter().filter(|variant| !variant.is_i_frame);
    let first = said.next().map(|variant| &variant.closed_captions);
    match said.find(|variant| Some(&variant.closed_captions) != first) {
        Some(other) => Err(wrong(format!("the variant `{}` has other captions than the first", other.uri))),
        None => Ok(()),
    }
}

/// Sounds are what was planned, and have different names in their group (4.3.4.1, 4.3.4.1.1).
fn names_sounds(plan: &Plan, master: &MasterPlaylist) -> Result<(), MediaError> {
    let sounds = &master.alternatives;
    if sounds.len() != plan.audios.len() {
        let (found, wanted) = (sounds.len(), plan.audios.len());
        return Err(wrong(format!("the master playlist has {found} sounds, not {wanted}")));
    }
    if let Some(other) = sounds.iter().find(|sound| sound.media_type != AlternativeMediaType::Audio) {
        return Err(wrong(format!("`{}` is not listed as sound", other.name)));
    }
    let names: BTreeSet<_> = sounds.iter().map(|sound| sound.name.as_str()).collect();
    if names.len() == sounds.len() {
        return Ok(());
    }
    Err(wrong("the sounds of the master playlist do not have a name each"))
}

/// The plan's first sound is the default, and no other; a default may be chosen without asking (4.3.4.1).
fn has_one_default(plan: &Plan, master: &MasterPlaylist) -> Result<(), MediaError> {
    let first = plan.audios.first().map(|audio| audio.name.as_str());
    for sound in &master.alternatives {
        let is_first = sound.uri.as_deref().zip(first).is_some_and(|(uri, name)| is_in(uri, name));
        let (name, default) = (&sound.name, if is_first { "YES" } else { "NO" });
        if sound.default != is_first {
            return Err(wrong(format!("the sound `{name}` is not marked with DEFAULT={default}")));
        }
        if is_first && !sound.autoselect {
            return Err(wrong(format!("the sound `{name}` is the default without AUTOSELECT=YES")));
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
    let of_it = |variant: &&VariantStream| variant.is_i_frame == is_i_frame && is_in(&variant.uri, name);
    let what = if is_i_frame { "I-frames of" } else { "rendition" };
    let lacks = || wrong(format!("the master playlist does not name the {what} `{name}`"));
    master.variants.iter().find(of_it).ok_or_else(lacks)
}

/// The entry of a sound.
pub(super) fn sound<'a>(master: &'a MasterPlaylist, name: &str) -> Result<&'a AlternativeMedia, MediaError> {
    let of_it = |sound: &&AlternativeMedia| sound.uri.as_deref().is_some_and(|uri| is_in(uri, name));
    let lacks = || wrong(format!("the master playlist does not name the sound `{name}`"));
    master.alternatives.iter().find(of_it).ok_or_else(lacks)
}

/// The variant's `VIDEO-RANGE` (draft-pantos-hls-rfc8216bis, 4.4.6.2).
pub(super) fn range(variant: &VariantStream) -> Option<String> {
    variant.other_attributes.as_ref()?.get("VIDEO-RANGE").map(ToString::to_string)
}

fn is_in(uri: &str, name: &str) -> bool {
    OutputLayout::is_of_stream(uri, name)
}
