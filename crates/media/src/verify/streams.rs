//! Holds the header of a stream to the plan.

use super::{
    facts::Header,
    listing::{Planned, wrong},
};
use crate::{AudioPlan, MediaError, Plan, VideoPlan};

/// Agrees, or says what is wrong.
pub(super) fn check(plan: &Plan, name: &str, planned: Planned, header: &Header) -> Result<(), MediaError> {
    match planned {
        Planned::Video(number) => check_picture(plan, &plan.videos[number], name, header),
        Planned::Audio(number) => check_sound(&plan.audios[number], name, header),
    }
}

/// Of H.264, by what they demand of a decoder.
const PROFILES: [&str; 4] = ["Constrained Baseline", "Baseline", "Main", "High"];

/// Named facts: what was found, and what it should be.
fn all_equal(name: &str, facts: &[(&str, String, String)]) -> Result<(), MediaError> {
    match facts.iter().find(|(_, found, wanted)| found != wanted) {
        Some((what, found, wanted)) => {
            Err(wrong(format!("`{name}` has the {what} `{found}` instead of `{wanted}`")))
        }
        None => Ok(()),
    }
}

fn check_picture(plan: &Plan, video: &VideoPlan, name: &str, header: &Header) -> Result<(), MediaError> {
    // The fastest presets use less than they may.
    let most = PROFILES.iter().position(|profile| *profile == video.profile).map_or(0, |at| at + 1);
    let profile = PROFILES[..most].iter().find(|profile| **profile == header.profile);
    let level = video.level.parse::<f64>().map_or(0, |level| (level * 10.0).round() as u32);
    let fact = |what, found: &str, wanted: &str| (what, found.to_owned(), wanted.to_owned());
    let mut facts = vec![
        fact("kind", &header.kind, "video"),
        fact("codec", &header.codec, "h264"),
        ("size", size(header.size), size((video.width, video.height))),
        fact("profile", &header.profile, profile.unwrap_or(&video.profile.as_str())),
        ("level", header.level.to_string(), level.to_string()),
        fact("pixel format", &header.pixel_format, "yuv420p"),
        fact("rotation", &header.rotation, ""),
    ];
    if !header.sample_aspect.is_empty() {
        facts.push(fact("pixel shape", &header.sample_aspect, "1:1"));
    }
    if !header.field_order.is_empty() {
        facts.push(fact("field order", &header.field_order, "progressive"));
    }
    if let Some(picture) = &plan.picture {
        let [_, matrix, transfer, primaries] = &header.colour;
        facts.push(fact("colour matrix", matrix, &picture.colour.matrix));
        facts.push(fact("transfer function", transfer, &picture.colour.transfer));
        facts.push(fact("colour primaries", primaries, &picture.colour.primaries));
    }
    all_equal(name, &facts)
}

fn check_sound(audio: &AudioPlan, name: &str, header: &Header) -> Result<(), MediaError> {
    let fact = |what, found: &str, wanted: &str| (what, found.to_owned(), wanted.to_owned());
    all_equal(
        name,
        &[
            fact("kind", &header.kind, "audio"),
            fact("codec", &header.codec, "aac"),
            fact("profile", &header.profile, "LC"),
            ("sample rate", header.sample_rate.to_string(), audio.sample_rate.to_string()),
            ("number of channels", header.channels.to_string(), audio.channels.to_string()),
            fact("channel layout", &header.layout, crate::codecs::aac::layout(audio.channels)),
        ],
    )
}

fn size((width, height): (u32, u32)) -> String {
    format!("{width}x{height}")
}
