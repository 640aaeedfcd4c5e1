//! Holds the header of a stream to the plan.

use super::{
    facts::Header,
    listing::{Planned, wrong},
};
use crate::{
    codecs,
    error::MediaError,
    plan::{AudioPlan, Plan, VideoPlan},
    source::VideoStream,
};

/// Agrees, or says what is wrong.
pub(super) fn check(plan: &Plan, name: &str, planned: Planned, header: &Header) -> Result<(), MediaError> {
    match planned {
        Planned::Video(number) => check_picture(plan, &plan.videos[number], name, header),
        Planned::Audio(number) => check_sound(plan, &plan.audios[number], name, header),
    }
}

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
    let fact = |what, found: &str, wanted: &str| (what, found.to_owned(), wanted.to_owned());
    if let Some(picture) = video.copied() {
        return check_copied(plan, video, picture, name, header);
    }
    let profile = codecs::video(video.codec).is_lower_profile(&header.profile, &video.profile);
    let [_, matrix, transfer, primaries] = &header.colour;
    let mut facts = vec![
        fact("kind", &header.kind, "video"),
        fact("codec", &header.codec, video.codec.ffmpeg_name()),
        ("size", size(header.size), size((video.width, video.height))),
        fact("profile", &header.profile, if profile { &header.profile } else { &video.profile }),
        fact("pixel format", &header.pixel_format, video.pixel_format()),
        fact("rotation", &header.rotation, ""),
        fact("colour matrix", matrix, &video.colour.matrix),
        fact("transfer function", transfer, &video.colour.transfer),
        fact("colour primaries", primaries, &video.colour.primaries),
    ];
    if let Some(level) = codecs::video(video.codec).header_level(&video.level, header.level) {
        facts.push(("level", header.level.to_string(), level.to_string()));
    }
    if plan.is_in_iso_files() {
        facts.push(fact("sample entry", &header.sample_entry, codecs::video(video.codec).sample_entry()));
    }
    if !header.sample_aspect.is_empty() {
        facts.push(fact("pixel shape", &header.sample_aspect, "1:1"));
    }
    if !header.field_order.is_empty() {
        facts.push(fact("field order", &header.field_order, "progressive"));
    }
    all_equal(name, &facts)
}

/// A copy is what it is a copy of; what it says of its colours and its level is its own affair.
fn check_copied(
    plan: &Plan,
    video: &VideoPlan,
    picture: &VideoStream,
    name: &str,
    header: &Header,
) -> Result<(), MediaError> {
    let fact = |what, found: &str, wanted: &str| (what, found.to_owned(), wanted.to_owned());
    // FFmpeg counts degrees against the clock
    let turn = (-header.rotation.parse::<i32>().unwrap_or_default()).rem_euclid(360);
    let mut facts = vec![
        fact("kind", &header.kind, "video"),
        fact("codec", &header.codec, video.codec.ffmpeg_name()),
        ("size", size(header.size), size((video.width, video.height))),
        fact("profile", &header.profile, &picture.profile),
        fact("pixel format", &header.pixel_format, &picture.pixel_format),
    ];
    if !picture.orientation.mirrored {
        facts.push(("turn", turn.to_string(), (u32::from(picture.orientation.quarters) * 90).to_string()));
    }
    if plan.is_in_iso_files() {
        facts.push(fact("sample entry", &header.sample_entry, codecs::video(video.codec).sample_entry()));
    }
    if !header.sample_aspect.is_empty() {
        let aspect = picture.sample_aspect;
        facts.push((
            "pixel shape",
            header.sample_aspect.clone(),
            format!("{}:{}", aspect.num(), aspect.den()),
        ));
    }
    all_equal(name, &facts)
}

fn check_sound(plan: &Plan, audio: &AudioPlan, name: &str, header: &Header) -> Result<(), MediaError> {
    let fact = |what, found: &str, wanted: &str| (what, found.to_owned(), wanted.to_owned());
    let mut facts = vec![
        fact("kind", &header.kind, "audio"),
        fact("codec", &header.codec, audio.codec.ffmpeg_name()),
        fact("profile", &header.profile, codecs::audio(audio.codec).profile()),
        ("sample rate", header.sample_rate.to_string(), audio.sample_rate.to_string()),
        ("number of channels", header.channels.to_string(), audio.channels.to_string()),
        fact("channel layout", &header.layout, codecs::audio(audio.codec).decoded_layout(audio.channels)),
    ];
    if plan.is_in_iso_files() {
        facts.push(fact("sample entry", &header.sample_entry, codecs::audio(audio.codec).sample_entry()));
    }
    all_equal(name, &facts)
}

fn size((width, height): (u32, u32)) -> String {
    format!("{width}x{height}")
}
