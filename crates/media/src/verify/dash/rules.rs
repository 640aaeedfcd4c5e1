//! Rules of manifests (ISO/IEC 23009-1, 5.3, and DASH-IF IOP).

use std::collections::BTreeSet;

use roxmltree::Node;

use super::Representation;
use crate::{
    error::MediaError,
    format::dash::{child_elements, parse_duration},
    plan::Plan,
    verify::listing::{Planned, Track, wrong},
};

/// Of every name in a manifest (5.2.2).
const NAMESPACE: &str = "urn:mpeg:dash:schema:mpd:2011";

/// Segments of templates or lists, in ISO files (8.4).
const PROFILE: &str = "urn:mpeg:dash:profile:isoff-live:2011";

/// Pixels by which a side may be longer or shorter to be even.
const EVEN: f64 = 2.0;

/// Seconds by which the duration may be rounded.
const ROUNDED: f64 = 0.001;

/// The whole is a manifest, and said to be complete, of a profile, and for a buffer of some length (5.2.2 and 5.3.1.2).
pub(super) fn manifest(mpd: Node<'_, '_>) -> Result<(), MediaError> {
    let (root, namespace) = (mpd.tag_name().name(), mpd.tag_name().namespace().unwrap_or_default());
    if (root, namespace) != ("MPD", NAMESPACE) {
        return Err(wrong(format!(
            "the manifest is a `{root}` of `{namespace}`, not a `MPD` of `{NAMESPACE}`"
        )));
    }
    if mpd.attribute("type") != Some("static") || child_elements(mpd, "Period").count() != 1 {
        return Err(wrong("the manifest is not static with one period"));
    }
    let profiles = mpd.attribute("profiles").unwrap_or_default();
    if !profiles.split(',').any(|profile| profile == PROFILE) {
        return Err(wrong(format!("the manifest has the profiles `{profiles}`, without `{PROFILE}`")));
    }
    if mpd.attribute("minBufferTime").and_then(parse_duration).is_none_or(|seconds| seconds <= 0.0) {
        return Err(wrong("the manifest has no `minBufferTime`"));
    }
    Ok(())
}

/// As many as were planned, with an `id` each (5.3.5.2).
pub(super) fn representations(plan: &Plan, all: &[Representation<'_, '_>]) -> Result<(), MediaError> {
    let (found, wanted) = (all.len(), plan.videos.len() + plan.audios.len());
    if found != wanted {
        return Err(wrong(format!("the manifest has {found} representations, not {wanted}")));
    }
    let ids: BTreeSet<_> = all.iter().filter_map(|one| one.one.attribute("id")).collect();
    if ids.len() != wanted {
        return Err(wrong("the representations of the manifest do not have an `id` each"));
    }
    Ok(())
}

/// What can be switched between is in one set: renditions of one codec, or one sound (5.3.3.1); and the set says how.
pub(super) fn set(
    plan: &Plan,
    one: &Representation<'_, '_>,
    name: &str,
    planned: Planned,
) -> Result<(), MediaError> {
    let together = match planned {
        Planned::Video(number) => {
            let codec = plan.videos[number].codec;
            plan.videos.iter().filter(|video| video.codec == codec).count()
        }
        Planned::Audio(_) => 1,
    };
    if child_elements(one.set, "Representation").count() != together {
        return Err(wrong(format!("`{name}` is in one adaptation set with others, or without them")));
    }
    says_how_it_is_switched_to(one, name, planned)?;
    match planned {
        Planned::Video(_) => has_its_shape(one, name),
        Planned::Audio(number) => is_marked(one, name, if number == 0 { "main" } else { "alternate" }),
    }
}

/// What a player has to know before it joins at a segment: of what kind it is, that its boundaries are
/// those of the others, and that it begins with what stands alone (5.3.3.2, 5.3.7.2). Pictures have
/// square pixels.
fn says_how_it_is_switched_to(
    one: &Representation<'_, '_>,
    name: &str,
    planned: Planned,
) -> Result<(), MediaError> {
    let (kind, mime, sar) = match planned {
        Planned::Video(_) => ("video", "video/mp4", Some("1:1")),
        Planned::Audio(_) => ("audio", "audio/mp4", None),
    };
    let wanted = [
        ("contentType", Some(kind)),
        ("mimeType", Some(mime)),
        ("segmentAlignment", Some("true")),
        ("startWithSAP", Some("1")),
        ("sar", sar),
    ];
    match wanted.into_iter().find(|(attribute, value)| one.attribute(attribute) != *value) {
        Some((attribute, value)) => {
            let (found, value) = (one.attribute(attribute).unwrap_or_default(), value.unwrap_or_default());
            Err(wrong(format!("`{name}` is said to have {attribute} `{found}`, not `{value}`")))
        }
        None => Ok(()),
    }
}

/// The picture's shape, where a set says one, is that of its pixels, but for those that even sides cost or gain
/// (5.3.3.2).
fn has_its_shape(one: &Representation<'_, '_>, name: &str) -> Result<(), MediaError> {
    let Some(par) = one.set.attribute("par") else { return Ok(()) };
    let shape = par.split_once(':').and_then(|(x, y)| Some((x.parse::<f64>().ok()?, y.parse::<f64>().ok()?)));
    let size = one.number::<f64>("width").zip(one.number::<f64>("height"));
    let fits = shape.zip(size).is_some_and(|((x, y), (width, height))| {
        (width - height * x / y).abs() <= EVEN || (height - width * y / x).abs() <= EVEN
    });
    if fits {
        Ok(())
    } else {
        Err(wrong(format!("`{name}` is said to have the shape {par}, and is {size:?}")))
    }
}

/// The first sound is the main one (5.8.5.5).
fn is_marked(one: &Representation<'_, '_>, name: &str, role: &str) -> Result<(), MediaError> {
    if child_elements(one.set, "Role").any(|node| node.attribute("value") == Some(role)) {
        return Ok(());
    }
    Err(wrong(format!("`{name}` does not have the role `{role}`")))
}

/// Start and length of each segment: from 0 on, without gaps or overlaps (5.3.9.6); only a copy may begin
/// `late`.
pub(super) fn timeline(
    name: &str,
    template: Node<'_, '_>,
    listed: &[(u64, u64)],
    late: bool,
) -> Result<(), MediaError> {
    let offset = template.attribute("presentationTimeOffset").unwrap_or("0");
    if offset != "0" {
        return Err(wrong(format!("the timeline of `{name}` is moved by {offset}, not 0")));
    }
    let mut ends = listed.first().filter(|_| late).map_or(0, |(begins, _)| *begins);
    for &(begins, ticks) in listed {
        if begins != ends {
            return Err(wrong(format!(
                "the timeline of `{name}` goes on at {begins} where it was at {ends}"
            )));
        }
        ends += ticks;
    }
    Ok(())
}

/// The presentation is as long as the longest timeline (5.3.1.2).
pub(super) fn lasts_as_long_as_its_longest(seconds: Option<f64>, tracks: &[Track]) -> Result<(), MediaError> {
    let end = |track: &Track| track.segments.last().and_then(|last| Some(last.start? + last.seconds?));
    let (said, longest) = (seconds.unwrap_or_default(), tracks.iter().filter_map(end).fold(0.0, f64::max));
    if (said - longest).abs() > ROUNDED {
        return Err(wrong(format!("the manifest says that it lasts {said:.3} s, and lists {longest:.3} s")));
    }
    Ok(())
}
