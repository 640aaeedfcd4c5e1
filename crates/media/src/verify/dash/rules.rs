//! Rules of manifests (ISO/IEC 23009-1, 5.3, and DASH-IF IOP).

use std::collections::BTreeSet;

use roxmltree::Node;

use super::Representation;
use crate::{
    error::MediaError,
    format::dash::{child_elements, parse_duration},
    plan::Plan,
    verify::listing::{StreamRef, Track, wrong_output},
};

/// The namespace of every element (5.2.2).
const NAMESPACE: &str = "urn:mpeg:dash:schema:mpd:2011";

/// The profile of segments in ISO files, by templates or lists (8.4).
const PROFILE: &str = "urn:mpeg:dash:profile:isoff-live:2011";

/// Pixels by which a side may be longer or shorter than its aspect ratio says: sides are even.
const EVEN_SIDE_TOLERANCE_PIXELS: f64 = 2.0;

/// Seconds by which the duration may be rounded.
const DURATION_TOLERANCE_SECS: f64 = 0.001;

/// `MPD`: static, of a profile, with one period and a `minBufferTime` (5.2.2 and 5.3.1.2).
pub(super) fn check_mpd(mpd: Node<'_, '_>) -> Result<(), MediaError> {
    let (root, namespace) = (mpd.tag_name().name(), mpd.tag_name().namespace().unwrap_or_default());
    if (root, namespace) != ("MPD", NAMESPACE) {
        return Err(wrong_output(format!(
            "the manifest is a `{root}` of `{namespace}`, not a `MPD` of `{NAMESPACE}`"
        )));
    }
    if mpd.attribute("type") != Some("static") || child_elements(mpd, "Period").count() != 1 {
        return Err(wrong_output("the manifest is not static with one period"));
    }
    let profiles = mpd.attribute("profiles").unwrap_or_default();
    if !profiles.split(',').any(|profile| profile == PROFILE) {
        return Err(wrong_output(format!("the manifest has the profiles `{profiles}`, without `{PROFILE}`")));
    }
    if mpd.attribute("minBufferTime").and_then(parse_duration).is_none_or(|seconds| seconds <= 0.0) {
        return Err(wrong_output("the manifest has no `minBufferTime`"));
    }
    Ok(())
}

/// As many representations as were planned, with an `id` each (5.3.5.2).
pub(super) fn check_representations(plan: &Plan, all: &[Representation<'_, '_>]) -> Result<(), MediaError> {
    let (found, expected) = (all.len(), plan.videos.len() + plan.audios.len());
    if found != expected {
        return Err(wrong_output(format!("the manifest has {found} representations, not {expected}")));
    }
    let ids: BTreeSet<_> = all.iter().filter_map(|one| one.one.attribute("id")).collect();
    if ids.len() != expected {
        return Err(wrong_output("the representations of the manifest do not have an `id` each"));
    }
    Ok(())
}

/// What can be switched between is in one set: renditions of one codec, or one audio stream (5.3.3.1).
pub(super) fn check_adaptation_set(
    plan: &Plan,
    one: &Representation<'_, '_>,
    name: &str,
    planned: StreamRef,
) -> Result<(), MediaError> {
    let together = match planned {
        StreamRef::Video(number) => {
            let codec = plan.videos[number].codec;
            plan.videos.iter().filter(|video| video.codec == codec).count()
        }
        StreamRef::Audio(_) => 1,
    };
    if child_elements(one.set, "Representation").count() != together {
        return Err(wrong_output(format!("`{name}` is in one adaptation set with others, or without them")));
    }
    check_switching(one, name, planned)?;
    match planned {
        StreamRef::Video(_) => check_par(one, name),
        StreamRef::Audio(number) => check_role(one, name, if number == 0 { "main" } else { "alternate" }),
    }
}

/// What a player has to know before it joins at a segment: the kind, that segments of all are aligned, that
/// each begins with a stream access point (5.3.3.2, 5.3.7.2), and that pixels are square.
fn check_switching(one: &Representation<'_, '_>, name: &str, planned: StreamRef) -> Result<(), MediaError> {
    let (kind, mime, sar) = match planned {
        StreamRef::Video(_) => ("video", "video/mp4", Some("1:1")),
        StreamRef::Audio(_) => ("audio", "audio/mp4", None),
    };
    let expected = [
        ("contentType", Some(kind)),
        ("mimeType", Some(mime)),
        ("segmentAlignment", Some("true")),
        ("startWithSAP", Some("1")),
        ("sar", sar),
    ];
    match expected.into_iter().find(|(attribute, value)| one.attribute(attribute) != *value) {
        Some((attribute, value)) => {
            let (found, value) = (one.attribute(attribute).unwrap_or_default(), value.unwrap_or_default());
            Err(wrong_output(format!("`{name}` has the {attribute} `{found}`, not `{value}`")))
        }
        None => Ok(()),
    }
}

/// The display aspect ratio (`par`), where a set has one, is that of the pixels, but for what even sides
/// cost or gain (5.3.3.2).
fn check_par(one: &Representation<'_, '_>, name: &str) -> Result<(), MediaError> {
    let Some(par) = one.set.attribute("par") else { return Ok(()) };
    let ratio = par.split_once(':').and_then(|(x, y)| Some((x.parse::<f64>().ok()?, y.parse::<f64>().ok()?)));
    let size = one.size::<f64>();
    let fits = match (ratio, size) {
        (Some((x, y)), Some((width, height))) => {
            (width - height * x / y).abs() <= EVEN_SIDE_TOLERANCE_PIXELS
                || (height - width * y / x).abs() <= EVEN_SIDE_TOLERANCE_PIXELS
        }
        _ => false,
    };
    if fits {
        Ok(())
    } else {
        Err(wrong_output(format!("`{name}` has the `par` {par}, and the size {size:?}")))
    }
}

/// `Role`: the first audio stream is the main one (5.8.5.5).
fn check_role(one: &Representation<'_, '_>, name: &str, role: &str) -> Result<(), MediaError> {
    if child_elements(one.set, "Role").any(|node| node.attribute("value") == Some(role)) {
        return Ok(());
    }
    Err(wrong_output(format!("`{name}` does not have the role `{role}`")))
}

/// Start and duration of each segment: from 0 on, without gaps or overlaps (5.3.9.6); only a copy
/// `may_begin_late`.
pub(super) fn check_timeline(
    name: &str,
    template: Node<'_, '_>,
    listed: &[(u64, u64)],
    may_begin_late: bool,
) -> Result<(), MediaError> {
    let offset = template.attribute("presentationTimeOffset").unwrap_or("0");
    if offset != "0" {
        return Err(wrong_output(format!(
            "the timeline of `{name}` has the `presentationTimeOffset` {offset}, not 0"
        )));
    }
    let mut next_start = match listed.first() {
        Some((start, _)) if may_begin_late => *start,
        _ => 0,
    };
    for &(start, duration) in listed {
        if start != next_start {
            return Err(wrong_output(format!(
                "the timeline of `{name}` goes on at {start} where it was at {next_start}"
            )));
        }
        next_start += duration;
    }
    Ok(())
}

/// The presentation is as long as the longest segment timeline (5.3.1.2).
pub(super) fn check_presentation_duration(listed: Option<f64>, tracks: &[Track]) -> Result<(), MediaError> {
    let end = |track: &Track| track.segments.last().and_then(|last| Some(last.start? + last.duration?));
    let listed = listed.unwrap_or_default();
    let longest = tracks.iter().filter_map(end).fold(0.0, f64::max);
    if (listed - longest).abs() > DURATION_TOLERANCE_SECS {
        return Err(wrong_output(format!(
            "the manifest has the duration {listed:.3} s, and lists {longest:.3} s"
        )));
    }
    Ok(())
}
